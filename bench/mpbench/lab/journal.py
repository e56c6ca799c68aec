# SPDX-License-Identifier: MIT
"""What a night started and ended, one line each, on the disk before it is relied on: it survives a kill."""

import contextlib
import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import AppendFile, lock, open_own, os_errors, read_lines
from mpbench.core.json_reader import json_object
from mpbench.lab.plan import NightPlan
from mpbench.report.sources import JOURNAL

FILE = JOURNAL
NAME = re.compile(r"(?!\.)[^/\0]+")
"""A job run's name is one part of a path, and not hidden."""


@define
class NightJournal:
    """Lines of one night. `resumed`: an earlier process started the night and did not end it.

    note: what was damaged in journals, "" for nothing
    """

    directory: Path
    resumed: bool
    _file: AppendFile
    _lines: list[dict[str, Any]] = field(factory=list)
    note: str = ""

    @classmethod
    def open(cls, reports: Path, plan: str, now_s: float) -> "NightJournal":
        """The night of this plan that did not end, else a new one. InfrastructureError if the disk fails.

        The open night need not be the last by name: names are wall clock times, and clocks are set.
        """
        nights, notes = {}, []
        for path in (night / FILE for night in nights_of(reports, plan) if (night / FILE).exists()):
            try:
                nights[path.parent] = _read(path)
            except InfrastructureError as fault:  # no later night depends on it
                notes.append(f"an earlier night is not resumed: {fault}")
        unfinished = [night for night, (lines, _) in nights.items() if all(n["kind"] != "end" for n in lines)]
        directory = unfinished[-1] if unfinished else _new_night(reports, plan, now_s)
        file = AppendFile.resume(directory / FILE)
        lines, damaged = nights.get(directory, ([], 0))
        if damaged:
            notes.append(f"{damaged} damaged lines of {FILE} are ignored: units without a line run again")
        return cls(directory, bool(unfinished), file, lines, "; ".join(notes))

    def add(self, kind: str, **values: str) -> None:
        """Add a line, synced to the disk. InfrastructureError if the disk fails; then none of it remains."""
        line = {"kind": kind, **values}
        self._file.append(line)
        self._lines.append(line)
        self._file.sync()

    def held(self) -> list[tuple[str, str]]:
        """Places and reservation tokens that were held and not released."""
        pairs = (((line.get("place"), line.get("token")), line["kind"]) for line in self._lines)
        found = {(p, t): kind for (p, t), kind in pairs if isinstance(p, str) and isinstance(t, str)}
        return [key for key, kind in found.items() if kind == "held"]

    def attempts(self, job_run: str) -> int:
        """How many attempts of a job run were completed."""
        return sum(line["kind"] == "attempt" and line.get("job_run") == job_run for line in self._lines)

    def is_done(self, job_run: str) -> bool:
        """Whether no further attempt follows."""
        return any(line["kind"] == "done" and line.get("job_run") == job_run for line in self._lines)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def nights_of(reports: Path, plan: str) -> list[Path]:
    """Directories that are named as nights of this plan, by name: `aZ-b` is no night of a plan `b`."""
    name = re.compile(rf"\d{{8}}T\d{{6}}Z-{re.escape(plan)}")
    return [path for path in sorted(reports.glob("*")) if name.fullmatch(path.name)]


def _new_night(reports: Path, plan: str, now_s: float) -> Path:
    """A directory name that no night has: a clock that was set back would give one twice."""
    while True:
        stamp = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        directory = reports / f"{stamp}-{plan}"
        if not directory.exists():
            return directory
        now_s += 1


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Lines of a night, and how many are none of ours: one damaged file stops no later night."""
    entries = [json_object(line) for line in read_lines(path).whole]
    ours = [entry for entry in entries if entry is not None and isinstance(entry.get("kind"), str)]
    return ours, len(entries) - len(ours)


@contextlib.contextmanager
def only_night(plan: NightPlan) -> Iterator[None]:
    """Lock the plan's directory of nights for one `mpbench nightly`. UsageError if another one has it."""
    with os_errors(f"cannot write {plan.reports}"):
        plan.reports.mkdir(parents=True, exist_ok=True)
        file = open_own(plan.reports / ".lock", shared=True)
    with file:
        if not lock(file, wait=False):
            raise UsageError(f"another nightly writes to {plan.reports}")
        yield


def job_runs(night: Path) -> list[str]:
    """Names of the job runs that a night's journal lists, those that are a single part of a path.

    InfrastructureError if it cannot be read.
    """
    names = {line.get("job_run") for line in _read(night / FILE)[0]}
    return sorted(name for name in names if isinstance(name, str) and NAME.fullmatch(name))
