# SPDX-License-Identifier: MIT
"""Records of a unit, one job on one place of a night: only its own are read, a damaged one invalidates it."""

import hashlib
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.record import LOG, Run, in_order, read, safe_name
from mpbench.core.verdict import Judgement, of_unit, outcome
from mpbench.harness.resume import Resumed, of_records

NAMED_LETTERS = 60
DIGITS = 16
"""Of the hash at the end of a unit's name: names that are equal as far as they can be read do not collide."""


def unit_name(job: str, place: str, definition: str = "") -> str:
    """Name of a unit's directory and log: readable, and of no other job, place, or definition of the job."""
    whole = f"{job}\0{place}\0{definition}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(whole).hexdigest()
    return f"{safe_name(f'{job}-{place}')[:NAMED_LETTERS]}-{digest[:DIGITS]}"


@frozen
class UnitRecords:
    """What the runs of a unit left. damaged: why they cannot be trusted, "" if they can."""

    title: str
    runs: tuple[Run, ...]
    damaged: str = ""

    @classmethod
    def read(cls, directory: Path, title: str) -> "UnitRecords":
        """The records below the unit's directory, each run after the one that it continues.

        title: of the unit; "" for what the first record says
        """
        found: list[Run] = []
        wrong: list[str] = []
        for log in sorted(directory.glob(f"*/{LOG}")):
            try:
                run = read(log.parent)
            except UsageError as e:
                wrong.append(f"a record of an earlier attempt is damaged: {e}")
                continue
            unit = run.start.unit if run.start else title
            title = title or unit
            if unit != title and not outcome(run).old:
                wrong.append(f"{log} is a record of another unit: {unit or 'a run of its own'}")
            else:
                found.append(run)
        known = [run for run in found if run.lines] or found  # a kill before the first line leaves nothing
        return cls(title or directory.name, tuple(in_order(known)), wrong[0] if wrong else "")

    @property
    def state(self) -> Resumed:
        """What is open and what is settled."""
        return of_records(self.runs)

    @property
    def judgement(self) -> Judgement:
        """The verdict of the unit: INVALID if its records are damaged, INCOMPLETE if nothing was run."""
        if self.damaged:
            return Judgement(Verdict.INVALID, (f"{self.title}: {self.damaged}",))
        found = of_unit([outcome(run) for run in self.runs])
        return Judgement(found.verdict, tuple(f"{self.title}: {cause}" for cause in found.causes))
