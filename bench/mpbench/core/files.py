# SPDX-License-Identifier: MIT
"""Files: replaced whole, appended by whole lines, locked, private keys' modes, reads with a bound.

Errors are one line with path and reason. `error` is the class to raise: InfrastructureError where the bench's
own disk fails, UsageError where a user named the file. Only locks need a module that Windows lacks.
"""

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import IO, Any

from attrs import define, frozen

from mpbench.core.errors import InfrastructureError, UsageError

ErrorClass = type[UsageError] | type[InfrastructureError]
READ_LIMIT_BYTES = 64 * 2**20
"""More than any firmware image or key; /dev/zero must not fill the memory."""


@contextlib.contextmanager
def os_errors(action: str, error: ErrorClass = InfrastructureError) -> Iterator[None]:
    """Raise `error` for an OSError inside; `action` is what failed, e.g. "cannot write x"."""
    try:
        yield
    except OSError as e:
        raise error(f"{action}: {e.strerror or e}") from e


def read_bounded(
    path: Path | str, error: ErrorClass = UsageError, limit_bytes: int = READ_LIMIT_BYTES
) -> bytes:
    """Content of a file. Raises `error` if it cannot be read or has more than `limit_bytes`."""
    with os_errors(f"cannot read {path}", error), open(path, "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise error(f"cannot read {path}: larger than {limit_bytes} bytes")
    return data


@contextlib.contextmanager
def replacing(
    path: Path, error: ErrorClass = InfrastructureError, mode: int = 0o666, exclusive: bool = False
) -> Iterator[Path]:
    """An empty file beside `path`: synced and renamed to it after the block, removed if anything fails.

    mode: of the file, less the umask. exclusive: never replace a file; FileExistsError if there is one.
    """
    fresh = path.parent / f".{path.name}.{os.getpid()}-{time.monotonic_ns()}.part"
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
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


def write_whole(
    path: Path,
    data: bytes,
    error: ErrorClass = InfrastructureError,
    mode: int = 0o666,
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
    with os_errors(f"cannot read {path}", error):
        return Lines.split(path.read_bytes())


def json_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line; None for anything else."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


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
            file = FileIO(path, "ab+")
            file.seek(0)
            file.truncate(file.readall().rfind(b"\n") + 1)
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


def lock(file: IO[Any], wait: bool = True) -> bool:
    """Take the exclusive lock of an open file; False if another process has it and `wait` is False.

    Held until the last copy of its descriptor is closed, in children too. Ref: flock(2).
    """
    import fcntl  # noqa: PLC0415 - not on Windows, where nothing that locks runs

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def check_private(path: Path, error: ErrorClass = UsageError) -> None:
    """Raise `error` if group or others may read the private key `path`. Windows has no such modes."""
    with os_errors(f"cannot read {path}", error):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and os.name != "nt":
        raise error(f"private key {path}: mode {mode:04o} lets others read it; run `chmod 600 {path}`")
