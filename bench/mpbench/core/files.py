# SPDX-License-Identifier: MIT
"""Files: read with a bound, replaced whole, appended by whole lines, locked; private keys' modes.

Every file that the bench reads or writes for a user goes through here: only regular files are read, replaced
or appended to, and no command writes over one of its inputs. Errors are one line with path and reason.
`error` is the class to raise: InfrastructureError where the bench's own disk fails, UsageError where a user
named the file. Only locks need a module that Windows lacks.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import IO, Any, BinaryIO

from attrs import define, frozen

from mpbench.core.errors import InfrastructureError, UsageError

ErrorClass = type[UsageError] | type[InfrastructureError]
READ_LIMIT_BYTES = 64 * 2**20
"""More than any firmware image or key; /dev/zero must not fill the memory."""
LINES_LIMIT_BYTES = 256 * 2**20
"""Of a record, a journal, an artefact of evidence."""
CHUNK = 1 << 16
KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_PART = re.compile(r"\..+\.([1-9]\d{0,9})-\d+\.part", re.DOTALL)
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,4})")
SINK = "/dev/null"
_NO_FOLLOW, _NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def os_errors(action: str, error: ErrorClass = InfrastructureError) -> Iterator[None]:
    """Raise `error` for an OSError inside, or a path that no file can have.

    action: what failed, e.g. "cannot write x"
    """
    try:
        yield
    except OSError as e:
        raise error(f"{action}: {e.strerror or e}") from e
    except ValueError as e:  # a path with a NUL in it
        if "null byte" not in str(e) and "null character" not in str(e):
            raise
        raise error(f"{action}: {e}") from e


def stream_of(path: Path | str) -> int | None:
    """Descriptor that a path names: /dev/stdin, /dev/stdout, /dev/fd/63 of a shell's `<(...)`; else None."""
    found = _DESCRIPTOR.fullmatch(str(path))
    return int(found[1]) if found else STREAMS.get(str(path))


def real_path(path: Path) -> Path:
    """Absolute, without links; a loop of links stays one, which Path.resolve() raises RuntimeError for."""
    return Path(os.path.realpath(path))


# --- reading


def open_input(path: Path | str, error: ErrorClass = UsageError, *, follow: bool = True) -> BinaryIO:
    """A regular file, or a stream that is named as one (see stream_of), open for reading.

    follow: whether a symbolic link is followed. Raises `error` for FIFOs, devices, sockets, directories.
    """
    with os_errors(f"cannot read {path}", error):
        number = stream_of(path)
        if number is not None:
            return open(os.dup(number), "rb")
        found = os.stat(path, follow_symlinks=follow).st_mode
        if not stat.S_ISREG(found):  # before it is opened: that alone can start a watchdog, or wait for ever
            raise _other_kind(found, "a regular file is needed")
        flags = os.O_RDONLY | _NO_WAIT | _BINARY | (0 if follow else _NO_FOLLOW)
        file = open(os.open(path, flags), "rb")  # noqa: SIM115 - returned, for the caller to close
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("it was replaced by something that is no file")
        return file


def _other_kind(mode: int, needed: str) -> OSError:
    """The error for what is not a regular file."""
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return OSError(f"it is {KINDS.get(stat.S_IFMT(mode), 'no regular file')}; {needed}")


def read_bounded(
    path: Path | str,
    error: ErrorClass = UsageError,
    limit_bytes: int = READ_LIMIT_BYTES,
    *,
    follow: bool = True,
) -> bytes:
    """Content of a file. Raises `error` if it cannot be read or has more than `limit_bytes`.

    See open_input() for what is a file.
    """
    with open_input(path, error, follow=follow) as file, os_errors(f"cannot read {path}", error):
        size = os.fstat(file.fileno()).st_size
        data, more = bytearray(), size <= limit_bytes
        while more and len(data) <= limit_bytes:  # in pieces: one read would take the memory of the limit
            piece = file.read(min(max(size - len(data), 0) + CHUNK, limit_bytes + 1 - len(data)))
            if piece is None:
                raise OSError("it has no end yet")  # as /proc/kmsg, which would be waited for
            data += piece
            more = bool(piece)
    if more or size > limit_bytes:
        raise error(f"cannot read {path}: larger than {limit_bytes} bytes")
    return bytes(data)


# --- writing


def check_output(path: Path, inputs: Iterable[Path | None] = (), error: ErrorClass = UsageError) -> None:
    """Raise `error` unless a user may name `path` as output: a new or regular file that is no input.

    A stream (see stream_of) and /dev/null may be named as well. inputs: what the command reads. A file is
    known by device and inode: a hard link, a symbolic link or another spelling of an input is the input.
    """
    for one in inputs:
        if one is not None and _same(path, one):
            raise error(f"cannot write {path}: it is the input {one}; give another output")
    if not _is_written_to(path):
        check_replaceable(path, error)


def check_replaceable(path: Path, error: ErrorClass = InfrastructureError) -> None:
    """Raise `error` unless `path` is a regular file, or nothing yet."""
    try:
        found = os.lstat(path).st_mode
    except OSError:
        return  # nothing there to be lost; why it cannot be made, its creation reports
    except ValueError as e:  # a NUL in it
        raise error(f"cannot write {path}: {e}") from e
    if stat.S_ISLNK(found):
        raise error(f"cannot write {path}: it is a symbolic link to {os.readlink(path)}; give that path")
    if not stat.S_ISREG(found):
        why = _other_kind(found, "only regular files are replaced")
        raise error(f"cannot write {path}: {why.strerror or why}")


def _is_written_to(path: Path) -> bool:
    """Whether an output is written to, not replaced."""
    return stream_of(path) is not None or str(path) == SINK


def _same(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file."""
    try:
        return os.path.samestat(os.stat(a), os.stat(b))
    except (OSError, ValueError):  # one of them does not exist
        return False


def write_output(
    path: Path, data: bytes, inputs: Iterable[Path | None] = (), error: ErrorClass = UsageError
) -> None:
    """Write a file that a user named: replaced whole, see check_output() and write_whole().

    A stream (see stream_of) and /dev/null are written to.
    """
    check_output(path, inputs, error)
    if not _is_written_to(path):
        write_whole(path, data, error)
        return
    number = stream_of(path)
    with os_errors(f"cannot write {path}", error):
        descriptor = os.open(SINK, os.O_WRONLY) if number is None else os.dup(number)
        with open(descriptor, "wb") as file:
            file.write(data)


@contextlib.contextmanager
def replacing(
    path: Path, error: ErrorClass = InfrastructureError, mode: int | None = None, exclusive: bool = False
) -> Iterator[Path]:
    """An empty file beside `path`: synced and renamed to it after the block, removed if anything fails.

    mode: of the file, less the umask; None: that of the file it replaces, else 0666.
    exclusive: never replace a file; FileExistsError if there is one.
    """
    if not exclusive:
        check_replaceable(path, error)
    fresh = path.parent / f".{path.name}.{os.getpid()}-{time.monotonic_ns()}.part"
    try:
        _create(fresh, path, mode)
        yield fresh
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        if exclusive:
            os.link(fresh, path)
        else:
            fresh.replace(path)
    except OSError as e:
        if exclusive and isinstance(e, FileExistsError):
            raise
        raise error(f"cannot write {path}: {e.strerror or e}") from e
    finally:
        with contextlib.suppress(OSError):  # renamed, or never created
            fresh.unlink()


def remove_leftovers(directory: Path) -> None:
    """Remove what processes that were killed meanwhile were writing there, see replacing()."""
    if os.name == "nt":  # os.kill() would end the process
        return
    for path in directory.glob(".*.part"):
        found = _PART.fullmatch(path.name)
        if not found or path.is_symlink() or not path.is_file():
            continue
        try:
            os.kill(int(found[1]), 0)
        except ProcessLookupError:
            with contextlib.suppress(OSError):
                path.unlink()
        except (OSError, OverflowError):  # another user's, and alive; or no process id
            continue


def _create(fresh: Path, path: Path, mode: int | None) -> None:
    """Make the empty file that will replace `path`."""
    old = None
    if mode is None:
        with contextlib.suppress(OSError):  # a new file
            old = stat.S_IMODE(os.lstat(path).st_mode)
    first = mode if mode is not None else 0o666 if old is None else 0o600
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, first))
    if old is not None:
        fresh.chmod(old)


def write_whole(
    path: Path,
    data: bytes,
    error: ErrorClass = InfrastructureError,
    mode: int | None = None,
    exclusive: bool = False,
) -> None:
    """Make `path` a file with this content, or leave it as it was; see replacing()."""
    with replacing(path, error, mode, exclusive) as fresh:
        fresh.write_bytes(data)


@frozen
class Lines:
    """An append-only file as read. whole: complete lines without their newline; torn: the rest, or b""."""

    whole: tuple[bytes, ...]
    torn: bytes = b""

    @classmethod
    def split(cls, data: bytes) -> "Lines":
        """The lines of a file's content."""
        *whole, torn = data.split(b"\n")
        return cls(tuple(whole), torn)

    @property
    def note(self) -> str:
        """What is wrong with the last line, "" for nothing."""
        return f"the last line is incomplete: {len(self.torn)} bytes ignored" if self.torn else ""


def read_lines(path: Path, error: ErrorClass = InfrastructureError) -> Lines:
    """Lines of a file that AppendFile wrote: a killed writer may have left a part of the last one."""
    return Lines.split(read_bounded(path, error, LINES_LIMIT_BYTES, follow=False))


@define
class AppendFile:
    """A file of JSON lines, open for appending: one write per line, so a kill tears at most the last one."""

    path: Path
    _file: FileIO

    @classmethod
    def create(cls, path: Path) -> "AppendFile":
        """A new file. InfrastructureError if it exists or cannot be made."""
        with os_errors(f"cannot write {path}"):
            return cls(path, FileIO(path, "xb"))

    @classmethod
    def resume(cls, path: Path) -> "AppendFile":
        """A file that may exist: a torn last line is removed, which needs no room on the disk."""
        with os_errors(f"cannot write {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            check_replaceable(path)
            file = FileIO(path, "ab+")
            file.truncate(_end_of_lines(file))
            return cls(path, file)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write a line, or nothing of it: then InfrastructureError, and a later one may still fit.

        Raises TypeError or ValueError for what JSON cannot express.
        """
        line = json.dumps(entry, ensure_ascii=True, allow_nan=False).encode() + b"\n"
        with os_errors(f"cannot write {self.path}"):
            before = self._file.seek(0, os.SEEK_END)
            written = self._file.write(line)
            if written != len(line):
                self._file.truncate(before)
                raise OSError(f"{written} of {len(line)} bytes were written; is the disk full?")

    def content(self) -> bytes:
        """What was appended, even if the file was removed since. InfrastructureError if the disk fails."""
        with (
            os_errors(f"cannot read {self.path}"),
            open(f"/proc/self/fd/{self._file.fileno()}", "rb") as file,
        ):
            return file.read()

    def sync(self) -> None:
        """Everything appended so far survives a power cut. InfrastructureError if the disk fails."""
        with os_errors(f"cannot write {self.path}"):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._file.closed


def _end_of_lines(file: FileIO) -> int:
    """Offset after the last newline of a file, read from its end in pieces."""
    at = file.seek(0, os.SEEK_END)
    while at > 0:
        start = max(0, at - CHUNK)
        file.seek(start)
        if newline := (file.read(at - start) or b"").rfind(b"\n") + 1:
            return start + newline
        at = start
    return 0


def open_own(
    path: Path, error: ErrorClass = InfrastructureError, *, append: bool = False, shared: bool = False
) -> FileIO:
    """A file that this user keeps, open for reading and writing, made if there is none.

    append: every write goes to its end; shared: another user may own it. Raises `error` for a link, what is
    no regular file, and another user's: where others can write, somebody else may have put it there.
    """
    with os_errors(f"cannot write {path}", error):
        check_replaceable(path, error)  # before it is opened: see open_input()
        flags = os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _NO_WAIT | _BINARY | (os.O_APPEND if append else 0)
        file = FileIO(os.open(path, flags, 0o666), "ab+" if append else "rb+")
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and (shared or found.st_uid == os.getuid()):
            return file
        file.close()
        raise OSError(f"it is user id {found.st_uid}'s, not this user's ({os.getuid()})")


def lock(file: IO[Any] | int, wait: bool = True) -> bool:
    """Take the exclusive lock of an open file or descriptor; False if another process has it, without `wait`.

    Held until the last copy of its descriptor is closed, in children too. Ref: flock(2).
    """
    import fcntl  # noqa: PLC0415 - not on Windows, where nothing that locks runs

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory; waits for it. Windows has no such lock: there the block runs without."""
    try:
        import fcntl  # noqa: F401, PLC0415 - see lock()
    except ImportError:
        yield
        return
    with os_errors(f"cannot lock {directory}", UsageError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lock(descriptor)
        except OSError:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        os.close(descriptor)


def check_private(path: Path, error: ErrorClass = UsageError, what: str = "private key") -> None:
    """Raise `error` if group or others may read the private key `path`. Windows has no such modes.

    what: its name in the message
    """
    with os_errors(f"cannot read {path}", error):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and os.name != "nt":
        raise error(f"{what} {path}: mode {mode:04o} lets others read it; run `chmod 600 {path}`")
