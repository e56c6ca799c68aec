# SPDX-License-Identifier: MIT
"""Which job runs on which places. Pure."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from mpbench.core.record import safe_name
from mpbench.lab.coordinator import PlaceInfo
from mpbench.lab.plan import ALL, Job, NightPlan


@frozen
class JobRun:
    """One job on one place."""

    job: Job
    place: str

    @property
    def name(self) -> str:
        """Name of its directory and log."""
        return safe_name(f"{self.job.name}-{self.place}")


@frozen
class Assignment:
    """runs: what will be run; skipped: a line for each job that a place, or enough places, cannot run."""

    runs: tuple[JobRun, ...]
    skipped: tuple[str, ...]

    def by_place(self) -> list[list[JobRun]]:
        """The runs of each place, in their order."""
        found: dict[str, list[JobRun]] = {}
        for run in self.runs:
            found.setdefault(run.place, []).append(run)
        return list(found.values())


def assign(plan: NightPlan, places: Sequence[PlaceInfo], quarantined: Mapping[str, str]) -> Assignment:
    """Assign jobs to places by tags, free places first. quarantined: reason by place, beside the plan's."""
    runs, skipped = [], []
    out = {**quarantined, **plan.quarantine}
    for job in plan.jobs:
        fit = [p for p in places if job.tags.items() <= p.tags.items()]
        skipped += [f"{job.name} on {p.name}: in quarantine: {out[p.name]}" for p in fit if p.name in out]
        usable = sorted((p for p in fit if p.name not in out), key=lambda p: (bool(p.acquired), p.name))
        wanted = len(usable) if job.boards == ALL else job.boards
        if len(usable) < wanted or not usable:
            tags = ", ".join(f"{k}={v}" for k, v in job.tags.items())
            skipped.append(f"{job.name}: {len(usable)} usable places with tags {tags}, {wanted or 1} needed")
        runs += [JobRun(job, p.name) for p in usable[:wanted]]
    return Assignment(tuple(runs), tuple(skipped))
