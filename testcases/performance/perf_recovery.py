# SPDX-License-Identifier: MIT
"""P11: time that the bench adds to a crash-recovery cycle, against the time that the board itself takes.

The board's own time is that of a script on the board which makes the firmware fail and then only waits for
the first beat after the next boot: tick of the firmware, expiry of its watchdog, recovery with authentication
and load, first beat. It is measured as a command, minus the round trip of an empty one. The bench's time is
that of a crash in a test case: predicted, provoked, observed, compared. Both are taken in turns, and the
difference of the medians is what the bench adds; reads during the wait for the first beat add nothing.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from mpbench.recovery.fixture import Crashes
from testcases.crash_rig import crashes_on, opened, recorder
from testcases.performance.rows import Action, Board, Row, medians

NUMBERS = ("P11",)
CYCLES = 20
SHARE = 0.10
LONG_S = 30.0

PACE = "/tmp/mpbench-p11"
ALONE = """
exec 9<>$pace
look() { { read -r a && read -r a; } <$trace && set -- $a && boot=$2 beat=$4; }
look; was=$boot
$fail
until look && [ "$boot" != "$was" ] && [ "$beat" != 00000000 ]; do read -r -t 0.001 a <&9; done
"""
"""Polls every millisecond, without starting a program."""


def benchmarks(board: Board | None) -> Iterator[Row]:
    """Nothing without a board."""
    if board is None:
        return
    target = board.target
    with opened(target) as found, recorder(found) as trace, crashes_on(target, found, trace) as crashes:
        for core in crashes.bench.profile.cores:
            yield _cycle(crashes, core.name)


def _cycle(crashes: Crashes, core: str) -> Row:
    fail = crashes.start(core).fail_command()
    session: Any = crashes.bench.board.session
    alone = f"pace={PACE} trace={crashes.debug(core, 'trace0')}; {ALONE.replace('$fail', fail)}"
    session.execute(f"mkfifo {PACE}")
    ours_s, command_s = medians(lambda: _whole(crashes, core), lambda: session.execute(alone, LONG_S), CYCLES)
    session.execute(f"rm {PACE}")
    board_s = command_s - _seconds(lambda: session.execute(f"exec 9<>{PACE}"))
    what = f"{core}: crash until the first beat after recovery, {(ours_s / board_s - 1):.1%} more"
    return Row("P11", what, "board alone", board_s, ours_s, "≤ 10 % more", ours_s <= (1 + SHARE) * board_s)


def _whole(crashes: Crashes, core: str) -> None:
    crashes.watchdog(core, record=False).check("sequence", "commands", "state", "boots", "beating")


def _seconds(action: Action) -> float:
    """Median time."""
    taken = []
    for _ in range(CYCLES):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
