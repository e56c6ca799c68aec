# SPDX-License-Identifier: MIT
"""`--bench-soak 500x` or `2h`: the length of soak tests, their progress, and how they are resumed."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from mpbench.core.errors import UsageError
from mpbench.core.files import AppendFile, os_errors, read_lines
from mpbench.core.json_reader import json_object
from mpbench.harness.options import GOAL, NO_GOAL

UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
LINES = 20
"""Without a terminal, progress is at most this many lines."""


@frozen
class Goal:
    """When a soak is done: after a number of cycles or of seconds, the other being None."""

    text: str
    cycles: int | None
    seconds: float | None

    def share(self, cycles: int, seconds: float) -> float:
        """Share that is done, 0 to 1."""
        part = cycles / self.cycles if self.cycles else seconds / (self.seconds or 1.0)
        return min(1.0, part)


def goal(text: str) -> Goal:
    """Goal of `text`: a count of cycles or a time. UsageError for anything else."""
    found = GOAL.fullmatch(text.strip())
    if not found:
        raise UsageError(NO_GOAL.format(text))
    number, unit = int(found[1]), found[2]
    return Goal(text, number, None) if unit == "x" else Goal(text, None, float(number * UNITS_S[unit]))


@define
class SoakJournal:
    """The cycles of a soak, a JSON line each, written as soon as they are done.

    `key` identifies the soak; a journal of another one, or a complete one, is started again.
    """

    path: Path
    key: str
    cycles: list[Mapping[str, Any]] = field(factory=list)
    resumed: int = 0
    _file: AppendFile = field(init=False)

    def open(self) -> None:
        """Read the cycles done so far, append from there. InfrastructureError if the disk rejects writes."""
        self.cycles = self._done()
        self.resumed = len(self.cycles)
        if not self.cycles and self.path.exists():
            with os_errors(f"cannot write {self.path}"):
                self.path.unlink()
        self._file = AppendFile.resume(self.path)
        if not self.cycles:
            self._file.append({"key": self.key})

    def _done(self) -> list[Mapping[str, Any]]:
        """Cycles of an unfinished soak with this key; a truncated last line is that of a killed run."""
        whole = read_lines(self.path).whole if self.path.exists() else ()
        lines = [json_object(line) or {} for line in whole]
        if not lines or lines[0].get("key") != self.key or lines[-1].get("complete"):
            return []
        return [line for line in lines[1:] if "n" in line and type(line.get("took_s", 0.0)) in (int, float)]

    def add(self, **values: Any) -> None:
        """Append a cycle."""
        self.cycles.append({"n": len(self.cycles) + 1, **values})
        self._file.append(self.cycles[-1])

    def complete(self) -> None:
        """Mark the goal as reached: the next soak starts again."""
        self._file.append({"complete": True})

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@define
class Soak:
    """Cycles until the goal is reached, with a progress line."""

    goal: Goal
    name: str
    journal: SoakJournal
    show: Callable[[str, bool], None]
    clock_s: Callable[[], float] = time.monotonic
    note: str = ""
    _shown: int = -1

    def cycles(self) -> Iterator[int]:
        """Numbers of the remaining cycles; the caller runs one and adds it to the journal."""
        start_s, before_s = self.clock_s(), sum(c.get("took_s", 0.0) for c in self.journal.cycles)
        while True:
            done, spent_s = len(self.journal.cycles), before_s + self.clock_s() - start_s
            share = self.goal.share(done, spent_s)
            self._progress(done, share, self.clock_s() - start_s)
            if share >= 1.0:
                self.journal.complete()
                return
            yield done + 1

    def _progress(self, done: int, share: float, elapsed_s: float) -> None:
        line = f"soak {self.name}: {done} cycles of {self.goal.text}, {int(100 * share)}%"
        fresh = done - self.journal.resumed
        if fresh and 0 < share < 1 and self.goal.cycles:
            line += f", {_time((self.goal.cycles - done) * elapsed_s / fresh)} left"
        elif self.goal.seconds:
            line += f", {_time(self.goal.seconds * (1 - share))} left"
        line += ", resumed" if done and not fresh else ""
        step = int(share * LINES)
        self.show(line + self.note, step != self._shown)
        self._shown = step


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
