# SPDX-License-Identifier: MIT
"""The count of power cycles: what has grown, and an interrupt."""

import os
import socket
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from testcases.contract import power_cycles
from testcases.contract.power_cycles import GROWTH_BYTES, Cycles, Held, grown, summary

HELD = Held(descriptors=20, threads=9, children=0, files=7, resident_bytes=50 << 20)


def test_what_has_grown_is_named():
    """A descriptor more; memory by more than its allowance; fewer of something is no leak."""
    after = evolve(HELD, descriptors=21, threads=8, resident_bytes=HELD.resident_bytes + GROWTH_BYTES + 1)
    assert grown(HELD, after) == [
        "descriptors: 20 before, 21 after",
        "resident bytes: 52428800 before, 60817409 after",
    ]
    assert grown(HELD, evolve(HELD, resident_bytes=HELD.resident_bytes + GROWTH_BYTES)) == []


def test_an_interrupt_ends_the_cycles_and_switches_the_board_off(monkeypatch):
    """Those before it count."""
    board: Any = "board"
    done: list[Any] = []

    def cycle(board):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(board)
        return 1.5

    monkeypatch.setattr(power_cycles, "cycle", cycle)
    monkeypatch.setattr(power_cycles, "power", lambda board, on: done.append((board, on)))
    assert power_cycles.cycles(board, 9) == Cycles(2, [1.5, 1.5])
    assert done == [board, board, (board, False)]


def test_one_cycle_in_some_has_an_answer(monkeypatch):
    """The others are cut before the time that an answer takes, each at a moment of its own."""
    board: Any = "board"
    cuts: list[float] = []
    monkeypatch.setattr(power_cycles, "cycle", lambda _: 1.5)
    monkeypatch.setattr(power_cycles, "cut", lambda _, after_s: cuts.append(after_s))
    assert power_cycles.cycles(board, 9, every=4) == Cycles(9, [1.5] * 3)
    assert len(set(cuts)) == 6
    assert all(0 <= after_s <= 1.5 for after_s in cuts)


def test_a_process_that_stays_after_a_cut_is_told(monkeypatch):
    """QEMU goes with the power."""
    with socket.create_server(("127.0.0.1", 0)) as console:
        board: Any = SimpleNamespace(
            address="127.0.0.1", ports={"console": console.getsockname()[1]}, pid=os.getpid()
        )
        monkeypatch.setattr(power_cycles, "power", lambda *_: None)
        power_cycles.cut(board, 0.0)
        with (
            subprocess.Popen(["cat"], stdin=subprocess.PIPE) as left,
            pytest.raises(AssertionError, match=rf"cut after 0\.00 s, but processes \[{left.pid}\]"),
        ):
            power_cycles.cut(board, 0.0)


def test_the_summary_says_how_far_it_came(capsys):
    """Cycles, times, and what has grown; exit code 1 then."""
    assert summary(Cycles(5, [1.0, 2.0, 4.0]), 5, HELD, HELD) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"5 power cycles, 2 cut at a random moment: 1.00 to 4.00 s to an answer, median 2.00 s; {HELD}",
        "nothing has grown",
    ]
    after = evolve(HELD, files=8)
    assert summary(Cycles(1, [1.0]), 3, HELD, after) == 1
    assert capsys.readouterr().out.splitlines() == [
        "1 power cycles of 3, interrupted, 0 cut at a random moment: "
        f"1.00 to 1.00 s to an answer, median 1.00 s; {after}",
        "files: 7 before, 8 after",
    ]


@pytest.mark.parametrize("words", [["-n", "0"], ["--every", "0"], ["--every", "-3"]])
def test_a_number_below_one_is_refused(capsys, words):
    with pytest.raises(SystemExit) as raised:
        power_cycles.main(words)
    assert raised.value.code == 2
    assert f"-n and --every are 1 at least, not {words[1]}" in capsys.readouterr().err
