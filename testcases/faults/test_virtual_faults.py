# SPDX-License-Identifier: MIT
"""Faults 55 and 65: a board whose process hangs; `status` beside `down`; directories that are broken."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench.commands.main import main
from mpbench.core.errors import InfrastructureError
from mpbench_virtual import boards, cli
from mpbench_virtual.paths import run_dir
from mpbench_virtual.steps import quiet

pytestmark = pytest.mark.slow
WAIT_S = 60.0


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[boards.StartedBoard]:
    """A board that is up, and off, found by its name as another process finds it."""
    started = boards.start("mp25", "hangs", quiet, lifeline=False)
    monkeypatch.setattr(boards, "STOP_S", 0.5)
    monkeypatch.setattr(cli, "STATE_S", 0.5)
    yield boards.find("hangs")
    assert started.process is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(started.pid, signal.SIGCONT)
    boards.stop(started)
    assert list(boards.boards()) == []


def test_55_a_board_that_hangs_is_reported_and_ended(
    board: boards.StartedBoard, chance: random.Random, capsys: pytest.CaptureFixture[str]
):
    """`status` and power orders return with one line; `down` kills it, with all that it started."""
    if on := chance.random() < 0.3:
        cli.power(board, True)
    os.kill(board.pid, signal.SIGSTOP)
    start = time.monotonic()
    assert main(["virtual", "status"]) == 3
    words = "virtual board hangs: its power port: "
    assert words in capsys.readouterr().err
    with pytest.raises(InfrastructureError, match=words):
        cli.is_on(board)
    assert main(["virtual", "down", "hangs"]) == 0
    assert time.monotonic() - start < WAIT_S
    assert capsys.readouterr() == ("hangs is down\n", "")
    assert not board.directory.exists()
    deadline = time.monotonic() + WAIT_S
    while any(_of_group(board.pid)):
        assert time.monotonic() < deadline, f"on: {on}; processes of the board are left"
        time.sleep(0.01)


def _of_group(group: int) -> Iterator[int]:
    """Processes of a group that are no zombies."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                yield int(stat.parent.name)


def test_65_broken_directories_heal_and_block_no_name(chance: random.Random):
    """Without a lock, or with one that nobody holds: removed; a damaged board file is no error."""
    for number in range(chance.randrange(1, 5)):
        path = run_dir() / f"broken-{number}"
        path.mkdir()
        if chance.random() < 0.5:
            (path / "lock").touch()
        if chance.random() < 0.7:
            text = chance.choice([b"", b"{", b"[]", b'{"name": 1}', b"\xff", b'{"pid": "x"}', b"null"])
            (path / "board.json").write_bytes(text)
    directory, held = boards._claim("broken-0")
    with held:
        (directory / "board.json").write_bytes(chance.choice([b"{", b"\xff", b"[1]", b'{"pid": 1}']))
        assert list(boards.boards()) == []
        assert [path.name for path in run_dir().iterdir() if path.is_dir()] == ["broken-0"]
    boards.remove_stale()
    assert not directory.exists()


def test_65_status_while_boards_go_down(chance: random.Random):
    """A directory that is removed while it is listed is no error."""
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            directory, held = boards._claim(f"b{chance.randrange(4)}")
            (directory / "board.json").write_text('{"name": "b", "pid": 1, "address": "", "ports": {}}')
            for path in chance.sample([directory / "lock", directory / "board.json"], 2):
                path.unlink(missing_ok=True)  # without its lock the board is stale: status may remove it
            with contextlib.suppress(OSError):
                directory.rmdir()
            held.close()

    thread = threading.Thread(target=come_and_go, name="downs")
    thread.start()
    try:
        for _ in range(100):
            assert {b.name for b in boards.boards()} <= {"b"}
    finally:
        ended.set()
        thread.join()
    boards.remove_stale()
