# SPDX-License-Identifier: MIT
"""Many small files in one round trip: what one program writes, taken apart again. Pure.

One program start serves all files. Between them it prints its own environment, which holds a nonce
that no file's content can know; so contents may be binary, empty or change while they are read.
`head` collects its output before it writes; `cat` writes, and the SSH server sends, each file by itself.
"""

import re
import shlex
from collections.abc import Sequence

from bench.board.frame import NONCE_VARIABLE, Reply, one_line
from bench.errors import LabFault, Misuse

_MARKER = "/proc/self/environ"
_QUOTED = re.compile(r"^[a-z]+: (?:can't open|cannot open|error reading) '(/.*)'(?: for reading)?: .+$")
_PLAIN = re.compile(r"^[a-z]+: '?(/.*?)'?: .+$")
TOOLS = ("head -q -c 16777216", "cat")
"""What reads: the first that the board's userland knows."""
PATHS_PER_COMMAND = 512


def command(paths: Sequence[str], tool: str = TOOLS[0]) -> str:
    """The command that reads `paths`. Misuse for a path that is not absolute."""
    for path in paths:
        if not path.startswith("/"):
            raise Misuse(f"{one_line(repr(path))}: an absolute path is needed")
    files = (word for path in paths for word in (shlex.quote(path), _MARKER))
    return f"{tool} {_MARKER} {_MARKER} {' '.join(files)}"


def split(reply: Reply, nonce: str, count: int) -> list[bytes]:
    """The bytes of each of `count` files; empty for one that could not be read. LabFault when unclear."""
    files, rest = split_off(reply, nonce, count)
    if rest:
        raise _unclear(reply, count)
    return files


def split_off(reply: Reply, nonce: str, count: int) -> tuple[list[bytes], bytes]:
    """The same, and what another command wrote behind them."""
    at = f"{NONCE_VARIABLE}={nonce}".encode()
    first = reply.stdout.find(at)
    length = reply.stdout.find(at, first + 1) - first
    marker = reply.stdout[:length] if first >= 0 and length > 0 else b""
    pieces = reply.stdout.split(marker) if marker else []
    if len(pieces) != count + 3 or any(pieces[:2]):
        raise _unclear(reply, count)
    return pieces[2:-1], pieces[-1]


def _unclear(reply: Reply, count: int) -> LabFault:
    return LabFault(f"reading {count} files at once failed: exit code {reply.code} {reply.error}")


def failures(reply: Reply) -> dict[str, str] | None:
    """path → errno name of what the tool could not read; None if a message does not say which file."""
    found: dict[str, str] = {}
    for line in reply.stderr.decode("utf-8", "surrogateescape").splitlines():
        match = _QUOTED.match(line) or _PLAIN.match(line)
        name = Reply(1, b"", line.encode("utf-8", "surrogateescape")).errno
        if match is None or name in (None, "EIO"):  # busybox's head says EIO whatever the read's error was
            return None
        found[match[1]] = str(name)
    return found


def command_for_one(path: str) -> str:
    """The command that reads one file, so that an error is about it."""
    return f"cat {shlex.quote(path)}"
