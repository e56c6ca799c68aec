# SPDX-License-Identifier: MIT
"""Live display while notifications are timed: a histogram in the terminal, 4 rows per octave."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import define

from mpbench.core.histogram import Histogram

ROWS_PER_OCTAVE = 4
WIDTH = 50
ROWS = 24
SHARES = 10
"""Lines of progress without a terminal."""


def bars(h: Histogram, width: int = WIDTH) -> Iterator[str]:
    """A line per quarter of an octave, from the first that has samples to the last. Pure."""
    if not h.counts:
        return
    rows: dict[int, int] = {}
    for low, _, count in h.buckets():
        row = math.floor(ROWS_PER_OCTAVE * math.log2(max(1, low)))
        rows[row] = rows.get(row, 0) + count
    most = max(rows.values())
    first = max(min(rows), max(rows) - ROWS + 1)
    for row in range(first, max(rows) + 1):
        count = rows.get(row, 0)
        bar = "█" * math.ceil(width * count / most)
        yield f"{2 ** (row / ROWS_PER_OCTAVE) / 1e3:>10.1f} µs {count:>8} {bar}"


def summary(h: Histogram) -> str:
    """Percentiles in one line."""
    return ", ".join(f"{name} {value / 1e3:.1f} µs" for name, value in h.summary())


@define
class Live:
    """Redraws itself on a terminal; otherwise prints a line per tenth of the samples."""

    wanted: int
    capture: Any
    out: Callable[[str], object] = sys.stdout.write
    terminal: bool = False
    _drawn: int = 0
    _shown: int = -1

    def show(self, h: Histogram) -> None:
        """Display the notifications so far."""
        with self.capture.global_and_fixture_disabled():
            if self.terminal:
                lines = [f"{h.total} of {self.wanted} notifications", *bars(h), summary(h)]
                back = f"\033[{self._drawn}A" if self._drawn else "\n"
                self.out(back + "".join(f"\033[K{line}\n" for line in lines) + "\033[J")
                self._drawn = len(lines)
            else:
                self._progress(h)
            sys.stdout.flush()

    def outliers(self, rows: Iterable[Sequence[str]]) -> None:
        """The slowest ones at the end: total, longest segment, CPU, then a line for each CPU activity."""
        with self.capture.global_and_fixture_disabled():
            self.out("\nslowest:\n")
            for total, segment, cpu, activity in rows:
                self.out(f"  {total:>12}  {segment}  (CPU {cpu})\n")
                for one in activity.split("; ") if activity else ["CPU activity was not recorded"]:
                    self.out(f"  {'':>12}    {one}\n")
            sys.stdout.flush()

    def _progress(self, h: Histogram) -> None:
        share = SHARES * h.total // self.wanted
        if share != self._shown:
            self._shown = share
            self.out(f"\n{h.total} of {self.wanted} notifications: {summary(h)}")
