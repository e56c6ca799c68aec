# SPDX-License-Identifier: MIT
"""Files of the bench: whole or not at all, torn lines, locks, modes of keys, bounded reads."""

import errno
import os
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import (
    AppendFile,
    Lines,
    check_private,
    json_object,
    lock,
    read_bounded,
    read_lines,
    replacing,
    write_whole,
)


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- replaced whole


def test_a_file_is_replaced_whole_with_the_mode_asked_for(tmp_path: Path):
    """New content, the mode less the umask, and nothing else in the directory."""
    path = tmp_path / "key.pem"
    path.write_bytes(b"old")
    write_whole(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("error", [UsageError, InfrastructureError])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, error):
    """Before the rename nothing of the old file is touched; the error's class is the caller's choice."""
    path = tmp_path / "page"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(error, match=rf"^cannot write {path}: No space left on device$"):
        write_whole(path, b"new", error)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["page"]


def test_an_exception_in_the_block_removes_the_temporary_file(tmp_path: Path):
    """Also one that has nothing to do with the disk."""

    def interrupted() -> None:
        with replacing(tmp_path / "page") as fresh:
            fresh.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "reason"), [("none/x", "No such file"), ("directory", "Is a directory")])
def test_a_path_that_cannot_be_written_is_named(tmp_path: Path, name: str, reason: str):
    """A missing directory, a directory in the file's place."""
    (tmp_path / "directory").mkdir()
    with pytest.raises(InfrastructureError, match=rf"cannot write {tmp_path}/{name}: {reason}"):
        write_whole(tmp_path / name, b"x")


def test_an_exclusive_file_is_never_replaced(tmp_path: Path):
    """The first writer wins; the second gets FileExistsError and leaves nothing."""
    path = tmp_path / "key"
    write_whole(path, b"first", exclusive=True)
    with pytest.raises(FileExistsError):
        write_whole(path, b"second", exclusive=True)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("key", b"first")]


# --- appended by lines


def test_lines_are_appended_and_read_again(tmp_path: Path):
    """A file continues where it was, without the torn last line of a killed writer."""
    path = tmp_path / "new" / "journal.jsonl"
    first = AppendFile.resume(path)
    first.append({"n": 1})
    first.sync()
    first.close()
    first.close()
    assert first.closed
    with path.open("ab") as file:
        file.write(b'{"n": 2')
    assert read_lines(path) == Lines((b'{"n": 1}',), b'{"n": 2')
    assert read_lines(path).note == "the last line is incomplete: 7 bytes ignored"
    second = AppendFile.resume(path)
    second.append({"n": 2})
    second.close()
    assert [json_object(line) for line in read_lines(path).whole] == [{"n": 1}, {"n": 2}]
    assert read_lines(path).note == ""


def test_a_new_file_is_new(tmp_path: Path):
    """create() refuses what is there."""
    AppendFile.create(tmp_path / "log").close()
    with pytest.raises(InfrastructureError, match=rf"cannot write {tmp_path}/log: File exists"):
        AppendFile.create(tmp_path / "log")


class HalfFile(FileIO):
    """A file that takes ten bytes of a line, as a full disk does."""

    def write(self, data):
        return super().write(bytes(data)[:10])


def test_a_line_that_fits_in_part_leaves_nothing(tmp_path: Path):
    """The reason has both numbers."""
    made = AppendFile(tmp_path / "log", HalfFile(tmp_path / "log", "ab"))
    with pytest.raises(InfrastructureError, match=r"log: 10 of 16 bytes were written; is the disk full\?"):
        made.append({"key": "long"})
    assert (tmp_path / "log").read_bytes() == b""
    made.close()


def test_a_full_disk_is_reported_by_append_and_sync(tmp_path: Path, monkeypatch):
    """Neither ends as an OSError."""
    full = AppendFile(tmp_path / "log", FileIO("/dev/full", "ab"))
    with pytest.raises(InfrastructureError, match="log: No space left on device"):
        full.append({})
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InfrastructureError, match="log: No space left on device"):
        full.sync()
    full.close()


def test_lines_that_cannot_be_read_are_reported(tmp_path: Path):
    """A directory, and what is no JSON object."""
    with pytest.raises(InfrastructureError, match=rf"cannot read {tmp_path}: Is a directory"):
        read_lines(tmp_path)
    with pytest.raises(InfrastructureError, match=rf"cannot write {tmp_path}: Is a directory"):
        AppendFile.resume(tmp_path)
    assert [json_object(line) for line in (b"[1]", b"{", b"\xff", b"null")] == [None] * 4


# --- locks, modes, reads


def test_a_lock_excludes_another_process(tmp_path: Path):
    """It is free again once the file is closed."""
    code = "import sys; from mpbench.core.files import lock; sys.exit(lock(open(sys.argv[1]), wait=False))"
    path = tmp_path / "lock"
    with path.open("w") as file:
        assert lock(file)
        assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int):
    """The message has the mode and the command that mends it."""
    path = tmp_path / "key.pem"
    path.write_text("")
    path.chmod(mode)
    words = rf"^private key {path}: mode {mode:04o} lets others read it; run `chmod 600 {path}`$"
    with pytest.raises(InfrastructureError, match=words):
        check_private(path, InfrastructureError)
    path.chmod(0o600)
    check_private(path)
    with pytest.raises(UsageError, match=r"cannot read .*none: No such file"):
        check_private(tmp_path / "none")


def test_windows_has_no_modes(tmp_path: Path, monkeypatch):
    """There every file has the bits of others, which mean nothing."""
    path = tmp_path / "key.pem"
    path.write_text("")
    path.chmod(0o666)
    monkeypatch.setattr(os, "name", "nt")
    check_private(path)
    monkeypatch.undo()


def test_a_read_has_a_bound(tmp_path: Path):
    """An endless file is refused, not read."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bounded(tmp_path / "x", limit_bytes=5) == b"12345"
    with pytest.raises(UsageError, match=r"cannot read .*x: larger than 4 bytes"):
        read_bounded(tmp_path / "x", limit_bytes=4)
    with pytest.raises(InfrastructureError, match="cannot read /dev/zero: larger than 10 bytes"):
        read_bounded("/dev/zero", InfrastructureError, 10)
    with pytest.raises(UsageError, match=r"cannot read .*none: No such file or directory"):
        read_bounded(tmp_path / "none")


def test_no_module_of_linux_is_imported():
    """Whoever signs at Windows reads and writes files too."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['fcntl', 'termios', 'pwd', 'grp', 'resource']))\n"
        "import mpbench.core.files\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
