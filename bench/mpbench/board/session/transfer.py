# SPDX-License-Identifier: MIT
"""Files to and from a board: atomic, hash-verified.

`cat` on a channel of its own, or octal text through the shell if the server allows only one channel. Neither
needs an sftp-server.
"""

import contextlib
import secrets
import shlex
import time
from collections.abc import Callable
from hashlib import sha256

from attrs import evolve, field, frozen

from mpbench.board.session.channel import RemoteCommand
from mpbench.board.session.link import Link
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import InfrastructureError, UsageError

Execute = Callable[[str, float], Reply]

_ROOM = (
    'room() { df -Pk "$d" 2>/dev/null | { read -r _; read -r _ _ _ free _; '
    '[ "${free:-$need}" -ge "$need" ] || { echo "room $free"; exit 1; }; }; }; '
)
_ENTER = (
    "LC_ALL=C; export LC_ALL; echo %s >&2; d=%s; f=%s; need=%d; t=$d/.mpbench.%s.tmp; "
    "trap '' PIPE HUP; trap 'room; rm -f \"$t\"' EXIT; "  # a lost connection must not skip the clean-up
)
_COMMIT = (
    '&& { sync "$t" 2>/dev/null || sync; } && h=$(sha256sum <"$t") && h=${h%%%% *} && echo "hash $h" '
    '&& [ "$h" = %s ] && { [ ! -d "$d/$f" ] || { echo "x: Is a directory" >&2; false; }; } '
    '&& mv -f "$t" "$d/$f" && trap - EXIT'
)
CHECK_ROOM_FROM = 1 << 20
"""Free space is checked before uploads of at least this many bytes; for smaller ones only after a failure."""
OCTAL_PIECE = 8192
"""Bytes per command when data is sent as octal text, which is four times as long."""


def split(path: str) -> tuple[str, str]:
    """Directory and file name of an absolute path. UsageError for anything else."""
    directory, slash, name = path.rpartition("/")
    if not path.startswith("/") or not slash or name in ("", ".", "..") or "\0" in path:
        raise UsageError(f"{one_line(repr(path))}: expected an absolute path of a file")
    return directory or "/", name


@frozen
class Upload:
    """`data` for the board's file `path`; it goes to a temporary file in the same directory first.

    tag: unique part of the temporary file's name
    """

    data: bytes = field(repr=False)
    path: str
    tag: str = field(factory=lambda: secrets.token_hex(8))

    def send(self, link: Link, timeout_s: float) -> None:
        """Upload on a channel. InfrastructureError with the reason: no space, lost link, ..."""
        deadline = time.monotonic() + timeout_s
        remote = RemoteCommand(link, f'{self._enter()}cat >"$t" {_COMMIT % self._digest}')
        try:
            remote.feed(self.data, deadline)
            reply = remote.finish(deadline)
        finally:
            remote.close()
        # without what the login shell printed
        self._check(evolve(reply, stderr=reply.stderr.partition(self.tag.encode() + b"\n")[2]))

    def send_as_text(self, execute: Execute, timeout_s: float) -> None:
        """As send(), but through the shell's printf. Slow: for servers that allow only one channel."""
        deadline = time.monotonic() + timeout_s
        temporary = shlex.quote(f"{split(self.path)[0]}/.mpbench.{self.tag}.tmp")
        try:
            self._check(execute(f"{self._enter()}room || exit 28; trap - EXIT", timeout_s))
            for at in range(0, max(1, len(self.data)), OCTAL_PIECE):
                octal = "".join(f"\\{byte:03o}" for byte in self.data[at : at + OCTAL_PIECE])
                piece = f"printf '{octal}' {'>>' if at else '>'}{temporary}"
                self._check(execute(piece, deadline - time.monotonic()))
            self._check(execute(f"{self._enter()}: {_COMMIT % self._digest}", deadline - time.monotonic()))
        except InfrastructureError:
            with contextlib.suppress(InfrastructureError):
                execute(f"rm -f {temporary}", timeout_s)
            raise

    @property
    def _digest(self) -> str:
        return sha256(self.data).hexdigest()

    def _enter(self) -> str:
        directory, name = (shlex.quote(part) for part in split(self.path))
        enter = _ENTER % (self.tag, directory, name, len(self.data) // 1024 + 1, self.tag)
        return _ROOM + enter + ("room || exit 28; " if len(self.data) >= CHECK_ROOM_FROM else "")

    def _check(self, reply: Reply) -> None:
        if reply.code == 0:
            return
        printed = dict(line.split(" ", 1) for line in reply.stdout.decode().splitlines() if " " in line)
        if "room" in printed:
            raise InfrastructureError(
                f"{self.path}: no space: {len(self.data)} bytes to write, {printed['room']} KiB free on the "
                "board (ENOSPC)"
            )
        if printed.get("hash", self._digest) != self._digest:
            raise InfrastructureError(
                f"{self.path}: upload damaged: SHA-256 {printed['hash']} on the board, {self._digest} on the "
                "host"
            )
        raise InfrastructureError(
            f"{self.path}: upload failed ({reply.errno or f'exit code {reply.code}'}): {reply.error}"
        )


def download(execute: Execute, path: str, timeout_s: float) -> bytes:
    """Bytes of a file that does not change during the download, verified by a hash computed on the board."""
    split(path)
    quoted = shlex.quote(path)
    reply = execute(f"sha256sum <{quoted} && cat {quoted}", timeout_s)
    if reply.code != 0:
        raise InfrastructureError(f"{path}: download failed ({reply.errno or reply.code}): {reply.error}")
    head, _, data = reply.stdout.partition(b"\n")
    here, there = sha256(data).hexdigest(), head.split()[0].decode()
    if here != there:
        raise InfrastructureError(
            f"{path}: download damaged or file changed: SHA-256 {there} on the board, {here} on the host"
        )
    return data
