# SPDX-License-Identifier: MIT
"""The plan of a night, from YAML, checked with line numbers. Pure but for reading the file."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from attrs import field, frozen

from mpbench.core.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
"""What may become part of a path."""
TAG = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*=[a-zA-Z0-9_-]*")
"""Ref: labgrid remote/common.py, TAG_KEY, TAG_VAL"""
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
ALL = 0
"""Number of boards that means every one."""


@frozen
class Job:
    """What is run on every place that has these tags, or on so many of them."""

    name: str
    target: Path
    tags: Mapping[str, str]
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(factory=dict)
    boards: int = ALL
    minutes: float = 120.0


@frozen
class Window:
    """Hours of the day in local time; the end may be on the next day."""

    begin: datetime.time
    end: datetime.time

    def left_s(self, now: datetime.datetime) -> float | None:
        """Seconds until the window closes; None if it is not open."""
        for day in (now.date() - datetime.timedelta(days=1), now.date()):
            begin = datetime.datetime.combine(day, self.begin)
            end = datetime.datetime.combine(day, self.end)
            end += datetime.timedelta(days=end <= begin)
            if begin <= now < end:
                return (end - now).total_seconds()
        return None


@frozen
class Plan:
    """A night."""

    path: Path
    name: str
    reports: Path
    jobs: tuple[Job, ...]
    coordinator: str = "127.0.0.1:20408"
    window: Window | None = None
    quarantine: Mapping[str, str] = field(factory=dict)
    wait_minutes: float = 30.0
    retry_after_s: float = 60.0
    free_mb: int = 500
    keep_nights: int = 60


class _Here:
    """A YAML node, and errors that name its line."""

    def __init__(self, path: Path, node: yaml.Node, what: str) -> None:
        self.path, self.node, self.what = path, node, what

    def wrong(self, text: str) -> UsageError:
        return UsageError(f"{self.path}:{self.node.start_mark.line + 1}: {self.what} {text}")

    def value(self) -> Any:
        """A scalar as YAML's safe loader has it."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.wrong("is a list or a mapping; right would be one value")
        try:
            return yaml.SafeLoader("").construct_object(self.node)
        except (yaml.YAMLError, ValueError) as e:
            raise self.wrong(f"is none: {getattr(e, 'problem', None) or e}") from e

    def text(self, pattern: re.Pattern[str] | None = None, like: str = "") -> str:
        found = self.value()
        if not isinstance(found, str) or not found or (pattern and not pattern.fullmatch(found)):
            raise self.wrong(f"is {found!r}; right would be {like or 'a text'}")
        return found

    def number(self, low: float, high: float) -> float:
        found = self.value()
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise self.wrong(f"is {found!r}; right would be a number from {low:g} to {high:g}")
        return found

    def items(self) -> list["_Here"]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong("is no list")
        return [_Here(self.path, n, f"{self.what}[{i}]") for i, n in enumerate(self.node.value)]

    def entries(self, known: Sequence[str] = (), needed: Sequence[str] = ()) -> dict[str, "_Here"]:
        """The entries of a mapping; without `known`, any names are right."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong("is no mapping" + (f" with {', '.join(known)}" if known else ""))
        found: dict[str, _Here] = {}
        for key, value in self.node.value:
            name = _Here(self.path, key, f"a name in {self.what}").text()
            here = _Here(self.path, key, f"`{name}` in {self.what}")
            if name in found:
                raise here.wrong("stands there twice")
            if known and name not in known:
                raise here.wrong(f"is unknown; known are {', '.join(known)}")
            found[name] = _Here(self.path, value, f"`{name}`")
        if missing := [name for name in needed if name not in found]:
            raise self.wrong(f"lacks {', '.join(missing)}")
        return found


def load(path: Path) -> Plan:
    """The plan of a file. UsageError with file and line for whatever is wrong with it."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: no UTF-8: {e.reason} at byte {e.start}") from e
    except (yaml.YAMLError, RecursionError) as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(
            f"{path}{line}: {' '.join(str(getattr(e, 'problem', None) or e).split())[:200]}"
        ) from e
    if node is None:
        raise UsageError(f"{path}: the plan is empty")
    return _plan(_Here(path, node, "the plan"))


def _plan(top: _Here) -> Plan:
    known = (
        "coordinator",
        "reports",
        "window",
        "quarantine",
        "wait_minutes",
        "retry_after_s",
        "free_mb",
        "keep_nights",
        "jobs",
    )
    found = top.entries(known, ("jobs",))
    base = top.path.resolve().parent
    jobs = tuple(_job(here, base) for here in found["jobs"].items())
    if not jobs:
        raise found["jobs"].wrong("is empty: a night without jobs")
    names = [job.name for job in jobs]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise found["jobs"].wrong(f"has two jobs called {twice}")
    values: dict[str, Any] = {name: read(found[name]) for name, read in _READ.items() if name in found}
    reports = base / (found["reports"].text() if "reports" in found else "../reports/nightly")
    return Plan(top.path, top.path.stem, reports, jobs, **values)


def _window(here: _Here) -> Window:
    found = here.entries(("from", "to"), ("from", "to"))
    times = [datetime.time.fromisoformat(found[n].text(TIME, "'22:00', in quotes")) for n in ("from", "to")]
    return Window(*times)


def _quarantine(here: _Here) -> dict[str, str]:
    return {name: reason.text() for name, reason in here.entries().items()}


_READ: Mapping[str, Callable[[_Here], Any]] = {
    "coordinator": lambda here: here.text(re.compile(r"\S+:\d+"), "HOST:PORT"),
    "window": _window,
    "quarantine": _quarantine,
    "wait_minutes": lambda here: float(here.number(0, 1440)),
    "retry_after_s": lambda here: float(here.number(0, 3600)),
    "free_mb": lambda here: int(here.number(0, 1e9)),
    "keep_nights": lambda here: int(here.number(1, 1e5)),
}


def _job(here: _Here, base: Path) -> Job:
    known = ("name", "target", "tags", "tests", "options", "variables", "boards", "minutes")
    found = here.entries(known, ("name", "target", "tags", "tests"))
    target = base / found["target"].text()
    if not target.is_file():
        raise found["target"].wrong(f"is {target}, which is no file")
    tests = tuple(item.text() for item in found["tests"].items())
    if not tests:
        raise found["tests"].wrong("is empty: nothing to run")
    boards = found["boards"].number(1, 1000) if "boards" in found else ALL
    return Job(
        name=found["name"].text(NAME, "letters, digits, `.`, `-`, `_`"),
        target=target,
        tags=_tags(found["tags"]),
        tests=tests,
        options=tuple(item.text() for item in found["options"].items()) if "options" in found else (),
        variables=_variables(found["variables"]) if "variables" in found else {},
        boards=int(boards),
        minutes=float(found["minutes"].number(0.01, 10_000)) if "minutes" in found else 120.0,
    )


def _tags(here: _Here) -> dict[str, str]:
    found = {name: value.text() for name, value in here.entries().items()}
    for name, value in found.items():
        if not TAG.fullmatch(f"{name}={value}"):
            raise here.wrong(
                f"has {name!r}: {value!r}; labgrid's tags are words of letters, digits, `_`, `-`"
            )
    if not found:
        raise here.wrong("is empty: every place of the lab would do")
    return found


def _variables(here: _Here) -> dict[str, str]:
    found = {name: value.text() for name, value in here.entries().items()}
    for name in found:
        if not VARIABLE.fullmatch(name):
            raise here.wrong(f"has {name!r}; right would be an environment variable, e.g. MPBENCH_PROFILE")
    return found
