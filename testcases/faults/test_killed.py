# SPDX-License-Identifier: MIT
"""Killed runs and killed boards leak nothing: no QEMU, no port, no memory, no directory (I3)."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpbench.core.shared_files import CHECKOUT
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.steps import quiet
from testcases.contract.servers import children

pytestmark = pytest.mark.slow

DEADLINE_S = 300.0

OWNER = """
import sys, time
from mpbench_virtual import boards, cli, steps
board = boards.start("mp25", "owned", steps.quiet, lifeline=True)
cli.power(board, True)
print(board.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    """Boards of this test only."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def wait_for(condition, what):
    """Poll until `condition` holds: the end of another process' children sends no event."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {DEADLINE_S} s"
        time.sleep(0.05)
    return found


def is_gone(pid):
    """Whether a process has ended; a zombie counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def all_gone(board, pids):
    """Whether processes, ports and directory of a board are gone."""
    if not all(is_gone(pid) for pid in pids) or board.directory.exists():
        return False
    for port in board.ports.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((board.address, port))
    return True


def owned_board():
    """The board that is up, and process ids of the board and of QEMU, once QEMU runs."""
    board = wait_for(lambda: next(iter(boards.boards()), None), "a board")
    qemu = wait_for(lambda: children(board.pid), "QEMU")
    return board, [board.pid, *qemu]


def test_killed_owner_takes_its_board_along():
    """SIGKILL of the process that started a board ends board and QEMU, and frees ports and directory."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout.readline()
        board, pids = owned_board()
        owner.kill()
    wait_for(lambda: all_gone(board, pids), "the end of the board")


def test_killed_pytest_takes_its_board_along(tmp_path):
    """SIGKILL of pytest during a run leaves no QEMU and no port."""
    target = CHECKOUT / "targets/virtual-mp25.yaml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--lg-env", str(target)]
    reports = f"--bench-reports={tmp_path / 'reports'}"
    run = subprocess.Popen([*command, reports, "testcases"], cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    with run:
        board, pids = owned_board()
        run.send_signal(signal.SIGKILL)
    wait_for(lambda: all_gone(board, pids), "the end of the board")


def test_killed_board_process_takes_qemu_along_and_its_place_is_reused():
    """SIGKILL of a board's own process ends QEMU; the next board removes its directory."""
    board = boards.start("mp25", "first", quiet, lifeline=True)
    power(board, True)
    pids = [board.pid, *children(board.pid)]
    assert len(pids) > 1
    os.kill(board.pid, signal.SIGKILL)
    board.process.wait()
    wait_for(lambda: all(is_gone(p) for p in pids), "the end of QEMU")
    assert board.directory.exists()
    second = boards.start("mp25", "first", quiet, lifeline=True)
    assert second.pid != board.pid
    for ended in (board, second):
        boards.stop(ended)
    assert not second.directory.exists()
