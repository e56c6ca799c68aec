# SPDX-License-Identifier: MIT
"""A run of notifications: capture, provoke, read, count, and say where every interrupt went."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from bench.errors import Invalidated, LabFault
from bench.measure.histogram import BANDS, Histogram
from bench.measure.latency import Counts, Result
from bench.observe.latency import ALL_CPUS, Readout, readout, unpacked

HISTOGRAM = "histograms in the kernel"
THREADED = "threaded"
WAKE_THREAD = 2
READS = 12
SETTLE_S = 0.2
BUCKETS = tuple((band.low_ns, band.high_ns, band.width_ns) for band in BANDS)


class Found(Protocol):
    """What is needed of the board's facilities."""

    @property
    def path(self) -> str:
        """Name of the path."""

    @property
    def line(self) -> str:
        """Name in /proc/interrupts."""


class Trace(Protocol):
    """What is needed of the trace."""

    moved: int

    def read(self, *, durations: bool = True) -> bytes:
        """Everything counted so far; without durations it is short."""


_pause = threading.Event().wait


def quiet(
    trace: Trace,
    line: str,
    idle: int | None = None,
    *,
    durations: bool = True,
    pause: Callable[[float], object] = _pause,
) -> Readout:
    """A reading during which nothing happened. Invalidated if there is none.

    idle: what under_way() said of an idle board: a trace that is set up while something is under way sees
    the end of it only, or only the begin. None: this reading is to find out.
    """
    for _ in range(READS):
        found = readout(unpacked(trace.read(durations=durations)), line)
        if found.quiet and under_way(found) == (under_way(found) if idle is None else idle):
            return found
        pause(SETTLE_S)
    raise Invalidated(f"notifications never stop: {READS} readings, and none of one moment")


def under_way(found: Readout) -> int:
    """Bottom halves that began and did not end."""
    return sum(found.hits.get("started", {}).values()) - sum(found.hits.get("ended", {}).values())


def result(found: Found, before: Readout, after: Readout, sent: int | None, moved: int) -> Result:
    """What happened between two quiet readings."""
    came = after.since(before)
    segments, by_cpu = histograms(came.durations)
    return Result(
        method=HISTOGRAM,
        path=found.path,
        counts=counts(found.path, came, segments["total"].total if "total" in segments else 0),
        segments=segments,
        by_cpu=by_cpu,
        sent=sent,
        moved=moved,
    )


def counts(path: str, came: Readout, samples: int) -> Counts:
    """By what the histograms of each path count; see bench.board.latencyplan."""
    hits = {label: sum(rows.values()) for label, rows in came.hits.items()}
    if path == THREADED:
        requests: int | None = came.hits.get("returns", {}).get(WAKE_THREAD, 0)
    else:
        requests = hits.get("requests")
    return Counts(
        table=came.table,
        irqs=came.hits.get("irqs", {}),
        requests=requests,
        queued=hits.get("queued", 0),
        started=hits.get("started", 0),
        ended=hits.get("ended", 0),
        samples=samples,
        dropped=came.dropped,
    )


def histograms(
    durations: Mapping[str, Mapping[tuple[int, int, int], int]],
) -> tuple[dict[str, Histogram], dict[int, Histogram]]:
    """Durations by segment; those of a segment that is counted by CPU also by CPU."""
    segments: dict[str, Counter[tuple[int, int]]] = {}
    by_cpu: dict[int, Counter[tuple[int, int]]] = {}
    for name, rows in durations.items():
        for (cpu, low, width), n in rows.items():
            segments.setdefault(name, Counter())[low, width] += n
            if cpu != ALL_CPUS:
                by_cpu.setdefault(cpu, Counter())[low, width] += n
    return (
        {name: Histogram(dict(found)) for name, found in segments.items()},
        {cpu: Histogram(dict(found)) for cpu, found in by_cpu.items()},
    )


def measure(
    trace: Trace,
    found: Found,
    send: Callable[[int], int | None],
    samples: int,
    *,
    rounds: int = 20,
) -> Result:
    """Provoke until `samples` notifications have come, or one round of `send` brought none.

    send: provokes so many; bytes may share a notification, so more than one round may be needed.
    LabFault if the rounds are over before.
    """
    before = quiet(trace, found.line)
    idle, came, sent = under_way(before), 0, [send(samples)]
    while len(sent) < rounds:
        so_far = quiet(trace, found.line, idle, durations=False).since(before)
        came = sum(so_far.hits.get("ended", {}).values())
        if came == 0 or came >= samples:
            break
        sent.append(send(samples - came))
    else:
        raise LabFault(f"{rounds} rounds of sending, and {came} of {samples} notifications came")
    after = quiet(trace, found.line, idle)
    return result(found, before, after, None if None in sent else sum(n or 0 for n in sent), trace.moved)
