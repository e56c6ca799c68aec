# SPDX-License-Identifier: MIT
"""How long detection and recovery take, from times that the board's own clock gave. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import astuple, frozen

from mpbench.core.facts import Measurement
from mpbench.recovery.facts import Timeline

KERNEL_LOG, WORKQUEUE, WATCHER = "kernel log", "workqueue tracepoints", "watcher on the board"


@frozen
class Interval:
    """A duration: from one time of a Timeline to another, and who saw them."""

    name: str
    begin: str
    end: str
    source: str


INTERVALS = (
    Interval("detection", "irq_ns", "detected_ns", f"irq_handler_entry, {KERNEL_LOG}"),
    Interval("recovery", "queued_ns", "ended_ns", WORKQUEUE),
    Interval("recovery by log", "detected_ns", "up_ns", KERNEL_LOG),
    Interval("authentication and load", "stopped_ns", "up_ns", KERNEL_LOG),
    Interval("first heartbeat", "up_ns", "beat_ns", f"{KERNEL_LOG}, {WATCHER}"),
)
"""detection: the watchdog's interrupt is its expiry as Linux can know it; until "crash detected"."""

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
MARGIN = 0.05
"""A time within this share of its limit is MARGINAL."""
RESOLUTION_NS = 1000
"""Both sources are cut to microseconds."""


def disagreements(t: Timeline) -> list[str]:
    """Where kernel log and trace contradict each other; empty if they agree.

    Their times interleave in one order only: interrupt, "crash detected", work queued, executed, "handling",
    "stopped", "up", work ended. That is exact where a tolerance in milliseconds would be a guess.
    """
    names = ("interrupt", "detected", "queued", "executed", "handling", "stopped", "up", "ended")
    known = [(n, at) for n, at in zip(names, astuple(t)[: len(names)], strict=True) if at is not None]
    return [
        f"{b} at {later} ns is before {a} at {earlier} ns"
        for (a, earlier), (b, later) in pairwise(known)
        if later + RESOLUTION_NS < earlier
    ]


def durations(timelines: Iterable[Timeline]) -> dict[str, list[float]]:
    """Milliseconds of every interval whose two ends were seen, in order."""
    found: dict[str, list[float]] = {interval.name: [] for interval in INTERVALS}
    for t in timelines:
        for interval in INTERVALS:
            begin, end = getattr(t, interval.begin), getattr(t, interval.end)
            if begin is not None and end is not None:
                found[interval.name].append((end - begin) / 1e6)
    return found


def percentile(ordered: Sequence[float], p: float) -> float | None:
    """Nearest rank. None if the samples are too few for it: p99 takes a hundred, p99.9 a thousand."""
    if not ordered or (p > 50 and len(ordered) * (100 - p) < 100):
        return None
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


def distribution(samples: Iterable[float]) -> Iterator[tuple[str, float]]:
    """min, percentiles as far as the samples reach, max."""
    ordered = sorted(samples)
    if not ordered:
        return
    yield "min", ordered[0]
    for p in PERCENTILES:
        value = percentile(ordered, p)
        if value is not None:
            yield f"p{p:g}", value
    yield "max", ordered[-1]


def measurements(
    timelines: Iterable[Timeline], core: str, limits_ms: Mapping[str, float]
) -> Iterator[Measurement]:
    """The distribution of every interval; limits_ms: highest good value by its name."""
    found = durations(timelines)
    for interval in INTERVALS:
        for statistic, value in distribution(found[interval.name]):
            name = f"{core} {interval.name}, {statistic} of {len(found[interval.name])}"
            limit_ms = limits_ms.get(interval.name)
            yield Measurement(name, value, "ms", interval.source, None, limit_ms, MARGIN)
