# SPDX-License-Identifier: MIT
"""Trends over runs of one target, from points of a page or of a lab's history. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from mpbench.core.facts import Verdict, measured, number
from mpbench.core.lines import MeasurementLine
from mpbench.report.figures import WIDTH, Bar, pixel
from mpbench.report.model import Page, RunView

LEAST = 2
"""Runs that make a trend."""
MOST = 60
"""Runs that are shown; older ones are left out."""
TALL = 60


@frozen
class Point:
    """One run in a trend. label: what runs have to share to be compared; counts: by the verdict's word."""

    run: str
    label: str
    utc: str
    counts: Mapping[str, int]
    values: Mapping[str, float]


@frozen
class TrendSeries:
    """A measurement over the runs."""

    name: str
    first: str
    last: str
    points: str


@frozen
class Trend:
    """The runs of one label: shares of verdicts, and measurements."""

    label: str
    runs: int
    first: str
    last: str
    words: str
    bars: tuple[Bar, ...]
    lines: tuple[TrendSeries, ...]


def points(page: Page) -> list[Point]:
    """The page's own runs."""
    return [point(run) for run in page.runs]


def point(run: RunView) -> Point:
    """The point of a run."""
    found: dict[str, list[tuple[str, float]]] = {}
    for case in (case for case in run.tests if not case.superseded):
        for m in case.measurements:
            if m.limited:
                found.setdefault(_name(m), []).append((case.name, float(m.value)))
    values = {
        name if len(several) == 1 else f"{name}, {test}": value
        for name, several in found.items()
        for test, value in several
    }
    label = f"{run.label.partition(' ')[0]} {run.provenance.get('place', '')}".strip()
    return Point(run.id, label, run.utc, {v.value: n for v, n in run.counts}, values)


def _name(m: MeasurementLine) -> str:
    return measured(m.name, m.statistic, m.conditions) + (f" in {m.unit}" if m.unit else "")


def trends(own: Iterable[Point], past: Iterable[Point] = ()) -> tuple[Trend, ...]:
    """A trend for every label with enough runs: what a history remembers, in its order, then the page's own.

    Page points are sorted by wall clock, the only order available.
    """
    by_label: dict[str, dict[str, Point]] = {}
    for p in [*past, *sorted(own, key=lambda p: (p.utc, p.run))]:
        by_label.setdefault(p.label, {})[p.run] = p
    runs = ((label, list(points.values())[-MOST:]) for label, points in by_label.items())
    return tuple(_trend(label, chosen) for label, chosen in runs if len(chosen) >= LEAST)


def shown(past: Iterable[Point]) -> list[Point]:
    """Those of a history that a page can show: the last ones of each label, in their order."""
    by_label: dict[str, list[Point]] = {}
    for p in past:
        by_label.setdefault(p.label, []).append(p)
    return [p for several in by_label.values() for p in several[-MOST:]]


def _trend(label: str, runs: Sequence[Point]) -> Trend:
    names = dict.fromkeys(name for p in runs for name in p.values)
    lines = tuple(_series(name, runs) for name in names if sum(name in p.values for p in runs) >= LEAST)
    words = ", ".join(f"{n} {word}" for word, n in runs[-1].counts.items())
    return Trend(label, len(runs), runs[0].utc, runs[-1].utc, words, tuple(_bars(runs)), lines)


def _bars(runs: Sequence[Point]) -> Iterable[Bar]:
    """A column per run, its verdicts stacked: PASS at the bottom."""
    width = min(40, WIDTH // len(runs))
    for n, run in enumerate(runs):
        total, bottom = sum(run.counts.values()) or 1, TALL + 4
        for verdict in Verdict:
            if height := pixel(run.counts.get(verdict.value, 0) / total * TALL):
                bottom -= height
                yield Bar(n * width, bottom, max(1, width - 2), height, verdict.value)


def _series(name: str, runs: Sequence[Point]) -> TrendSeries:
    values = [(n, p.values[name]) for n, p in enumerate(runs) if name in p.values]
    low, high = min(v for _, v in values), max(v for _, v in values)
    span, last = (high - low) or 1.0, max(1, len(runs) - 1)
    drawn = " ".join(f"{2 + pixel(n / last * 156)},{21 - pixel((v - low) / span * 18)}" for n, v in values)
    return TrendSeries(name, number(values[0][1]), number(values[-1][1]), drawn)
