# SPDX-License-Identifier: MIT
"""Runs side by side: what differs in what was tested, and what was measured. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from mpbench.core.facts import Verdict, overall
from mpbench.report.figures import number
from mpbench.report.model import ASKED, Case, Page, RunView

_OWN = frozenset({"boot_id", "operator"})
"""What differs between any two runs and explains nothing."""

UNSAID = "not said by the board"


@frozen
class Entry:
    """One name of the provenance, its text in every run ("" where it is unknown)."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return self.name not in _OWN and len(set(self.values)) > 1


@frozen
class Value:
    """What one column measured; ratio: to the first column, "" for that one and for equal values."""

    text: str
    anchor: str
    ratio: str


@frozen
class Measured:
    """One measurement in every column (None: not measured there); the worst verdict."""

    name: str
    unit: str
    limits: str
    values: tuple[Value | None, ...]
    verdict: Verdict


@frozen
class Table:
    """labels: of the columns of `measurements`, one for each lineage of runs."""

    labels: tuple[str, ...]
    provenance: tuple[Entry, ...]
    measurements: tuple[Measured, ...]


def table(page: Page) -> Table:
    """All comparisons of a page."""
    columns = tuple(dict.fromkeys(run.column for run in page.runs))
    labels = tuple(page.runs[n].label for n in columns)
    return Table(labels, tuple(_entries(page.runs)), tuple(_measured(page.runs, columns)))


def _entries(runs: Sequence[RunView]) -> Iterable[Entry]:
    names = [name for run in runs if run.provenance for name in (*ASKED, *run.provenance)]
    for name in dict.fromkeys(names):
        yield Entry(name, tuple(run.provenance.get(name, _unknown(run, name)) for run in runs))
    yield Entry("bench", tuple(run.bench for run in runs))
    yield Entry("command", tuple(run.command for run in runs))


def _unknown(run: RunView, name: str) -> str:
    """A signature below a page is also one below what the board did not say."""
    return UNSAID if run.provenance and name in ASKED else ""


def _measured(runs: Sequence[RunView], columns: Sequence[int]) -> Iterable[Measured]:
    found: dict[tuple[str, str], dict[int, tuple[Case, Mapping[str, Any]]]] = {}
    for run in runs:
        for case in (case for case in run.tests if not case.superseded):
            for m in case.measurements:
                found.setdefault((str(m["name"]), str(m["unit"])), {})[run.column] = (case, m)
    for (name, unit), by_column in found.items():
        values = [by_column.get(column) for column in columns]
        lines = [m for _, m in by_column.values()]
        base = next((m["value"] for _, m in (v for v in values if v)), 0.0)
        shown = tuple(_value(v, base, first=n == 0) for n, v in enumerate(values))
        yield Measured(name, unit, limits(lines[0]), shown, overall(Verdict(m["verdict"]) for m in lines))


def _value(found: tuple[Case, Mapping[str, Any]] | None, base: float, *, first: bool) -> Value | None:
    if found is None:
        return None
    case, m = found
    ratio = "" if first or not base or m["value"] == base else f"x {m['value'] / base:.3g}"
    return Value(number(m["value"]), case.anchor, ratio)


def limits(m: Mapping[str, Any]) -> str:
    """The good range, "" without limits."""
    if m["low"] is None and m["high"] is None:
        return ""
    low = "" if m["low"] is None else f"{number(m['low'])} "
    return f"{low}…" + ("" if m["high"] is None else f" {number(m['high'])}")
