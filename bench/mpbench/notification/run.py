# SPDX-License-Identifier: MIT
"""A run of notifications: provoke, read what the kernel counted or recorded, and count every interrupt."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.histogram import BANDS, Histogram, of_values
from mpbench.notification.capabilities import Facilities
from mpbench.notification.collect import Collected
from mpbench.notification.facts import END, IRQ, QUEUE, REQUEST, SEGMENTS, START, THREADED
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.measure import Counts, Result
from mpbench.notification.parse import ALL_CPUS, Readout, readout, unpacked

HISTOGRAM, RAW, TEXT = "hist triggers", "raw ring buffer", "trace text"
READS = 12
QUIET_READS = 36
"""On a board under load a read takes so long that a notification each second comes during most of them."""
IDLE_READS = 100
"""A bottom half waits for a thread of the TEE, of which clients that call it all the time take every one.
Ref: Linux drivers/tee/optee/call.c, optee_cq_wait_for_completion()"""
PAUSE_S = 0.2
BUCKETS = tuple((band.low_ns, band.high_ns, band.width_ns) for band in BANDS)


_pause = threading.Event().wait


def consistent(
    trace: FtraceSession,
    line: str,
    idle: tuple[int, int] | None = None,
    *,
    durations: bool = True,
    restart: bool = False,
    pause: Callable[[float], object] = _pause,
) -> Readout:
    """A readout during which no notification arrived. InvalidRun after QUIET_READS or IDLE_READS.

    idle: no more than this may be under way, see under_way(); None: whatever is
    """
    undisturbed, reads = 0, QUIET_READS if idle is None else IDLE_READS
    for _ in range(reads):
        found = readout(unpacked(trace.read(durations=durations, restart=restart)), line)
        if found.consistent and (idle is None or not _more(found, idle)):
            return found
        undisturbed += found.consistent
        pause(PAUSE_S)
    arrived = f"notifications arrived during all {reads} reads"
    lasted = f"at each of {undisturbed} reads a bottom half had not started or not ended"
    raise InvalidRun(f"no consistent snapshot: {lasted if undisturbed else arrived}")


def _more(found: Readout, idle: tuple[int, int]) -> bool:
    """Whether more bottom halves are under way than when the board was idle."""
    return any(now > then for now, then in zip(under_way(found), idle, strict=True))


def settled(
    trace: FtraceSession, line: str, *, restart: bool = False, pause: Callable[[float], object] = _pause
) -> Readout:
    """A consistent readout of an idle board: no more is under way than at the one before, PAUSE_S ago.

    A bottom half that was requested before it and starts after it would be counted as one too many.
    """
    before = consistent(trace, line, durations=False, restart=restart)
    for _ in range(READS):
        pause(PAUSE_S)
        found = consistent(trace, line, restart=restart)
        if under_way(found) == under_way(before):
            return found
        before = found
    raise InvalidRun(f"bottom halves were under way at all {READS} reads")


def totals_so_far(trace: FtraceSession, found: Facilities) -> Histogram:
    """Total durations so far, consistent or not: for the live display only."""
    segments, _ = histograms(readout(unpacked(trace.read()), found.line).durations)
    return segments.get("total", Histogram())


def listen(
    trace: FtraceSession, found: Facilities, seconds: float, pause: Callable[[float], object] = _pause
) -> int:
    """Number of interrupts that come by themselves within `seconds`."""
    before = sum(consistent(trace, found.line, durations=False).table.values())
    pause(seconds)
    return sum(consistent(trace, found.line, durations=False).table.values()) - before


def under_way(found: Readout) -> tuple[int, int]:
    """Bottom halves that were queued and have not started, and those that have and have not ended.

    Not 0 for good if the trace was set up in between and counts only one of the two events. Without the count
    of requests a queued bottom half is not told from one that is requested again: 0.
    """
    sums = {role: sum(rows.values()) for role, rows in found.hits.items()}
    waiting = sums.get(QUEUE, 0) - sums.get(START, 0) if REQUEST in sums else 0
    return waiting, sums.get(START, 0) - sums.get(END, 0)


def result(found: Facilities, before: Readout, after: Readout, sent: int | None, moved: int) -> Result:
    """Result of the notifications between two consistent readouts."""
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
    """Counts by what each path has a histogram for; see mpbench.notification.ftrace_plan."""
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
    """Durations by segment; the total also by the CPU of the interrupt."""
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
    trace: FtraceSession,
    found: Facilities,
    send: Callable[[int], int | None],
    samples: int,
    least: int | None = None,
    *,
    rounds: int = 20,
    at_end: Callable[[], object] = lambda: None,
) -> Result:
    """Provoke until `least` (default: `samples`) notifications have come, or the first round brought none.

    send: provokes a number of notifications; bytes may share one, so several rounds may be needed
    at_end: called when all have come
    InfrastructureError if `rounds` are not enough.
    """
    moved, before = trace.moved, settled(trace, found.line)
    idle, came, sent = under_way(before), 0, [send(samples)]
    while len(sent) < rounds:
        so_far = consistent(trace, found.line, idle, durations=False).since(before)
        came = sum(so_far.hits.get(END, {}).values())
        if came == 0 or came >= (samples if least is None else least):
            break
        sent.append(send(samples - came))
    else:
        raise InfrastructureError(
            f"only {came} of {samples} notifications came in {rounds} rounds of sending"
        )
    after = consistent(trace, found.line, idle)
    at_end()
    return result(
        found, before, after, None if None in sent else sum(n or 0 for n in sent), trace.moved - moved
    )


def recorded(
    trace: FtraceSession, found: Facilities, send: Callable[[int], int | None], samples: int
) -> tuple[Readout, Readout, int | None]:
    """Provoke `samples` notifications and record exactly those between two consistent readouts.

    Returns both readouts, and the number sent. InvalidRun if at the end of all READS recordings a bottom half
    was running, or another notification arrived.
    """
    for _ in range(READS):
        before = settled(trace, found.line, restart=True)
        sent = send(samples)
        consistent(trace, found.line, under_way(before), durations=False)
        after = readout(unpacked(trace.read(halt=True)), found.line)
        if after.consistent and under_way(after) == under_way(before):
            return before, after, sent
    raise InvalidRun(f"all {READS} recordings ended inside a bottom half")


def followed(
    found: Facilities,
    recording: Collected,
    table: Mapping[int, int],
    *,
    method: str,
    sent: int | None,
) -> Result:
    """Result of notifications recorded event by event; table: interrupts by CPU, by /proc/interrupts."""
    seen = recording.followed
    by_cpu: dict[int, list[int]] = {}
    for sample in seen.samples:
        by_cpu.setdefault(sample.irq_cpu, []).append(sample.done - sample.irq)
    return Result(
        method=method,
        path=found.path,
        counts=counts(found.path, seen.hits, table, len(seen.samples), recording.lost),
        segments={
            name: of_values(ns for s in seen.samples if (ns := s.durations[name]) >= 0) for name in SEGMENTS
        },
        by_cpu={cpu: of_values(values) for cpu, values in sorted(by_cpu.items())},
        sent=sent,
        moved=recording.moved,
        outliers=recording.outliers,
    )
