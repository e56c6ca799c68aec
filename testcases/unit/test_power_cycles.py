# SPDX-License-Identifier: MIT
"""The count of power cycles: what has grown, and an interrupt."""

from typing import Any

from attrs import evolve

from testcases.contract import power_cycles
from testcases.contract.power_cycles import GROWTH_BYTES, Held, grown, summary

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
    assert power_cycles.cycles(board, 9) == [1.5, 1.5]
    assert done == [board, board, (board, False)]


def test_the_summary_says_how_far_it_came(capsys):
    """Cycles, times, and what has grown; exit code 1 then."""
    assert summary([1.0, 2.0, 4.0], 3, HELD, HELD) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"3 power cycles: 1.00 to 4.00 s to an answer, median 2.00 s; {HELD}",
        "nothing has grown",
    ]
    after = evolve(HELD, files=8)
    assert summary([1.0], 3, HELD, after) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"1 power cycles of 3, interrupted: 1.00 to 1.00 s to an answer, median 1.00 s; {after}",
        "files: 7 before, 8 after",
    ]
