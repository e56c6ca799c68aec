# SPDX-License-Identifier: MIT
"""Fault tests search for leaks in a directory of their own, so that other runs on this host do not matter."""

import fcntl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from mpbench.core.directories import runtime_dir
from mpbench_virtual import boards
from mpbench_virtual.paths import run_dir
from testcases.faults.conftest import held

LONGEST_SOCKET = 107
"""Ref: unix(7), sun_path"""
WHERE = (
    "import tempfile; from mpbench.core.directories import runtime_dir; "
    "print(tempfile.gettempdir(), runtime_dir())"
)


def test_children_share_the_place_of_these_tests(own_place: Path) -> None:
    """Temporary files and boards of this process and of its children are in one directory."""
    done = subprocess.run([sys.executable, "-c", WHERE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [tempfile.gettempdir(), str(runtime_dir())] == [str(own_place)] * 2


def test_a_board_of_these_tests_has_room_for_its_sockets() -> None:
    """The longest name of a board that a target file starts gives a socket path that Linux accepts."""
    socket = run_dir() / f"run-{2**22}-99-virtual-mp25-spi" / "console.sock"
    assert len(bytes(socket)) <= LONGEST_SOCKET


def test_only_what_is_left_in_the_own_place_is_a_leak(own_place: Path, tmp_path: Path) -> None:
    """A file elsewhere is not counted as a leak; a file below the directory is, at any depth."""
    before = held(own_place)
    with tempfile.NamedTemporaryFile(prefix="mpbench-", dir=own_place.parent):
        assert held(own_place)["files"] == before["files"]
    with tempfile.TemporaryDirectory() as folder:
        leak = Path(folder) / "left"
        leak.touch()
        assert held(own_place)["files"] - before["files"] == {str(leak)}
    assert not tmp_path.is_relative_to(own_place)


def test_a_board_that_is_just_being_made_is_not_cleared_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a new board's directory is locked, the cleanup of another run waits."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with boards._cleanup_lock():
        other = threading.Thread(target=boards.remove_stale)
        other.start()
        (run_dir() / "mine").mkdir()
        lock = (run_dir() / "mine/lock").open("w")
        other.join(0.2)
        assert other.is_alive()
        fcntl.flock(lock, fcntl.LOCK_EX)
    other.join()
    assert (run_dir() / "mine/lock").exists()
    lock.close()
    boards.remove_stale()
    assert not (run_dir() / "mine").exists()
