# SPDX-License-Identifier: MIT
"""Which job runs on which places. Pure but for the bench's version."""

import json
from collections.abc import Mapping, Sequence

from attrs import frozen

from mpbench.core.sanitize import visible
from mpbench.core.version import bench_version
from mpbench.lab.coordinator import PlaceInfo
from mpbench.lab.plan import ALL, Job, NightPlan
from mpbench.lab.unit import unit_name


@frozen
class JobRun:
    """One job on one place."""

    job: Job
    place: str

    @property
    def name(self) -> str:
        """Name of its directory and log; no other job run has it, nor this one with another plan or bench."""
        job = self.job
        definition = [str(job.target), job.tests, job.options, sorted(job.variables.items()), bench_version()]
        return unit_name(job.name, self.place, json.dumps(definition))

    @property
    def title(self) -> str:
        """Its name in messages and in its records."""
        return visible(f"{self.job.name} on {self.place}")


@frozen
class Assignment:
    """What will be run, and a line for everything else.

    declared: what the plan itself leaves out, its quarantine
    missing:  what the plan asks for and no place can run; the night is INCOMPLETE
    """

    runs: tuple[JobRun, ...]
    declared: tuple[str, ...]
    missing: tuple[str, ...]

    def by_place(self) -> list[list[JobRun]]:
        """The runs of each place, in their order."""
        found: dict[str, list[JobRun]] = {}
        for run in self.runs:
            found.setdefault(run.place, []).append(run)
        return list(found.values())


def assign(plan: NightPlan, places: Sequence[PlaceInfo], quarantined: Mapping[str, str]) -> Assignment:
    """Assign jobs to places by tags, free places first. quarantined: reason by place, beside the plan's."""
    runs: list[JobRun] = []
    declared: list[str] = []
    missing: list[str] = []
    out = {**quarantined, **plan.quarantine}
    for job in plan.jobs:
        fit = [p for p in places if job.tags.items() <= p.tags.items()]
        for p in (p for p in fit if p.name in out):
            where = declared if p.name in plan.quarantine else missing
            where.append(f"{JobRun(job, p.name).title}: in quarantine: {out[p.name]}")
        usable = sorted((p for p in fit if p.name not in out), key=lambda p: (bool(p.acquired), p.name))
        wanted = len(usable) if job.boards == ALL else job.boards
        if len(usable) < wanted or not usable:
            tags = ", ".join(f"{k}={v}" for k, v in job.tags.items())
            missing.append(f"{job.name}: {len(usable)} usable places with tags {tags}, {wanted or 1} needed")
        runs += [JobRun(job, p.name) for p in usable[:wanted]]
    return Assignment(tuple(runs), tuple(declared), tuple(missing))
