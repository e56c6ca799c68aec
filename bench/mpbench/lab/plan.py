# SPDX-License-Identifier: MIT
"""The plan of a night, from YAML, checked with line numbers. Pure but for reading the file."""

import datetime
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from mpbench.core.files import real_path
from mpbench.core.secrets import learn, learn_arguments
from mpbench.core.yaml_reader import YamlNode, read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
"""Names that are safe as part of a path."""
TAG = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*=[a-zA-Z0-9_-]*")
"""Ref: labgrid remote/common.py, TAG_KEY, TAG_VAL"""
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
OF_THE_NIGHT = (
    *("LG_PLACE", "LG_COORDINATOR", "MPBENCH_UNIT"),
    *("--lg-env", "--lg-coordinator", "--bench-reports", "--bench-resume"),
)
"""Variables and options by which a night tells a run its place and where its records are."""
ALL = 0
"""Value of `boards` for every place."""


@frozen
class Job:
    """What is run on every place with these tags, or on `boards` of them; minutes: deadline of one run."""

    name: str
    target: Path
    tags: Mapping[str, str]
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(factory=dict)
    boards: int = ALL
    minutes: float = 120.0


@frozen
class TimeWindow:
    """Hours of the day in local time; an end before the start is on the next day."""

    start: datetime.time
    end: datetime.time

    def left_s(self, now: datetime.datetime) -> float | None:
        """Seconds until the window closes; None if it is not open."""
        for day in (now.date() - datetime.timedelta(days=1), now.date()):
            start = datetime.datetime.combine(day, self.start)
            end = datetime.datetime.combine(day, self.end)
            end += datetime.timedelta(days=end <= start)
            if start <= now < end:
                return (end - now).total_seconds()
        return None


@frozen
class NightPlan:
    """A night: jobs, coordinator, time window, reasons by quarantined place, retries, retention."""

    path: Path
    name: str
    reports: Path
    jobs: tuple[Job, ...]
    coordinator: str = "127.0.0.1:20408"
    window: TimeWindow | None = None
    quarantine: Mapping[str, str] = field(factory=dict)
    wait_minutes: float = 30.0
    retry_after_s: float = 60.0
    free_mb: int = 500
    keep_nights: int = 60


def load(path: Path) -> NightPlan:
    """The plan in a file. UsageError with file and line for whatever is wrong with it."""
    return _plan(path, read_yaml(path, "the plan"))


def _plan(path: Path, top: YamlNode) -> NightPlan:
    found = top.entries((*_READ, "jobs"), ("jobs",))
    base = real_path(path).parent
    jobs = tuple(_job(here, base) for here in found["jobs"].items())
    if not jobs:
        raise found["jobs"].wrong("is empty: nothing to run")
    names = [job.name for job in jobs]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise found["jobs"].wrong(f"has two jobs named {twice}")
    values: dict[str, Any] = {name: read(found[name]) for name, read in _READ.items() if name in found}
    reports = base / values.pop("reports", "../reports/nightly")
    for job in jobs:
        learn(job.variables)
        learn_arguments(job.options)
    return NightPlan(path, path.stem, reports, jobs, **values)


def _window(here: YamlNode) -> TimeWindow:
    found = here.entries(("from", "to"), ("from", "to"))
    times = [datetime.time.fromisoformat(found[n].text(TIME, "'22:00', in quotes")) for n in ("from", "to")]
    return TimeWindow(*times)


_READ: Mapping[str, Callable[[YamlNode], Any]] = {
    "coordinator": lambda here: here.text(re.compile(r"\S+:\d+"), "HOST:PORT"),
    "reports": lambda here: here.text(),
    "window": _window,
    "quarantine": lambda here: {name: reason.text() for name, reason in here.entries().items()},
    "wait_minutes": lambda here: float(here.number(0, 1440)),
    "retry_after_s": lambda here: float(here.number(0, 3600)),
    "free_mb": lambda here: int(here.number(0, 1e9)),
    "keep_nights": lambda here: int(here.number(1, 1e5)),
}


def _job(here: YamlNode, base: Path) -> Job:
    known = ("name", "target", "tags", "tests", "options", "variables", "boards", "minutes")
    found = here.entries(known, ("name", "target", "tags", "tests"))
    target = base / found["target"].text()
    if not target.is_file():
        raise found["target"].wrong(f"is {target}, which does not exist")
    tests = tuple(item.text() for item in found["tests"].items())
    if not tests:
        raise found["tests"].wrong("is empty: nothing to run")
    if option := next((test for test in tests if test.startswith("-")), ""):
        raise found["tests"].wrong(f"has {option!r}, an option: put it into `options`")
    boards = found["boards"].number(1, 1000) if "boards" in found else ALL
    return Job(
        name=found["name"].text(NAME, "letters, digits, `.`, `-`, `_`"),
        target=target,
        tags=_tags(found["tags"]),
        tests=tests,
        options=_options(found["options"]) if "options" in found else (),
        variables=_variables(found["variables"]) if "variables" in found else {},
        boards=int(boards),
        minutes=float(found["minutes"].number(0.01, 10_000)) if "minutes" in found else 120.0,
    )


def _tags(here: YamlNode) -> dict[str, str]:
    found = {name: value.text() for name, value in here.entries().items()}
    for name, value in found.items():
        if not TAG.fullmatch(f"{name}={value}"):
            raise here.wrong(
                f"has {name!r}: {value!r}; labgrid's tags are words of letters, digits, `_`, `-`"
            )
    if not found:
        raise here.wrong("is empty: it would match every place of the lab")
    return found


def _variables(here: YamlNode) -> dict[str, str]:
    found = {name: value.text() for name, value in here.entries().items()}
    for name in found:
        if not VARIABLE.fullmatch(name):
            raise here.wrong(f"has {name!r}; expected an environment variable, e.g. MPBENCH_PROFILE")
        if name in OF_THE_NIGHT:
            raise here.wrong(
                f"has {name}, which the night sets: a job runs on the place that it is recorded of"
            )
    return found


def _options(here: YamlNode) -> tuple[str, ...]:
    found = tuple(item.text() for item in here.items())
    for word in found:
        if word.partition("=")[0] in OF_THE_NIGHT:
            raise here.wrong(f"has {word}, which the night sets: it could not find the job's records")
    return found
