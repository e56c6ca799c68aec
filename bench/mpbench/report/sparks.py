# SPDX-License-Identifier: MIT
"""Small pictures for rows of a table: a histogram, a series, timelines; one path each. Pure."""

from collections.abc import Sequence

from attrs import frozen

from mpbench.core.facts import number
from mpbench.core.lines import HistogramLine, SeriesLine, TimelineLine
from mpbench.report.figures import EMULATED, axis, filled, log_height, merged, pixel, quantiles

WIDTH, HEIGHT = 120, 22
LEAST = 3
"""Least width of a histogram's column."""
POINTS = 40
"""Most points of a series; of a longer one both extremes of each part are drawn."""
ROWS = 5
"""Most timelines that are drawn below each other."""


@frozen
class Spark:
    """kind: "area" is filled, "line" is not; alt: its content as text."""

    kind: str
    path: str
    alt: str


def histogram(line: HistogramLine) -> Spark | None:
    """Counts on a log scale, as in the large picture."""
    buckets, unit = filled(line)
    if not buckets:
        return None
    columns = merged(buckets, axis(buckets[0][0], buckets[-1][1], 0, WIDTH), LEAST)
    most = max(n for _, _, n in columns)
    path = "".join(
        f"M{a} {HEIGHT}V{log_height(n, most, HEIGHT)}H{max(b, a + 1)}V{HEIGHT}" for a, b, n in columns
    )
    return Spark("area", path, _said(f"histogram: {quantiles(buckets, unit)}", line.source))


def series(line: SeriesLine) -> Spark | None:
    """Values in their order."""
    values = line.values
    if len(values) < 2:
        return None
    step = -(-len(values) // POINTS)
    parts = [values[n : n + step] for n in range(0, len(values), step)]
    drawn = [v for part in parts for v in dict.fromkeys((min(part), max(part)))]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    last = max(1, len(drawn) - 1)
    points = (
        f"{pixel(n / last * WIDTH)} {pixel(HEIGHT - 2 - (v - low) / span * (HEIGHT - 4))}"
        for n, v in enumerate(drawn)
    )
    said = f"series: {len(values)} values from {number(low)} to {number(high)} {line.unit}"
    return Spark("line", "M" + "L".join(points), _said(said, line.source))


def timelines(lines: Sequence[TimelineLine]) -> Spark | None:
    """A row per timeline, all on one scale, with a mark per event."""
    dated = [line for line in lines if line.events][:ROWS]
    span = max((line.events[-1][1] - line.events[0][1] for line in dated), default=0)
    if span <= 0:
        return None
    tall, found = HEIGHT // len(dated), []
    for row, line in enumerate(dated):
        first, end = line.events[0][1], line.events[-1][1]
        places = dict.fromkeys(pixel((ns - first) / span * (WIDTH - 2)) + 1 for _, ns in line.events)
        middle, high = row * tall + tall // 2, max(3, tall - 2)
        found.append(f"M1 {middle}H{pixel((end - first) / span * (WIDTH - 2)) + 1}")
        found += [f"M{x} {middle - high // 2}v{high}" for x in places]
    return Spark("line", "".join(found), f"{len(dated)} timelines of up to {number(span / 1e6)} ms")


def _said(text: str, source: str) -> str:
    return f"{text}; emulated, not silicon" if EMULATED in source else text
