# SPDX-License-Identifier: MIT
"""P11: what the bench adds to a crash-recovery cycle, against the time that the board itself takes."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from bench import gather
from bench.plugin.recovery import Crashes
from testcases.crash_rig import crashes_on, opened, recorder
from testcases.performance.rows import Board, Row

NUMBERS = ("P11",)
CYCLES = 20
SHARE = 0.10


def benchmarks(board: Board | None) -> Iterator[Row]:
    """Nothing without a board."""
    if board is None:
        return
    target = board.target
    with opened(target) as found, recorder(found) as trace, crashes_on(target, found, trace) as crashes:
        for core in crashes.bench.profile.cores:
            yield _cycle(crashes, core.name)


def _cycle(crashes: Crashes, core: str) -> Row:
    """Whole cycles, and what of them was waiting: for the watchdog and the recovery, then for a heartbeat."""
    crashes.start(core)
    totals, waits = [], []
    for number in range(CYCLES + 1):
        waited: list[float] = []
        with _timed(crashes.bench.board, waited):
            step = crashes.watchdog(core, record=False)
        step.check("sequence", "state", "beating")
        if number:
            totals.append(step.duration_ns / 1e9)
            waits.append(sum(waited))
    costs = [total - wait for total, wait in zip(totals, waits, strict=True)]
    board_s, ours_s = statistics.median(waits), statistics.median(costs)
    what = f"bench's part of a {core} crash cycle"
    return Row("P11", what, "board's own time", board_s, ours_s, "≤ 10 %", ours_s <= SHARE * board_s)


@contextmanager
def _timed(board: Any, waited: list[float]) -> Iterator[None]:
    """Note how long the bench waits for the board: for a line of the kernel, and for two beats."""

    def timed(action: Callable[..., Any], collect: Callable[[Any], Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            begin = time.perf_counter()
            try:
                return collect(action(*args))
            finally:
                waited.append(time.perf_counter() - begin)

        return wrapped

    line = mock.patch.object(board.kmsg, "wait_for", timed(board.kmsg.wait_for, bool))
    beats = mock.patch.object(gather, "trace_samples", timed(gather.trace_samples, list))
    with line, beats:
        yield
