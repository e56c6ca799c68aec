# SPDX-License-Identifier: MIT
"""Runs side by side: what differs in what was tested, and what was measured. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from mpbench.core.facts import Verdict, limits, number, overall
from mpbench.core.lines import MeasurementLine
from mpbench.report.model import ASKED, Case, Page, RunView

_OWN = frozenset({"boot_id", "operator"})
"""What differs between any two runs and explains nothing."""

UNREPORTED = "not reported by the board"


@frozen
class ProvenanceRow:
    """One name of the provenance, its text in every run ("" where it is unknown)."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return self.name not in _OWN and len(set(self.values)) > 1


@frozen
class MeasuredValue:
    """What one column measured.

    ratio: to the first column that measured it, "" for that one and for equal values
    limits: its own, "" if those of the whole row are
    """

    text: str
    anchor: str
    ratio: str
    limits: str


@frozen
class MeasuredRow:
    """One measurement in every column (None: not measured there).

    test:    which test measured it, "" if no other one in its run measured something of that name
    limits:  those of all values, "" if they differ
    verdict: the worst of those that have limits, None if none has
    """

    name: str
    statistic: str
    conditions: str
    unit: str
    test: str
    limits: str
    values: tuple[MeasuredValue | None, ...]
    verdict: Verdict | None


@frozen
class SideBySide:
    """labels: of the columns of `measurements`, one for each lineage of runs."""

    labels: tuple[str, ...]
    provenance: tuple[ProvenanceRow, ...]
    measurements: tuple[MeasuredRow, ...]


def table(page: Page) -> SideBySide:
    """All comparisons of a page."""
    columns = tuple(dict.fromkeys(run.column for run in page.runs))
    labels = tuple(page.runs[n].label for n in columns)
    return SideBySide(labels, tuple(_entries(page.runs)), tuple(_measured(page.runs, columns)))


def _entries(runs: Sequence[RunView]) -> Iterable[ProvenanceRow]:
    names = [name for run in runs if run.provenance for name in (*ASKED, *run.provenance)]
    for name in dict.fromkeys(names):
        yield ProvenanceRow(name, tuple(run.provenance.get(name, _unknown(run, name)) for run in runs))
    yield ProvenanceRow("bench", tuple(run.bench for run in runs))
    yield ProvenanceRow("command", tuple(run.command for run in runs))


def _unknown(run: RunView, name: str) -> str:
    """Who signs the page sees what the board did not report."""
    return UNREPORTED if run.provenance and name in ASKED else ""


Measured = tuple[Case, MeasurementLine]


def _measured(runs: Sequence[RunView], columns: Sequence[int]) -> Iterable[MeasuredRow]:
    """Runs meet by name, statistic, unit and conditions; by test too, where one run has several of these."""
    found: dict[tuple[object, ...], dict[int, list[Measured]]] = {}
    for run in runs:
        for case in (case for case in run.tests if not case.superseded):
            for m in case.measurements:
                key = (m.name, m.statistic, m.unit, tuple(sorted(m.conditions.items())))
                found.setdefault(key, {}).setdefault(run.column, []).append((case, m))
    for by_column in found.values():
        if all(len(several) == 1 for several in by_column.values()):
            yield _row({column: several[0] for column, several in by_column.items()}, columns, "")
        else:
            yield from (_row(one, columns, test) for test, one in _by_test(by_column).items())


def _by_test(by_column: Mapping[int, Sequence[Measured]]) -> Mapping[str, Mapping[int, Measured]]:
    """By the test's name, numbered if one test measured it several times."""
    found: dict[str, dict[int, Measured]] = {}
    for column, several in by_column.items():
        often: Counter[str] = Counter()
        for case, m in several:
            often[case.name] += 1
            test = case.name if often[case.name] == 1 else f"{case.name} ({often[case.name]})"
            found.setdefault(test, {})[column] = case, m
    return found


def _row(found: Mapping[int, Measured], columns: Sequence[int], test: str) -> MeasuredRow:
    measured = [m for _, m in found.values()]
    first, ranges = measured[0], {limits(m.low, m.high) for m in measured}
    verdicts = [m.verdict for m in measured if m.verdict is not None]
    values = [_value(found.get(column), first, own_limits=len(ranges) > 1) for column in columns]
    return MeasuredRow(
        name=first.name,
        statistic=first.statistic,
        conditions=conditions(first),
        unit=first.unit,
        test=test,
        limits=ranges.pop() if len(ranges) == 1 else "",
        values=tuple(values),
        verdict=overall(verdicts) if verdicts else None,
    )


def _value(found: Measured | None, base: MeasurementLine, *, own_limits: bool) -> MeasuredValue | None:
    if found is None:
        return None
    case, m = found
    equal = m is base or not base.value or m.value == base.value
    ratio = "" if equal else f"x {m.value / base.value:.3g}"
    return MeasuredValue(number(m.value), case.anchor, ratio, limits(m.low, m.high) if own_limits else "")


def conditions(m: MeasurementLine) -> str:
    """Conditions in one line, "" without any."""
    return ", ".join(f"{name} {text}" for name, text in m.conditions.items())
