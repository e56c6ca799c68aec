# SPDX-License-Identifier: MIT
"""What a test measured: the statistics of a quantity joined, with its small picture. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from mpbench.core.facts import Verdict, limits, number, overall
from mpbench.core.lines import HistogramLine, MeasurementLine, SeriesLine, TestLine, TimelineLine
from mpbench.report import sparks
from mpbench.report.prose import prose
from mpbench.report.sparks import Spark

SHOWN = ("min", "p50", "p90", "p99", "max")
"""Statistics with a column of their own."""


@frozen
class Quantity:
    """A quantity under one set of conditions. lines: by statistic; "" for a single value."""

    name: str
    unit: str
    conditions: Mapping[str, str]
    lines: Mapping[str, MeasurementLine]
    spark: Spark | None = field(default=None, eq=False)

    @property
    def single(self) -> bool:
        """Whether it is a single value or a count: no distribution."""
        return set(self.lines) == {""}

    @property
    def n(self) -> str:
        """How many samples the statistics are taken from."""
        return ", ".join(dict.fromkeys(f"{m.samples}" for m in self.lines.values() if m.samples is not None))

    @property
    def limited(self) -> bool:
        return any(m.limited for m in self.lines.values())

    @property
    def judged(self) -> tuple[str, MeasurementLine] | None:
        """The statistic that is closest to its limit, of those with the worst verdict."""
        found = [(name, m) for name, m in self.lines.items() if m.limited]
        return min(found, key=lambda entry: _urgency(entry[1]), default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of those statistics that have limits, None if none has."""
        found = [m.verdict for m in self.lines.values() if m.verdict is not None]
        return overall(found) if found else None

    @property
    def limits(self) -> str:
        """The limits: "≤ 500" if they are those of every statistic, else a line like "p50 ≤ 200" for each."""
        found: dict[str, list[str]] = {}
        for name, m in self.lines.items():
            if m.limited:
                found.setdefault(limits(m.low, m.high), []).append(name)
        if [len(names) for names in found.values()] == [len(self.lines)]:
            return next(iter(found))
        return "\n".join(f"{', '.join(names)} {words}" for words, names in found.items())

    @property
    def margin(self) -> str:
        """Distance of the judged statistic to its nearest limit."""
        return margin(self.judged[1]) if self.judged else ""

    @property
    def others(self) -> str:
        """Statistics without a column of their own."""
        found = (entry for entry in self.lines.items() if entry[0] not in SHOWN)
        return ", ".join(f"{name or 'value'} {number(m.value)}" for name, m in found)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m.source for m in self.lines.values() if m.source))


def quantities(lines: Sequence[TestLine]) -> tuple[Quantity, ...]:
    """The quantities of a test's lines, in the order in which they were measured.

    A statistic that comes again starts a quantity anew: the test measured it twice.
    """
    found: dict[tuple[object, ...], list[dict[str, MeasurementLine]]] = {}
    for m in (line for line in lines if isinstance(line, MeasurementLine)):
        several = found.setdefault((m.name, m.unit, _frozen(m.conditions)), [])
        if not several or m.statistic in several[-1]:
            several.append({})
        several[-1][m.statistic] = m
    pictures = _pictures(lines) if found else {}
    timelines = (
        sparks.timelines([line for line in lines if isinstance(line, TimelineLine)]) if found else None
    )
    return tuple(
        _quantity(statistics, pictures, timelines) for several in found.values() for statistics in several
    )


def _quantity(
    lines: Mapping[str, MeasurementLine], pictures: Mapping[object, Spark | None], timelines: Spark | None
) -> Quantity:
    m = next(iter(lines.values()))
    spark = pictures.get((m.name, _frozen(m.conditions)))
    if spark is None and set(lines) != {""}:
        spark = timelines
    return Quantity(prose(m.name), m.unit, m.conditions, lines, spark)


def _pictures(lines: Iterable[TestLine]) -> dict[object, Spark | None]:
    """Histograms and series by name and conditions."""
    found: dict[object, Spark | None] = {}
    for line in lines:
        if isinstance(line, HistogramLine):
            found[line.name, _frozen(line.conditions)] = sparks.histogram(line)
        elif isinstance(line, SeriesLine):
            found.setdefault((line.name, _frozen(line.conditions)), sparks.series(line))
    return found


def _frozen(conditions: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(conditions.items()))


def headroom(m: MeasurementLine) -> float | None:
    """Distance to the nearest limit, as a share of the limits' distance or of the only limit; < 0 outside.

    None if there is nothing to take a share of: no limit, or a limit of 0.
    """
    whole = m.high - m.low if m.low is not None and m.high is not None else abs(m.high or m.low or 0)
    distances = [m.high - m.value] if m.high is not None else []
    distances += [m.value - m.low] if m.low is not None else []
    if not distances or not whole or not math.isfinite(m.value):
        return None
    return min(distances) / whole


def margin(m: MeasurementLine) -> str:
    """Headroom in percent, rounded down; of a limit of 0, or one that is nothing beside it, the value."""
    share = headroom(m)
    if share is not None and math.isfinite(share * 1000):
        return f"{number(math.floor(share * 1000) / 10)} %"
    return number(abs(m.value)) if m.limited and math.isfinite(m.value) else ""


_WORST = (Verdict.FAIL, Verdict.MARGINAL, Verdict.PASS)


def urgency(q: Quantity) -> tuple[int, float]:
    """Order in which a reader wants quantities with limits: worst verdict first, then least headroom."""
    return _urgency(q.judged[1]) if q.judged else (len(_WORST), 0.0)


def _urgency(m: MeasurementLine) -> tuple[int, float]:
    share = headroom(m)
    verdict = _WORST.index(m.verdict) if m.verdict in _WORST else len(_WORST)
    return verdict, math.inf if share is None else share
