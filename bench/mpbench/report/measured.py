# SPDX-License-Identifier: MIT
"""Rows of measurements: runs and methods that measured the same stand next to each other. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from mpbench.core.facts import BY_BASELINE, METHOD, Verdict, limits, overall
from mpbench.report.model import Case, RunView
from mpbench.report.quantities import Quantity, urgency


@frozen
class Reading:
    """One line of a row: what one run measured, by one method. Methods that agree in every figure share it.

    ratios: by statistic, to the same statistic of the first run that has it
    """

    run: str
    methods: tuple[str, ...]
    quantity: Quantity
    anchor: str
    ratios: Mapping[str, float] = field(factory=dict)


@frozen
class MeasuredRow:
    """A quantity under one set of conditions, in one test."""

    name: str
    unit: str
    conditions: str
    test: str
    readings: tuple[Reading, ...]

    @property
    def limited(self) -> bool:
        return any(reading.quantity.limited for reading in self.readings)

    @property
    def single(self) -> bool:
        return all(reading.quantity.single for reading in self.readings)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of its readings, None if none has limits."""
        found = [r.quantity.verdict for r in self.readings if r.quantity.verdict is not None]
        return overall(found) if found else None


@frozen
class MeasuredGroup:
    """The rows of one quantity."""

    name: str
    unit: str
    rows: tuple[MeasuredRow, ...]


Groups = tuple[MeasuredGroup, ...]


@frozen
class Measured:
    """All measurements of a page: distributions and single values, with limits and without."""

    limited: Groups
    limited_values: Groups
    other: Groups
    counters: Groups

    @property
    def any(self) -> bool:
        return bool(self.limited or self.limited_values or self.other or self.counters)

    @property
    def rows(self) -> Iterator[MeasuredRow]:
        for groups in (self.limited, self.limited_values, self.other, self.counters):
            for group in groups:
                yield from group.rows


def measured(runs: Sequence[RunView]) -> Measured:
    """Every measurement of every test whose verdict counts."""
    several = len({run.column for run in runs}) > 1
    entries = _entries((run, case) for run in runs for case in run.tests if not case.superseded)
    labels = {run.column: run.label if several else "" for run in reversed(runs)}
    rows = [_row(found, labels) for of_one in entries for found in _meeting(of_one)]

    def groups(*, limited: bool, single: bool) -> Groups:
        return _grouped(row for row in rows if (row.limited, row.single) == (limited, single))

    return Measured(
        groups(limited=True, single=False),
        groups(limited=True, single=True),
        groups(limited=False, single=False),
        groups(limited=False, single=True),
    )


def of_case(run: RunView, case: Case) -> Measured:
    """The measurements of one test, also of one whose verdict does not count."""
    return measured([evolve(run, tests=(evolve(case, superseded=False),))])


def _grouped(rows: Iterable[MeasuredRow]) -> Groups:
    found: dict[tuple[str, str], list[MeasuredRow]] = {}
    for row in rows:
        found.setdefault((row.name, row.unit), []).append(row)
    return tuple(MeasuredGroup(name, unit, tuple(several)) for (name, unit), several in found.items())


@frozen
class Entry:
    """A quantity as a run measured it. test: numbered if it measured the same several times."""

    column: int
    test: str
    anchor: str
    quantity: Quantity


def _entries(cases: Iterable[tuple[RunView, Case]]) -> Iterable[list[Entry]]:
    """What was measured, by name, unit and conditions; methods count as one."""
    found: dict[object, list[Entry]] = {}
    often: Counter[object] = Counter()
    for run, case in cases:
        for q in case.quantities:
            key = (q.name, q.unit, tuple(sorted(_conditions(q).items())))
            again = (run.column, case.name, q.conditions.get(METHOD), key)
            often[again] += 1
            test = case.name if often[again] == 1 else f"{case.name} ({often[again]})"
            found.setdefault(key, []).append(Entry(run.column, test, case.anchor, q))
    return found.values()


def _meeting(entries: Sequence[Entry]) -> Iterable[list[Entry]]:
    """Runs meet in a row; by test, if one run has the quantity in several tests."""
    tests: dict[int, set[str]] = {}
    for entry in entries:
        tests.setdefault(entry.column, set()).add(entry.test)
    if all(len(names) == 1 for names in tests.values()):
        return [list(entries)]
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.test, []).append(entry)
    return found.values()


def _row(entries: Sequence[Entry], labels: Mapping[int, str]) -> MeasuredRow:
    first: dict[str, Entry] = {}
    readings: list[Reading] = []
    for entry in sorted(entries, key=lambda entry: entry.column):
        q = entry.quantity
        method = q.conditions.get(METHOD, "")
        base = first.setdefault(method, entry)
        ratios = {} if base is entry else _ratios(q, base.quantity)
        one = Reading(labels[entry.column], tuple(filter(None, [method])), q, entry.anchor, ratios)
        if readings and _agree(readings[-1], one):
            readings[-1] = evolve(readings[-1], methods=readings[-1].methods + one.methods)
        else:
            readings.append(one)
    q = entries[0].quantity
    words = ", ".join(f"{name} {text}" for name, text in _conditions(q).items())
    return MeasuredRow(q.name, q.unit, words, entries[0].test, tuple(readings))


def _agree(a: Reading, b: Reading) -> bool:
    """Whether two methods gave the same figures, in one test of one run."""
    return (
        bool(a.methods and b.methods)
        and a.anchor == b.anchor
        and _figures(a.quantity) == _figures(b.quantity)
    )


def _figures(q: Quantity) -> object:
    return [(name, m.value, m.samples, m.low, m.high, m.verdict) for name, m in q.lines.items()]


def _ratios(q: Quantity, base: Quantity) -> Mapping[str, float]:
    """Where a figure differs from that of the first run."""
    both = ((name, m.value, base.lines[name].value) for name, m in q.lines.items() if name in base.lines)
    return {name: value / before for name, value, before in both if before and value != before}


def _conditions(q: Quantity) -> Mapping[str, str]:
    return {name: text for name, text in q.conditions.items() if name != METHOD}


@frozen
class Glance:
    """A quantity with limits, at the top of the page. statistic: the one that is closest to its limit."""

    name: str
    statistic: str
    value: float
    limits: str
    reading: Reading
    test: str

    @property
    def verdict(self) -> Verdict:
        return self.reading.quantity.verdict or Verdict.NOT_RUN


def glances(found: Measured) -> tuple[Glance, ...]:
    """Every quantity that has limits: those that a reader has to look at first are first."""
    rows = [row for groups in (found.limited, found.limited_values) for group in groups for row in group.rows]
    entries = [(row, reading) for row in rows for reading in row.readings if reading.quantity.judged]
    entries.sort(key=lambda entry: urgency(entry[1].quantity))
    return tuple(_glance(row, reading) for row, reading in entries)


def _glance(row: MeasuredRow, reading: Reading) -> Glance:
    statistic, line = reading.quantity.judged or ("", next(iter(reading.quantity.lines.values())))
    name = row.name + (f" ({row.conditions})" if row.conditions else "")
    return Glance(
        name, statistic, line.value, limits(line.low, line.high), reading, row.test.rpartition("::")[2]
    )


@frozen
class Move:
    """A figure that moved against what it is compared with; factor: now by then."""

    name: str
    against: str
    factor: float
    anchor: str
    verdict: Verdict | None


LEAST = 1.1
"""Least factor, or its inverse, of a median that counts as moved between two runs of a page."""


def moves(found: Measured) -> tuple[Move, ...]:
    """Figures that a test compared with its baseline and found apart; medians of runs of this page."""
    moved = [move for row in found.rows for move in _moves(row)]
    return tuple(sorted(moved, key=lambda move: -abs(math.log(move.factor))))


def _apart(factor: float) -> bool:
    return factor > 0 and not 1 / LEAST < factor < LEAST


def _moves(row: MeasuredRow) -> Iterator[Move]:
    title = row.name + (f" ({row.conditions})" if row.conditions else "")
    for reading in row.readings:
        if row.name.endswith(BY_BASELINE):
            for statistic, m in reading.quantity.lines.items():
                if m.value > 1:
                    name = f"{title.replace(BY_BASELINE, '')}, {statistic}"
                    yield Move(name, "baseline", m.value, reading.anchor, m.verdict)
        elif not row.single and _apart(reading.ratios.get("p50", 1.0)):
            factor = reading.ratios["p50"]
            yield Move(f"{title}, p50", row.readings[0].run, factor, reading.anchor, reading.quantity.verdict)
