# SPDX-License-Identifier: MIT
"""How long detection and recovery take, from times that the board's own clock gave. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import astuple, frozen

from mpbench.core.facts import Measurement
from mpbench.core.statistics import rank, summary
from mpbench.recovery.facts import Timeline

KERNEL_LOG, WORKQUEUE, WATCHER = "kernel log", "workqueue tracepoints", "watcher on the board"


@frozen
class Interval:
    """A duration: from one time of a Timeline to another, and what dated them."""

    name: str
    start: str
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

MARGIN = 0.05
"""A time within this share of its limit is MARGINAL."""
RESOLUTION_NS = 1000
"""Both sources are cut to microseconds."""


def disagreements(t: Timeline) -> list[str]:
    """Where kernel log and trace contradict each other; empty if they agree.

    Their times interleave in one order only: interrupt, work queued, executed, "handling", "stopped", "up",
    work ended. That is exact where a tolerance in milliseconds would be a guess. "crash detected" is after
    the interrupt: Linux 6.12.107 prints it before it queues the work, 6.12.117 after that.
    """
    names = ("interrupt", "detected", "queued", "executed", "handling", "stopped", "up", "ended")
    known = {n: at for n, at in zip(names, astuple(t)[: len(names)], strict=True) if at is not None}
    order = [name for name in known if name != "detected"]
    pairs = [*pairwise(order), *pairwise(name for name in ("interrupt", "detected") if name in known)]
    return [
        f"{b} at {known[b]} ns is before {a} at {known[a]} ns"
        for a, b in pairs
        if known[b] + RESOLUTION_NS < known[a]
    ]


def durations(timelines: Iterable[Timeline]) -> dict[str, list[float]]:
    """Milliseconds of every interval whose two ends were seen, in order."""
    found: dict[str, list[float]] = {interval.name: [] for interval in INTERVALS}
    for t in timelines:
        for interval in INTERVALS:
            start, end = getattr(t, interval.start), getattr(t, interval.end)
            if start is not None and end is not None:
                found[interval.name].append((end - start) / 1e6)
    return found


def measurements(
    timelines: Iterable[Timeline], core: str, limits_ms: Mapping[str, float]
) -> Iterator[Measurement]:
    """The distribution of every interval that was seen; limits_ms: highest good value by its name."""
    for interval, samples in zip(INTERVALS, durations(timelines).values(), strict=True):
        if not samples:
            continue
        ordered, limit_ms = sorted(samples), limits_ms.get(interval.name)
        for statistic, value in distribution(ordered):
            yield Measurement(
                interval.name, value, "ms", interval.source, None, limit_ms, MARGIN,
                statistic=statistic, n=len(ordered), conditions={"core": core},
            )  # fmt: skip


def distribution(ordered: Sequence[float]) -> Iterator[tuple[str, float]]:
    """min, the percentiles that there are samples enough for, max, of samples in ascending order."""
    return summary(len(ordered), lambda p: ordered[rank(len(ordered), p) - 1])
