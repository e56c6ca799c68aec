# SPDX-License-Identifier: MIT
"""Everything that is in a directory: files by SHA-256, directories, and what is neither."""

import hashlib
import os
import stat
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import UsageError
from mpbench.core.files import CHUNK, KINDS, LINES_LIMIT_BYTES, open_input, os_errors

MOST = 200_000
"""Entries; a manifest has room for half as many."""


@frozen
class FileEntry:
    """A regular file."""

    size: int
    sha256: str


@frozen
class Tree:
    """By name below the directory, with `/`. odd: what is no file of a report, and what it is."""

    files: Mapping[str, FileEntry]
    directories: tuple[str, ...]
    odd: Mapping[str, str]


def tree_of(directory: Path, without: Container[str] = ()) -> Tree:
    """All of it but the names `without`; links are not followed, nothing but regular files is opened.

    UsageError: a directory or file that cannot be read, or that changes.
    """
    files: dict[str, FileEntry] = {}
    directories: list[str] = []
    odd: dict[str, str] = {}
    for number, (name, found) in enumerate(_entries(directory)):
        mode = found.st_mode
        if number == MOST:
            raise UsageError(f"{directory} has more than {MOST} files: is it the directory of one report?")
        if stat.S_ISDIR(mode):
            directories.append(name)
        elif not stat.S_ISREG(mode):
            odd[name] = KINDS.get(stat.S_IFMT(mode), "of no known kind")
        elif found.st_size > LINES_LIMIT_BYTES:
            odd[name] = f"larger than {LINES_LIMIT_BYTES} bytes"
        elif name not in without:
            files[name] = _file(directory / name)
    return Tree(dict(sorted(files.items())), tuple(sorted(directories)), dict(sorted(odd.items())))


def _entries(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a directory, by name."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        path = directory / below
        with os_errors(f"cannot read {path}", UsageError), os.scandir(path) as found:
            for entry in found:
                status = entry.stat(follow_symlinks=False)
                name = f"{below}/{entry.name}" if below else entry.name
                yield name, status
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(name)


def _file(path: Path) -> FileEntry:
    with open_input(path, UsageError, follow=False) as file, os_errors(f"cannot read {path}", UsageError):
        digest = hashlib.sha256()
        while data := file.read(CHUNK):
            digest.update(data)
        return FileEntry(file.tell(), digest.hexdigest())
