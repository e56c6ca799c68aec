# SPDX-License-Identifier: MIT
"""Files to and from a board: atomic, hash-verified.

`cat` on a channel of its own, or octal text through the shell if the server allows only one channel. Neither
needs an sftp-server.
"""

import contextlib
import shlex
import time
from collections.abc import Callable
from hashlib import sha256

from mpbench.board.session.channel import RemoteCommand
from mpbench.board.session.link import Link
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import InfrastructureError, UsageError

Execute = Callable[[str, float], Reply]

_ROOM = (
    'room() { df -Pk "$d" 2>/dev/null | { read -r _; read -r _ _ _ free _; '
    '[ "${free:-$need}" -ge "$need" ] || { echo "room $free"; exit 1; }; }; }; '
)
_CHECK_ROOM = "room || exit 28; "
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


def upload(link: Link, data: bytes, path: str, tag: str, timeout_s: float) -> None:
    """Write `data` to `path`: first to a temporary file in the same directory, which then replaces `path`.

    tag: unique part of the temporary name. InfrastructureError with the reason: no space, lost link, ...
    """
    digest = sha256(data).hexdigest()
    script = _enter(path, len(data), tag) + 'cat >"$t" ' + _COMMIT % digest
    deadline = time.monotonic() + timeout_s
    remote = RemoteCommand(link, script)
    try:
        remote.feed(data, deadline)
        reply = remote.finish(deadline)
        stderr = reply.stderr.partition(tag.encode() + b"\n")[2]  # without the login shell's own
        _check(Reply(reply.code, reply.stdout, stderr), path, data, digest)
    finally:
        remote.close()


def upload_as_text(execute: Execute, data: bytes, path: str, tag: str, timeout_s: float) -> None:
    """As upload(), but through the shell's printf. Slow: for servers that allow only one channel."""
    deadline = time.monotonic() + timeout_s
    digest = sha256(data).hexdigest()
    directory, _ = split(path)
    temporary = shlex.quote(f"{directory}/.mpbench.{tag}.tmp")
    try:
        _check(
            execute(_enter(path, len(data), tag) + "room || exit 28; trap - EXIT", timeout_s),
            path,
            data,
            digest,
        )
        for at in range(0, max(1, len(data)), OCTAL_PIECE):
            octal = "".join(f"\\{byte:03o}" for byte in data[at : at + OCTAL_PIECE])
            piece = execute(f"printf '{octal}' {'>>' if at else '>'}{temporary}", deadline - time.monotonic())
            _check(piece, path, data, digest)
        script = _enter(path, len(data), tag) + ": " + _COMMIT % digest
        _check(execute(script, deadline - time.monotonic()), path, data, digest)
    except InfrastructureError:
        with contextlib.suppress(InfrastructureError):
            execute(f"rm -f {temporary}", timeout_s)
        raise


def _enter(path: str, size: int, tag: str) -> str:
    directory, name = split(path)
    enter = _ENTER % (tag, shlex.quote(directory), shlex.quote(name), size // 1024 + 1, tag)
    return _ROOM + enter + (_CHECK_ROOM if size >= CHECK_ROOM_FROM else "")


def _check(reply: Reply, path: str, data: bytes, digest: str) -> None:
    if reply.code == 0:
        return
    printed = dict(line.split(" ", 1) for line in reply.stdout.decode().splitlines() if " " in line)
    if "room" in printed:
        raise InfrastructureError(
            f"{path}: no space: {len(data)} bytes to write, {printed['room']} KiB free on the board (ENOSPC)"
        )
    if printed.get("hash", digest) != digest:
        raise InfrastructureError(
            f"{path}: upload damaged: SHA-256 {printed['hash']} on the board, {digest} on the host"
        )
    raise InfrastructureError(
        f"{path}: upload failed ({reply.errno or f'exit code {reply.code}'}): {reply.error}"
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
