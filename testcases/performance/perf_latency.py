# SPDX-License-Identifier: MIT
"""P7: times of many notifications by hist triggers in the kernel, beside the raw ring buffer of one run.

The peer is what `trace-cmd record` moves, the pages of trace_pipe_raw by CPU: the guest has no trace-cmd, and
with it they would be identical pages. What it would move for 10⁶ is extrapolated; what
the histograms move is bounded by their tables.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import frozen

from mpbench.core.errors import InfrastructureError
from mpbench.notification import run
from mpbench.notification.capabilities import Facilities, read_facilities
from mpbench.notification.collect import RawEvents
from mpbench.notification.facts import SEGMENTS
from mpbench.notification.ftrace_session import FtraceSession, timing
from mpbench.notification.measure import Result
from mpbench.notification.trace_events import Sample, follow
from testcases.performance.rows import Board, Row

NUMBERS = ("P7",)
SAMPLES, BESIDE, RATE_HZ = 10_000, 1_500, 400.0
MOST_BYTES, MOST_ERROR = 64 << 10, 0.008
MILLION = 1_000_000
SHORT_NS = 1_000
"""Below, the first buckets are as wide as a tick of the timer (mpbench.core.histogram.FINEST_NS)."""
TRIES = 5
PEER = "raw ring buffer, as trace-cmd takes it"


def benchmarks(board: Board | None) -> Iterator[Row]:
    """Nothing without a board, or without hist triggers in its kernel."""
    if board is None:
        return
    session: Any = board.session
    found = read_facilities(session)
    if "histogram" not in found.methods:
        return
    stimulus = board.target.get_driver("SecureConsoleStimulus")

    def send(count: int) -> int | None:
        return stimulus.send(count, RATE_HZ, 1, lambda _: True)

    with timing(session, found, run.BUCKETS) as trace:
        whole = run.measure(trace, found, send, SAMPLES, at_end=trace.worst)
        start = time.perf_counter()
        trace.read()
        yield _whole(whole, time.perf_counter() - start)
    for _ in range(TRIES):
        with timing(session, found, run.BUCKETS, record=True, context=False) as trace:
            both = _both(session, trace, found, send)
        if both.raw.lost == 0 and both.counted.counts.samples == len(both.samples):
            yield _beside(both)
            return
    raise InfrastructureError(
        f"{TRIES} runs, and none in which histograms and ring buffer timed equal notifications"
    )


@frozen
class Both:
    """A run measured by both methods, and the seconds to read each."""

    counted: Result
    raw: RawEvents
    samples: Sequence[Sample]
    ours_s: float
    peer_s: float


def _both(session: Any, trace: FtraceSession, found: Facilities, send: Callable[[int], int | None]) -> Both:
    before, after, sent = run.recorded(trace, found, send, BESIDE)
    start = time.perf_counter()
    trace.read()
    between = time.perf_counter()
    raw = RawEvents(session, trace.instance, trace.plan.recorded)
    times = between - start, time.perf_counter() - between
    return Both(run.result(found, before, after, sent, 0), raw, follow(raw.trace_events()).samples, *times)


def _whole(found: Result, ours_s: float) -> Row:
    """Bytes that a long run moves, and whether every interrupt is explained."""
    words = f"{found.counts.ended} notifications: {found.moved / 1024:.1f} KiB moved, {found.balance.line}"
    good = found.moved <= MOST_BYTES and found.balance.holds
    return Row("P7", words, "", None, ours_s, "≤ 64 KiB, all explained", good)


def _beside(both: Both) -> Row:
    """Error of the histograms against exact times, and the time to read both."""
    each, error = both.raw.moved / both.counted.counts.ended, bucket_error(both.counted, both.samples)
    peer = f"{PEER}: {each:.0f} B each, for 10⁶ {each * MILLION / 1e6:.0f} MB (extrapolated)"
    words = f"{len(both.samples)} by both: bucket error {error:.2%}; to read"
    return Row("P7", words, peer, both.peer_s, both.ours_s, "≤ 0.8 %", error <= MOST_ERROR)


def bucket_error(counted: Result, samples: Sequence[Sample]) -> float:
    """Largest relative error of the histograms' percentiles against those of exact times."""
    worst = 0.0
    for name in SEGMENTS:
        exact = sorted(sample.durations[name] for sample in samples)
        for p in (50.0, 90.0, 99.0):
            true = exact[math.ceil(len(exact) * p / 100) - 1]
            if true >= SHORT_NS:
                worst = max(worst, abs(counted.segments[name].quantile(p) - true) / true)
    return worst
