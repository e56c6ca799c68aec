# SPDX-License-Identifier: MIT
"""A run of notifications: capture, provoke, read, count, and say where every interrupt went."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.histogram import BANDS, Histogram, of_values
from mpbench.notification.facts import END, IRQ, QUEUE, REQUEST, SEGMENTS, START, THREADED, Outlier
from mpbench.notification.measure import Counts, Result
from mpbench.notification.parse import ALL_CPUS, Readout, readout, unpacked
from mpbench.notification.trace_events import Followed

HISTOGRAM, RAW, TEXT = "hist triggers", "raw ring buffer", "trace text"
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

    def read(self, *, durations: bool = True, restart: bool = False, halt: bool = False) -> bytes:
        """Everything counted so far; without durations it is short. The record of events begins or ends."""


_pause = threading.Event().wait


def quiet(
    trace: Trace,
    line: str,
    idle: int | None = None,
    *,
    durations: bool = True,
    restart: bool = False,
    pause: Callable[[float], object] = _pause,
) -> Readout:
    """A reading during which nothing happened. InvalidRun if there is none.

    idle: what under_way() said of an idle board: a trace that is set up while something is under way sees
    the end of it only, or only the begin. None: this reading is to find out.
    """
    for _ in range(READS):
        found = readout(unpacked(trace.read(durations=durations, restart=restart)), line)
        if found.quiet and under_way(found) == (under_way(found) if idle is None else idle):
            return found
        pause(SETTLE_S)
    raise InvalidRun(f"notifications never stop: {READS} readings, and none of one moment")


def look(trace: Trace, found: Found) -> Histogram:
    """Totals so far, whatever happens meanwhile: for somebody who watches, not for a result."""
    segments, _ = histograms(readout(unpacked(trace.read()), found.line).durations)
    return segments.get("total", Histogram())


def heard(trace: Trace, found: Found, seconds: float, pause: Callable[[float], object] = _pause) -> int:
    """Interrupts that come by themselves in so many seconds."""
    before = sum(quiet(trace, found.line, durations=False).table.values())
    pause(seconds)
    return sum(quiet(trace, found.line, durations=False).table.values()) - before


def under_way(found: Readout) -> int:
    """Bottom halves that began and did not end."""
    return sum(found.hits.get(START, {}).values()) - sum(found.hits.get(END, {}).values())


def result(found: Found, before: Readout, after: Readout, sent: int | None, moved: int) -> Result:
    """What happened between two quiet readings."""
    came = after.since(before)
    segments, by_cpu = histograms(came.durations)
    return Result(
        method=HISTOGRAM,
        path=found.path,
        counts=counts(
            found.path, came.hits, came.table, segments.get("total", Histogram()).total, came.dropped
        ),
        segments=segments,
        by_cpu=by_cpu,
        sent=sent,
        moved=moved,
    )


def counts(
    path: str, hits: Mapping[str, Mapping[int, int]], table: Mapping[int, int], samples: int, dropped: int
) -> Counts:
    """By what is counted on each path; see mpbench.notification.ftrace_plan."""
    sums = {label: sum(rows.values()) for label, rows in hits.items()}
    threaded = path == THREADED
    return Counts(
        table=table,
        irqs=dict(hits.get(IRQ, {})),
        requests=sums.get(QUEUE, 0) if threaded else sums.get(REQUEST),
        queued=None if threaded else sums.get(QUEUE, 0),
        started=sums.get(START, 0),
        ended=sums.get(END, 0),
        samples=samples,
        dropped=dropped,
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
    least: int | None = None,
    *,
    rounds: int = 20,
    ending: Callable[[], object] = lambda: None,
) -> Result:
    """Provoke until `least` (all `samples`) notifications have come, or one round of `send` brought none.

    ending: what else is read when all have come
    send: provokes so many; bytes may share a notification, so more than one round may be needed.
    InfrastructureError if the rounds are over before.
    """
    moved, before = trace.moved, quiet(trace, found.line)
    idle, came, sent = under_way(before), 0, [send(samples)]
    while len(sent) < rounds:
        so_far = quiet(trace, found.line, idle, durations=False).since(before)
        came = sum(so_far.hits.get(END, {}).values())
        if came == 0 or came >= (samples if least is None else least):
            break
        sent.append(send(samples - came))
    else:
        raise InfrastructureError(f"{rounds} rounds of sending, and {came} of {samples} notifications came")
    after = quiet(trace, found.line, idle)
    ending()
    return result(
        found, before, after, None if None in sent else sum(n or 0 for n in sent), trace.moved - moved
    )


def recorded(
    trace: Trace, found: Found, send: Callable[[int], int | None], samples: int
) -> tuple[Readout, Readout, int | None]:
    """Provoke `samples` notifications: quiet readings before and after, with a record of just what is
    between them, and how many were sent. InvalidRun if something that nobody sent came at each try's end.
    """
    for _ in range(READS):
        before = quiet(trace, found.line, restart=True)
        sent = send(samples)
        quiet(trace, found.line, under_way(before), durations=False)
        after = readout(unpacked(trace.read(halt=True)), found.line)
        if after.quiet and under_way(after) == under_way(before):
            return before, after, sent
    raise InvalidRun(f"notifications never stop: none of {READS} records ended in a quiet moment")


def followed(
    found: Found,
    seen: Followed,
    table: Mapping[int, int],
    *,
    method: str,
    lost: int,
    sent: int | None,
    moved: int,
    outliers: tuple[Outlier, ...] = (),
) -> Result:
    """The same from events that were recorded one by one; table: /proc/interrupts' counts of the run."""
    by_cpu: dict[int, list[int]] = {}
    for sample in seen.samples:
        by_cpu.setdefault(sample.irq_cpu, []).append(sample.done - sample.irq)
    return Result(
        method=method,
        path=found.path,
        counts=counts(found.path, seen.hits, table, len(seen.samples), lost),
        segments={
            name: of_values(ns for s in seen.samples if (ns := s.durations[name]) >= 0) for name in SEGMENTS
        },
        by_cpu={cpu: of_values(values) for cpu, values in sorted(by_cpu.items())},
        sent=sent,
        moved=moved,
        outliers=outliers,
    )
