# SPDX-License-Identifier: MIT
"""Many small files in one round trip: what one program writes, taken apart again. Pure.

One program start serves all files: `head -v` writes each file behind a line with its path. Every path is
spelled with a prefix of slashes and dots, made anew for each reading, that means nothing to the kernel and
that no file's content can know; so contents may be binary, empty or change while they are read.
"""

import re
import secrets
import shlex

from attrs import field, frozen

from mpbench.board.session.shell_protocol import Reply, encode, one_line
from mpbench.core.errors import InfrastructureError, UsageError

_QUOTED = re.compile(r"^[a-z]+: (?:can't open|cannot open|error reading) '(/.*)'(?: for reading)?: .+$")
_PLAIN = re.compile(r"^[a-z]+: '?(/.*?)'?: .+$")
TOOLS = (
    "head -v -c 16777216 %s",
    'for f in %s; do printf \'\\n==> %%s <==\\n\' "$f"; cat "$f"; done',
)
"""What reads: the first that the board's userland knows. Ref: coreutils and busybox, head -v"""
PATHS_PER_COMMAND = 512
PREFIX_BITS = 24
_BEGIN, _END = "/dev/null", "/./dev/null"
"""Read before and behind the files, so that every file's line begins anew and the last one's content ends."""


def _prefix() -> str:
    """`/` and `/.` in an order that nobody knows."""
    bits = secrets.randbits(PREFIX_BITS)
    return "".join("/." if bits >> n & 1 else "/" for n in range(PREFIX_BITS))


@frozen
class Reading:
    """Some files that are read at once. UsageError for a path that is not absolute."""

    paths: tuple[str, ...] = field()
    prefix: str = field(factory=_prefix)

    @paths.validator
    def _absolute(self, _: object, paths: tuple[str, ...]) -> None:
        for path in paths:
            if not path.startswith("/"):
                raise UsageError(f"{one_line(repr(path))}: an absolute path is needed")

    def command(self, tool: str = TOOLS[0]) -> str:
        """The command that reads them."""
        return tool % " ".join(shlex.quote(self.prefix + path) for path in (_BEGIN, *self.paths, _END))

    def split(self, reply: Reply) -> tuple[list[bytes | None], bytes]:
        """The bytes of each file, None for one that was not opened; and what came behind them all.

        InfrastructureError when unclear.
        """
        mark = b"\n==> " + self.prefix.encode()
        before, *pieces = (b"\n" + reply.stdout).split(mark)
        begin, end = (_content(pieces[i], p) if pieces else None for i, p in ((0, _BEGIN), (-1, _END)))
        if before.strip(b"\n") or begin != b"" or end is None:
            raise self._unclear(reply)
        return self._in_order(pieces[1:-1], reply), end

    def _in_order(self, pieces: list[bytes], reply: Reply) -> list[bytes | None]:
        found: list[bytes | None] = []
        at = 0
        for path in self.paths:
            found.append(_content(pieces[at], path) if at < len(pieces) else None)
            at += found[-1] is not None
        if at != len(pieces):
            raise self._unclear(reply)
        return found

    def _unclear(self, reply: Reply) -> InfrastructureError:
        return InfrastructureError(
            f"reading {len(self.paths)} files at once failed: exit code {reply.code} {reply.error}"
        )

    def failures(self, reply: Reply) -> dict[str, str] | None:
        """path → errno name of what the tool could not read; None if a message does not say which file."""
        found: dict[str, str] = {}
        for line in reply.stderr.decode("utf-8", "surrogateescape").splitlines():
            match = _QUOTED.match(line) or _PLAIN.match(line)
            name = Reply(1, b"", line.encode("utf-8", "surrogateescape")).errno
            if match is None or name in (
                None,
                "EIO",
            ):  # busybox's head says EIO whatever the read's error was
                return None
            found[match[1].removeprefix(self.prefix)] = str(name)
        return found if found.keys() <= set(self.paths) else None


def _content(piece: bytes, path: str) -> bytes | None:
    """What stands behind the line of `path`; None if the line is of another file."""
    line = encode(f"{path} <==\n")
    return piece.removeprefix(line) if piece.startswith(line) else None


def command_for_one(path: str) -> str:
    """The command that reads one file, so that an error is about it."""
    return f"cat {shlex.quote(path)}"
