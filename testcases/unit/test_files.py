# SPDX-License-Identifier: MIT
"""Files of the bench: whole or not at all, torn lines, locks, modes of keys, bounded reads."""

import errno
import os
import socket
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from mpbench.core import files
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import (
    CHUNK,
    AppendFile,
    Lines,
    check_private,
    lock,
    open_own,
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
    assert read_lines(path).whole == (b'{"n": 1}', b'{"n": 2}')
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
    """A directory is none."""
    with pytest.raises(InfrastructureError, match=rf"cannot read {tmp_path}: Is a directory"):
        read_lines(tmp_path)
    with pytest.raises(InfrastructureError, match=rf"cannot write {tmp_path}: Is a directory"):
        AppendFile.resume(tmp_path)


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


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    """That of a living process, and files with other names, stay."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = [f".a.{dead.pid}-1.part", f".a.{os.getpid()}-1.part", ".a.0-1.part", ".part", "a.1-1.part"]
    for name in names:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path)
    files.remove_leftovers(tmp_path / "none")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])


def test_a_read_has_a_bound(tmp_path: Path):
    """An endless file is refused, not read."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bounded(tmp_path / "x", limit_bytes=5) == b"12345"
    with pytest.raises(UsageError, match=r"cannot read .*x: larger than 4 bytes"):
        read_bounded(tmp_path / "x", limit_bytes=4)
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InfrastructureError, match=r"cannot read .*sparse: larger than 10 bytes"):
        read_bounded(tmp_path / "sparse", InfrastructureError, 10)
    with pytest.raises(UsageError, match=r"cannot read .*none: No such file or directory"):
        read_bounded(tmp_path / "none")


@pytest.fixture
def others(tmp_path: Path):
    """One of each kind that is no regular file, by name, below tmp_path; `link` leads to the file `real`."""
    (tmp_path / "real").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        yield tmp_path


NO_FILE = "; a regular file is needed"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fifo", f"it is a FIFO{NO_FILE}"),
        ("socket", f"it is a socket{NO_FILE}"),
        ("directory", "Is a directory"),
        ("/dev/zero", f"it is a device{NO_FILE}"),
        ("/dev/fd/999", "Bad file descriptor"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_only_regular_files_are_read(others: Path, name: str, why: str):
    """Nothing else is even opened: a FIFO would be waited for, a device has no end."""
    with pytest.raises(UsageError) as found:
        read_bounded(others / name)
    assert str(found.value) == f"cannot read {others / name}: {why}"


def test_a_link_is_read_unless_it_may_not_be(others: Path):
    """Keys and plans may be links; evidence may not, it would publish any file of the host."""
    assert read_bounded(others / "link") == b"precious"
    with pytest.raises(UsageError) as found:
        read_bounded(others / "link", follow=False)
    assert str(found.value) == f"cannot read {others}/link: it is a symbolic link{NO_FILE}"


def test_a_stream_that_is_named_is_read():
    """`<(...)` of a shell and /dev/stdin are pipes, and have the same bound."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"phrase\n")
    os.close(write_end)
    assert read_bounded(f"/dev/fd/{read_end}") == b"phrase\n"
    os.close(read_end)
    code = "from mpbench.core.files import read_bounded; read_bounded('/dev/stdin', limit_bytes=4)"
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run([sys.executable, "-c", code], stdin=zero, stderr=subprocess.PIPE, check=False)
    assert done.stderr.endswith(b"UsageError: cannot read /dev/stdin: larger than 4 bytes\n")


def test_a_file_without_an_end_is_not_waited_for(monkeypatch):
    """/proc/kmsg is a regular file by its mode, and blocks whoever reads it."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    monkeypatch.setattr(files, "open_input", lambda *_, **__: os.fdopen(read_end, "rb"))
    with pytest.raises(UsageError, match=r"^cannot read /proc/kmsg: it has no end yet$"):
        read_bounded("/proc/kmsg")
    os.close(write_end)


REPLACED = "; only regular files are replaced"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fifo", f"it is a FIFO{REPLACED}"),
        ("socket", f"it is a socket{REPLACED}"),
        ("directory", "Is a directory"),
        ("link", "it is a symbolic link to real; give that path"),
        ("/dev/null", f"it is a device{REPLACED}"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_only_regular_files_are_replaced_and_appended_to(others: Path, name: str, why: str):
    """What a link leads to is intact, and nothing of another kind is taken away."""
    before = sorted((p.name, p.lstat().st_mode) for p in others.iterdir())
    for write in (lambda path: write_whole(path, b"x"), AppendFile.resume):
        with pytest.raises(InfrastructureError) as found:
            write(others / name)
        assert str(found.value) == f"cannot write {others / name}: {why}"
    assert sorted((p.name, p.lstat().st_mode) for p in others.iterdir()) == before
    assert (others / "real").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("link", "it is a symbolic link to "),
        ("dangling", "it is a symbolic link to "),
        ("fifo", "it is a FIFO"),
        ("directory", "Is a directory"),
    ],
)
def test_a_file_of_ones_own_is_no_link_and_no_fifo(tmp_path: Path, name: str, why: str):
    """Nothing is made, emptied or waited for elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with pytest.raises(InfrastructureError, match=f"cannot write {tmp_path / name}: {why}"):
        open_own(tmp_path / name)
    assert victim.read_text() == "kept"
    assert not (tmp_path / "new").exists()


def test_a_file_of_another_user_is_not_ones_own(tmp_path: Path, monkeypatch):
    """But for one that users share."""
    path = tmp_path / "file"
    with open_own(path, append=True) as file:
        file.write(b"a")
        file.seek(0)
        file.write(b"b")
    assert path.read_bytes() == b"ab"
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(InfrastructureError, match=r"it is user id \d+'s, not this user's \(4242\)"):
        open_own(path)
    with open_own(path, shared=True) as file:
        file.write(b"c")
    assert path.read_bytes() == b"cb"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int):
    """What its owner alone may read is not opened to others by a new version."""
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / "out").chmod(mode)
    write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_torn_line_of_any_length_is_removed(tmp_path: Path):
    """It is found from the end, in pieces."""
    path = tmp_path / "log"
    for torn in (b"", b"x", b"x" * (CHUNK - 1), b"x" * (3 * CHUNK)):
        path.write_bytes(b"{}\n" + torn)
        AppendFile.resume(path).close()
        assert path.read_bytes() == b"{}\n"
    path.write_bytes(b"x" * (CHUNK + 1))
    AppendFile.resume(path).close()
    assert path.read_bytes() == b""


def test_no_module_of_linux_is_imported():
    """Whoever signs at Windows reads and writes files too."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['fcntl', 'termios', 'pwd', 'grp', 'resource']))\n"
        "import mpbench.core.files\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
