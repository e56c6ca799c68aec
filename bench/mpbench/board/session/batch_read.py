# SPDX-License-Identifier: MIT
"""Many small files in one round trip: the command that reads them, and parsing its output. Pure.

One process reads all files: `head -v` writes each file after a line with its path. Every path gets a prefix
of slashes and dots, random for each batch, which means nothing to the kernel and which no file's content can
contain; so contents may be binary, empty or change while they are read.
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
"""Commands that read files; the first that works on the board is used. Ref: coreutils and busybox, head -v"""
PATHS_PER_COMMAND = 512
PREFIX_BITS = 24
_FIRST, _LAST = "/dev/null", "/./dev/null"
"""Read before and after the files, so that every header starts on a new line and the last content ends."""


def _prefix() -> str:
    """`/` and `/.` in random order."""
    bits = secrets.randbits(PREFIX_BITS)
    return "".join("/." if bits >> n & 1 else "/" for n in range(PREFIX_BITS))


@frozen
class BatchRead:
    """Files that are read by one command. UsageError for a path that is not absolute."""

    paths: tuple[str, ...] = field()
    prefix: str = field(factory=_prefix)

    @paths.validator
    def _absolute(self, _: object, paths: tuple[str, ...]) -> None:
        for path in paths:
            if not path.startswith("/"):
                raise UsageError(f"{one_line(repr(path))}: expected an absolute path")

    def command(self, tool: str = TOOLS[0]) -> str:
        """The command line that reads them."""
        return tool % " ".join(shlex.quote(self.prefix + path) for path in (_FIRST, *self.paths, _LAST))

    def split(self, reply: Reply) -> tuple[list[bytes | None], bytes]:
        """The bytes of each file, None for one that was not opened; and the output after the last file.

        InfrastructureError if the output cannot be parsed.
        """
        mark = b"\n==> " + self.prefix.encode()
        before, *pieces = (b"\n" + reply.stdout).split(mark)
        first, rest = (_content(pieces[i], p) if pieces else None for i, p in ((0, _FIRST), (-1, _LAST)))
        found: list[bytes | None] = []
        at, last = 1, len(pieces) - 1
        for path in self.paths:
            found.append(_content(pieces[at], path) if at < last else None)
            at += found[-1] is not None
        if before.strip(b"\n") or first != b"" or rest is None or at != last:
            raise InfrastructureError(
                f"reading {len(self.paths)} files at once failed: exit code {reply.code} {reply.error}"
            )
        return found, rest

    def failures(self, reply: Reply) -> dict[str, str] | None:
        """path → errno's name of each unreadable file; None if a message does not name its file."""
        found: dict[str, str] = {}
        for line in reply.stderr.decode("utf-8", "surrogateescape").splitlines():
            match = _QUOTED.match(line) or _PLAIN.match(line)
            name = Reply(1, b"", line.encode("utf-8", "surrogateescape")).errno
            if match is None or name in (None, "EIO"):  # busybox's head reports EIO for every read error
                return None
            found[match[1].removeprefix(self.prefix)] = str(name)
        return found if found.keys() <= set(self.paths) else None


def _content(piece: bytes, path: str) -> bytes | None:
    """Content after the header line of `path`; None if the header names another file."""
    header = encode(f"{path} <==\n")
    return piece.removeprefix(header) if piece.startswith(header) else None
