# SPDX-License-Identifier: MIT
"""Files to and from a board: whole or not at all, the same bytes on both sides.

One way for every server: `cat` on a channel of its own, or, where the server allows no second channel,
octal text through the shell there is. Neither needs an sftp-server.
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
    "trap '' PIPE HUP; trap 'room; rm -f \"$t\"' EXIT; "  # a lost connection must not skip the cleaning up
)
_COMMIT = (
    '&& { sync "$t" 2>/dev/null || sync; } && h=$(sha256sum <"$t") && h=${h%%%% *} && echo "hash $h" '
    '&& [ "$h" = %s ] && { [ ! -d "$d/$f" ] || { echo "x: Is a directory" >&2; false; }; } '
    '&& mv -f "$t" "$d/$f" && trap - EXIT'
)
CHECK_ROOM_FROM = 1 << 20
"""A board is asked for room before an upload of this many bytes; below, only when it failed."""
OCTAL_PIECE = 8192
"""Bytes per command when data travels as octal text: four times as long there, far from any limit."""


def split(path: str) -> tuple[str, str]:
    """Directory and file name of an absolute path. UsageError for anything else."""
    directory, slash, name = path.rpartition("/")
    if not path.startswith("/") or not slash or name in ("", ".", "..") or "\0" in path:
        raise UsageError(f"{one_line(repr(path))}: an absolute path of a file is needed")
    return directory or "/", name


def upload(link: Link, data: bytes, path: str, tag: str, timeout_s: float) -> None:
    """Make `path` hold `data`. Until the last step nothing shows but a temporary name beside it.

    tag: unique part of the temporary name. InfrastructureError with the reason (no room, read-only, lost link, ...).
    """
    digest = sha256(data).hexdigest()
    script = _enter(path, len(data), tag) + 'cat >"$t" ' + _COMMIT % digest
    deadline = time.monotonic() + timeout_s
    remote = RemoteCommand(link, script)
    try:
        remote.feed(data, deadline)
        reply = remote.finish(deadline)
        own_words = reply.stderr.partition(tag.encode() + b"\n")[2]  # a login shell's come first
        _judge(Reply(reply.code, reply.stdout, own_words), path, data, digest)
    finally:
        remote.close()


def upload_as_text(execute: Execute, data: bytes, path: str, tag: str, timeout_s: float) -> None:
    """As `upload`, through a shell's own printf. Slow: for servers that allow one channel only."""
    deadline = time.monotonic() + timeout_s
    digest = sha256(data).hexdigest()
    directory, _ = split(path)
    temporary = shlex.quote(f"{directory}/.mpbench.{tag}.tmp")
    try:
        _judge(
            execute(_enter(path, len(data), tag) + "room || exit 28; trap - EXIT", timeout_s),
            path,
            data,
            digest,
        )
        for at in range(0, max(1, len(data)), OCTAL_PIECE):
            octal = "".join(f"\\{byte:03o}" for byte in data[at : at + OCTAL_PIECE])
            piece = execute(f"printf '{octal}' {'>>' if at else '>'}{temporary}", deadline - time.monotonic())
            _judge(piece, path, data, digest)
        script = _enter(path, len(data), tag) + ": " + _COMMIT % digest
        _judge(execute(script, deadline - time.monotonic()), path, data, digest)
    except InfrastructureError:
        with contextlib.suppress(InfrastructureError):
            execute(f"rm -f {temporary}", timeout_s)
        raise


def _enter(path: str, size: int, tag: str) -> str:
    directory, name = split(path)
    enter = _ENTER % (tag, shlex.quote(directory), shlex.quote(name), size // 1024 + 1, tag)
    return _ROOM + enter + (_CHECK_ROOM if size >= CHECK_ROOM_FROM else "")


def _judge(reply: Reply, path: str, data: bytes, digest: str) -> None:
    if reply.code == 0:
        return
    said = dict(line.split(" ", 1) for line in reply.stdout.decode().splitlines() if " " in line)
    if "room" in said:
        raise InfrastructureError(
            f"{path}: no room: {len(data)} bytes to write, {said['room']} KiB free on the board (ENOSPC)"
        )
    if said.get("hash", digest) != digest:
        raise InfrastructureError(
            f"{path}: upload damaged: SHA-256 {said['hash']} on the board, {digest} here"
        )
    raise InfrastructureError(
        f"{path}: upload failed ({reply.errno or f'exit code {reply.code}'}): {reply.error}"
    )


def download(execute: Execute, path: str, timeout_s: float) -> bytes:
    """Bytes of a file that nobody changes meanwhile, checked against a hash taken on the board."""
    split(path)
    quoted = shlex.quote(path)
    reply = execute(f"sha256sum <{quoted} && cat {quoted}", timeout_s)
    if reply.code != 0:
        raise InfrastructureError(f"{path}: download failed ({reply.errno or reply.code}): {reply.error}")
    head, _, data = reply.stdout.partition(b"\n")
    here, there = sha256(data).hexdigest(), head.split()[0].decode()
    if here != there:
        raise InfrastructureError(
            f"{path}: download damaged or file changed meanwhile: SHA-256 {there} on the board, {here} here"
        )
    return data
