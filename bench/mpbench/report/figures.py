# SPDX-License-Identifier: MIT
"""Geometry of the page's pictures: numbers in, coordinates and labels out. The templates draw them. Pure.

The canvas is WIDTH wide, in whole units, so that pages are small and stay equal.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from mpbench.core.facts import METHOD, measured, number
from mpbench.core.lines import (
    HistogramLine,
    MapLine,
    OutlierSample,
    OutliersLine,
    SegmentsLine,
    SeriesLine,
    TestLine,
    TimelineLine,
)
from mpbench.core.statistics import PERCENTILES, least_n, quantile

WIDTH = 640
PLOT = 120
"""Height of what is plotted; labels are below and to the left of it."""
LEFT = 58
FARTHEST = 10_000
"""Bound of a coordinate."""
COLUMNS = 240
"""Most columns of a series; a longer one is drawn as the range of its values in each."""
MAX_BUCKETS = 120
HUES = 6
"""Colours of parts; with more parts they repeat, and labels tell parts apart."""


@frozen
class Bar:
    """A rectangle with what a reader sees of it; `hue` chooses one of HUES colours."""

    x: int
    y: int
    width: int
    height: int
    label: str = ""
    hue: int = 0


@frozen
class Tick:
    """A mark on an axis, at x or y, with its text."""

    at: int
    label: str


@frozen
class Figure:
    """What a template draws. kind: the line's kind; alt: its content as text."""

    kind: str
    name: str
    source: str
    alt: str
    bars: tuple[Bar, ...] = ()
    points: str = ""
    x: tuple[Tick, ...] = ()
    y: tuple[Tick, ...] = ()
    height: int = PLOT
    marks: tuple[Tick, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    stamp: str = ""


EMULATED = "emulated: "
"""Start of the part of a source which declares that its numbers are not from silicon."""
STAMP = "emulated, not silicon"


def pictures(lines: Iterable[TestLine]) -> tuple[Figure, ...]:
    """The pictures of a test; those that several methods took of the same are next to each other."""
    found: dict[object, list[Figure]] = {}
    for n, line in enumerate(lines):
        if type(line) in FIGURES:
            conditions: Mapping[str, str] = getattr(line, "conditions", {})
            same = [(name, text) for name, text in conditions.items() if name != METHOD]
            drawn = figure(line)
            key = (drawn.kind, line.kind, drawn.name.partition(" (")[0], *same) if METHOD in conditions else n
            found.setdefault(key, []).append(drawn)
    return tuple(drawn for several in found.values() for drawn in several)


def figure(line: TestLine) -> Figure:
    """The picture of a line of the record; one of emulated numbers is marked inside of the picture."""
    found = FIGURES[type(line)](line)
    emulated = EMULATED in found.source
    name = measured(found.name, "", getattr(line, "conditions", {}))
    return evolve(found, name=name, stamp=STAMP if emulated else "")


# --- time series -------------------------------------------------------------------------------------------


def series(line: SeriesLine) -> Figure:
    """How a value developed: the line, or of many samples the range in each column."""
    values, unit = line.values, line.unit
    if not values:
        return Figure("series", line.name, line.source, "no samples")
    low, high = min(values), max(values)
    scale = _scale(*_widened(low, high))
    middle = math.fsum(values) / len(values)
    alt = f"{len(values)} samples: min {number(low)}, mean {number(middle)}, max {number(high)} {unit}"
    step = max(1, math.ceil(len(values) / COLUMNS))
    points = (_thin if step > 1 else _every)(values, step, scale)
    y = tuple(Tick(scale(v), f"{number(v)} {unit}") for v in dict.fromkeys((low, middle, high)))
    x = (Tick(LEFT, "1"), Tick(WIDTH, str(len(values))))
    return Figure("series", line.name, line.source, alt, points=points, x=x, y=_apart(y))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with some room, also for a value that never changes."""
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _scale(low: float, high: float) -> Callable[[float], int]:
    return lambda value: pixel(PLOT - (value - low) / (high - low) * PLOT)


def _every(values: Sequence[float], _: int, scale: Callable[[float], int]) -> str:
    last = max(1, len(values) - 1)
    return " ".join(f"{LEFT + pixel(n / last * (WIDTH - LEFT))},{scale(v)}" for n, v in enumerate(values))


def _thin(values: Sequence[float], step: int, scale: Callable[[float], int]) -> str:
    """Down and up again in every column: no extreme is lost."""
    found = []
    for n in range(0, len(values), step):
        part, x = values[n : n + step], LEFT + pixel(n / len(values) * (WIDTH - LEFT))
        found.append(f"{x},{scale(min(part))} {x},{scale(max(part))}")
    return " ".join(found)


def _apart(ticks: Sequence[Tick], least: int = 13) -> tuple[Tick, ...]:
    """Those whose labels do not overlap; the extremes have priority."""
    ends = {ticks[0].at, ticks[-1].at} if ticks else set()
    kept: list[int] = []
    for tick in ticks:
        if tick.at not in ends and all(abs(tick.at - at) >= least for at in (*ends, *kept)):
            kept.append(tick.at)
    return tuple(t for t in ticks if t.at in ends or t.at in kept)


# --- histogram ---------------------------------------------------------------------------------------------


def histogram(line: HistogramLine) -> Figure:
    """How often a value was in which bucket; counts on a log scale, values too if they span much."""
    buckets, unit = filled(line)
    total = sum(n for _, _, n in buckets)
    if not buckets:
        return Figure("histogram", line.name, line.source, "no samples")
    low, high = buckets[0][0], buckets[-1][1]
    place = axis(low, high)
    columns = merged(buckets, place, (WIDTH - LEFT) // MAX_BUCKETS)
    most = max(n for _, _, n in columns)
    bars = tuple(_column(a, b, n, most) for a, b, n in columns)
    alt = f"{total} samples from {number(low)} to {number(high)} {unit}; {quantiles(buckets, unit)}"
    x = tuple(Tick(place(v), f"{number(v)} {unit}") for v in _decades(low, high))
    y = tuple(Tick(log_height(n, most), f"{n:,}".replace(",", " ")) for n in _powers(most))
    return Figure("histogram", line.name, line.source, alt, bars, x=_apart(x, 180), y=_apart(y))


def filled(line: HistogramLine) -> tuple[list[tuple[float, float, int]], str]:
    """Buckets that are not empty, and their unit: long durations in microseconds, as they are measured."""
    buckets = [bucket for bucket in line.buckets if bucket[2]]
    if line.unit == "ns" and buckets and buckets[-1][1] >= 10_000:
        return [(low / 1e3, high / 1e3, n) for low, high, n in buckets], "µs"
    return buckets, line.unit


def quantiles(buckets: Sequence[tuple[float, float, int]], unit: str) -> str:
    """Upper bounds of the buckets in which some quantiles fall, as far as the samples reach."""
    total, found = sum(n for _, _, n in buckets), []
    for p in (*PERCENTILES, 99.99):
        if total < least_n(p):
            break
        found.append(f"p{p:g} ≤ {number(quantile(((high, n) for _, high, n in buckets), total, p))}")
    return ", ".join(found) + f" {unit}"


def pixel(place: float) -> int:
    """A coordinate: whole and bounded; a quotient of numbers that a record may have can be infinite."""
    return round(min(FARTHEST, max(-FARTHEST, place)))  # in this order it is a number for NaN too


def axis(low: float, high: float, left: int = LEFT, right: int = WIDTH) -> Callable[[float], int]:
    """x of a value; logarithmic over more than a decade."""
    if low >= 0 and high > 10 * max(low, 1e-12):
        shift = max(low, high / 1e4, 1e-12)
        span = math.log(high / shift) or 1.0
        return lambda v: left + pixel(math.log(max(v, shift) / shift) / span * (right - left))
    return lambda v: left + pixel((v - low) / ((high - low) or 1.0) * (right - left))


def merged(
    buckets: Sequence[tuple[float, float, int]], place: Callable[[float], int], least: int
) -> list[tuple[int, int, int]]:
    """Buckets as columns (from, to, count); those narrower than `least` share one."""
    found = list[tuple[int, int, int]]()
    for low, high, n in buckets:
        a, b = place(low), max(place(high), place(low) + 1)
        if found and a < found[-1][0] + least:
            found[-1] = (found[-1][0], max(b, found[-1][1]), found[-1][2] + n)
        else:
            found.append((a, b, n))
    return found


def _column(a: int, b: int, n: int, most: int) -> Bar:
    top = log_height(n, most)
    return Bar(a, top, max(1, b - a), PLOT - top)


def log_height(n: int, most: int, tall: int = PLOT) -> int:
    """y of a count; one is seen as well: it has a tenth of a decade."""
    return pixel(tall - (math.log10(n) + 0.1) / (math.log10(most) + 0.1) * tall)


def _powers(most: int) -> list[int]:
    return [10**p for p in range(int(math.log10(most)) + 1)]


def _decades(low: float, high: float) -> list[float]:
    if low >= 0 and high > 10 * max(low, 1e-12):
        first = math.floor(math.log10(max(low, high / 1e4, 1e-12)))
        powers = [10.0**p for p in range(first, math.ceil(math.log10(high)) + 1)]
        inside = [v for v in powers if low <= v <= high]
        if len(inside) < 3:
            inside = [v for power in powers for v in (power, 2 * power, 5 * power) if low <= v <= high]
        return inside or [low, high]
    return [low, (low + high) / 2, high]


# --- what a value is made of -------------------------------------------------------------------------------


def segments(line: SegmentsLine) -> Figure:
    """Parts side by side, as long as they are; those too short to see are in the list."""
    parts, unit = line.parts, line.unit
    total = sum(v for _, v in parts) or 1.0
    bars, x = [], 0.0
    for n, (name, value) in enumerate(parts):
        width = value / total * WIDTH
        bars.append(Bar(pixel(x), 0, max(1, pixel(width)), 22, name, n % HUES))
        x += width
    rows = tuple((name, f"{number(v)} {unit}", f"{v / total:.0%}") for name, v in parts)
    alt = f"{number(total)} {unit} in {len(parts)} parts"
    return Figure("segments", line.name, line.source, alt, tuple(bars), height=22, rows=rows)


# --- the slowest samples -----------------------------------------------------------------------------------


def outliers(line: OutliersLine) -> Figure:
    """A row per sample: total, longest segment, CPU, and CPU activity in that time."""
    rows = tuple(_outlier(sample) for sample in line.samples)
    alt = f"the {len(rows)} slowest, with CPU activity" if rows else "none was recorded by itself"
    return Figure("outliers", line.name, line.source, alt, rows=rows)


def _outlier(sample: OutlierSample) -> tuple[str, ...]:
    irq_cpu, cpu = sample.irq_cpu, sample.cpu
    ran = "; ".join(f"+{_us(begin)} CPU {on}: {what} for {_us(ns)}" for on, begin, ns, what in sample.ran)
    where = f"{cpu}" if irq_cpu == cpu else f"{irq_cpu}, bottom half on {cpu}"
    return _us(sample.total_ns), sample.longest, where, ran or "not recorded"


def _us(ns: int) -> str:
    return f"{number(ns / 1e3)} µs"


# --- what happened when ------------------------------------------------------------------------------------

ROW = 20


def timeline(line: TimelineLine) -> Figure:
    """Events below each other, each bar as long as what went before it took."""
    events = line.events
    if not events:
        return Figure("timeline", line.name, line.source, "no time stamps recorded")
    first, last = events[0][1], events[-1][1]
    span, left = (last - first) or 1, 2 * LEFT

    def place(ns: int) -> int:
        return left + pixel((ns - first) / span * (WIDTH - left - 80))

    bars, before = [], first
    for n, (name, ns) in enumerate(events):
        bars.append(Bar(place(before), n * ROW + 5, max(2, place(ns) - place(before)), 10, name))
        before = ns
    rows = tuple((name, f"+{number((ns - first) / 1e6)} ms") for name, ns in events)
    alt = ", ".join(f"{name} {at}" for name, at in rows)
    return Figure("timeline", line.name, line.source, alt, tuple(bars), height=len(events) * ROW, rows=rows)


# --- the bytes of an image ---------------------------------------------------------------------------------


def image_map(line: MapLine) -> Figure:
    """The image's byte ranges; wide ones are narrowed, so that the header's can be seen."""
    weights = [math.log2(2 + max(0, b - a)) for a, b, _ in line.ranges]
    unit, x, bars, edges = WIDTH / (sum(weights) or 1.0), 0.0, [], []
    numbers = {label: n for n, label in enumerate(dict.fromkeys(label for _, _, label in line.ranges))}
    for (a, b, label), weight in zip(line.ranges, weights, strict=True):
        width = weight * unit
        hue, at = numbers[label] % HUES, pixel(x)
        bars.append(Bar(at, 14, max(1, pixel(x + width) - at), 26, f"{a:#x}…{b - 1:#x}: {label}", hue))
        edges.append((a, b, x, width))
        x += width
    edges.sort()
    marks = tuple(_mark(offset, good, edges) for offset, good in line.marks)
    offsets = sorted(offset for offset, _ in line.marks)
    wrong = sum(1 for _, good in line.marks if not good)
    alt = (
        f"{line.size} bytes in {len(line.ranges)} ranges; {len(marks)} changed, {wrong} answered differently"
    )
    rows = tuple(
        (f"{a:#08x}", f"{b - a} bytes", label, str(bisect_left(offsets, b) - bisect_left(offsets, a)))
        for a, b, label in line.ranges
    )
    merged = tuple(dict.fromkeys(marks))
    return Figure("map", line.name, alt, alt, tuple(bars), height=54, marks=merged, rows=rows)


def _mark(offset: int, good: bool, edges: Sequence[tuple[int, int, float, float]]) -> Tick:
    """Where a byte lies in the ranges (start, end, x, width), which are in order; at the left if in none."""
    a, b, x, width = (
        edges[max(0, bisect_right(edges, offset, key=lambda edge: edge[0]) - 1)] if edges else _NONE
    )
    if not a <= offset < b:
        a, b, x, width = _NONE
    return Tick(pixel(x + (offset - a + 0.5) / (b - a) * width), "good" if good else "bad")


_NONE = (0, 1, 0.0, 0.0)


FIGURES: Mapping[type[TestLine], Callable[[Any], Figure]] = {
    SeriesLine: series,
    HistogramLine: histogram,
    SegmentsLine: segments,
    OutliersLine: outliers,
    TimelineLine: timeline,
    MapLine: image_map,
}
