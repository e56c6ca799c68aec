# SPDX-License-Identifier: MIT
"""Fixture `notifications`: provoke OP-TEE's notifications, time them, record the results."""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from attrs import define, evolve, field

from mpbench.board.protocols import Board
from mpbench.board.stimulus import PassiveStimulus, Stimulus
from mpbench.core.errors import InvalidRun, UsageError
from mpbench.core.facts import Measurement, measured
from mpbench.core.histogram import Histogram, interval
from mpbench.core.lines import HistogramLine, OutliersLine, SegmentsLine
from mpbench.core.record import read
from mpbench.deployment.fixture import DeployBench
from mpbench.notification import collect, measure, run
from mpbench.notification.capabilities import Facilities, read_facilities
from mpbench.notification.cpu_activity import of_snapshot
from mpbench.notification.facts import EVENTS, SEGMENTS, Outlier
from mpbench.notification.ftrace_session import FtraceSession, timing
from mpbench.notification.live_histogram import Live
from mpbench.notification.measure import Result
from mpbench.notification.parse import unpacked
from mpbench.notification.stimulus import best_stimulus
from mpbench.notification.target_options import limits, slower

SHOW_EVERY_S = 2.0
PARTS, LEAST_PART = 2, 200
"""The kernel keeps one outlier's context: a snapshot is read for each half of a run and for its re-measured
samples. A part has at least LEAST_PART notifications."""
MOST_SNAPSHOT_BYTES = 16 << 10
"""No more snapshots are read in a run after this many bytes of them."""
LISTEN_S, LISTENED = 5.0, 30
"""Seconds to listen, and most samples, if notifications only come by themselves (1 Hz)."""

CAPACITY, ROUNDS = 10_000, 20
"""Notifications that the buffer of a CPU always has room for, and the limit of recordings."""

NO_SNAPSHOTS = (
    "histograms keep no single notification, and this kernel takes no snapshots of what ran during the "
    "slowest: CONFIG_TRACER_SNAPSHOT, sched_switch"
)

NO_SOURCE = (
    "no source of notifications: none came in {seconds:.0f} s. The board's image needs a producer in OP-TEE: "
    "the test watchdog (CFG_NOTIF_TEST_WD=y with CFG_CALLOUT=y), or a driver that sends bottom halves"
)


@define
class Notifications:
    """Notification API of one test.

    baseline: distributions by segment of earlier runs; slower: allowed multiple of its durations
    """

    bench: DeployBench
    found: Facilities
    stimulus: Stimulus
    limits_us: Mapping[str, Mapping[str, float]]
    samples: int
    rate_hz: float
    trace: FtraceSession | None
    live: Live | None = None
    baseline: Mapping[str, Histogram] | None = None
    slower: float = 1.0
    _since_snapshot: int = 0
    _snapshot_bytes: int = 0
    _slowest: list[Outlier] = field(factory=list)

    def traced(self, **wanted: bool) -> AbstractContextManager[FtraceSession]:
        """A started FtraceSession, removed afterwards; `wanted`: see FtraceSession.start()."""
        return timing(self.bench.board.session, self.found, run.BUCKETS, **wanted)

    def send(self, count: int, burst: int = 1) -> int | None:
        """Provoke notifications at the rate of the run, in parts, with a live histogram if it is wanted.

        Number of notifications sent, None if they come by themselves.
        """
        if self.trace is None:
            return self.stimulus.send(count, self.rate_hz, burst, lambda _: True)
        sent = []
        part = max(1, round(self.rate_hz * SHOW_EVERY_S) if self.live else self.samples // PARTS)
        for start in range(0, count, part):
            number = min(part, count - start)
            sent.append(self.stimulus.send(number, self.rate_hz, burst, lambda _: True))
            self._since_snapshot += number
            if self._since_snapshot >= max(LEAST_PART, self.samples // PARTS):
                self._read_snapshot()
            if self.live is not None:
                moved = self.trace.moved
                self.live.show(run.totals_so_far(self.trace, self.found))
                self.trace.moved = moved  # bytes read for the live histogram are not part of the result
        return None if None in sent else sum(n or 0 for n in sent)

    def _read_snapshot(self) -> None:
        """Add the slowest notification since the last snapshot, with CPU activity, if the kernel keeps it."""
        self._since_snapshot = 0
        assert self.trace is not None
        if self._snapshot_bytes < MOST_SNAPSHOT_BYTES and (packed := self.trace.worst()):
            self._snapshot_bytes += len(packed)
            self._slowest += of_snapshot(unpacked(packed), collect.roles_of(self.trace.plan.context))

    def run(
        self,
        samples: int | None = None,
        *,
        burst: int = 1,
        while_sending: Callable[[], object] = lambda: None,
    ) -> Result:
        """Measure `samples` notifications; skips the test if the board has no source of them.

        burst: how many are sent at once; the secure world may merge them, and the samples may be fewer
        while_sending: called while they are sent
        """
        wanted = samples or self.samples
        if self.trace is None:
            found = self._recorded(wanted, burst, while_sending)
        else:
            found = self._counted(self.trace, wanted, burst, while_sending)
        if not found.counts.ended:
            pytest.skip(NO_SOURCE.format(seconds=wanted / self.rate_hz))
        return found

    def _counted(
        self, trace: FtraceSession, wanted: int, burst: int, while_sending: Callable[[], object]
    ) -> Result:
        """Counted by the kernel."""
        least = wanted if burst == 1 else 1
        self._snapshot_bytes = 0
        self._read_snapshot()  # the slowest until now is not part of this run
        self._slowest.clear()
        self._snapshot_bytes = 0
        found = run.measure(
            trace,
            self.found,
            lambda n: self._send_during(n, burst, while_sending),
            wanted,
            least,
            at_end=self._read_snapshot,
        )
        return evolve(found, outliers=measure.worst(self._slowest))

    def _recorded(self, wanted: int, burst: int, while_sending: Callable[[], object]) -> Result:
        """Recorded event by event, for kernels without histograms: per recording as many as its buffer holds.

        A recording that ends inside a bottom half is repeated: without counts that is not known before.
        """
        whole: list[Result] = []
        for _ in range(ROUNDS):
            left = wanted - sum(r.counts.ended for r in whole)
            if left <= 0 or (whole and (burst > 1 or not whole[-1].counts.ended)):
                break
            found = self._recording_of(min(left, CAPACITY), burst, while_sending)
            whole += [found] if found.counts.started == found.counts.ended else []
        if not whole:
            raise InvalidRun(f"all {ROUNDS} recordings ended inside a bottom half")
        return functools.reduce(measure.merged, whole)

    def _recording_of(self, count: int, burst: int, while_sending: Callable[[], object]) -> Result:
        """Decoded from raw pages if the board's buffer has a known layout, else from text."""
        with self.traced(count=False, record=True) as trace:
            before, after, sent = run.recorded(
                trace, self.found, lambda n: self._send_during(n, burst, while_sending), count
            )
            method = run.RAW if collect.layout_is_known(self.bench.board.session) else run.TEXT
            take = collect.raw if method == run.RAW else collect.text
            found = take(self.bench.board.session, trace)
            return run.followed(self.found, found, after.since(before).table, method=method, sent=sent)

    def _send_during(self, count: int, burst: int, while_sending: Callable[[], object]) -> int | None:
        """Send in a second thread while the action runs; afterwards both have ended, whatever was raised."""
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self.send, count, burst)
            while_sending()
            return sending.result()

    def record(self, found: Result, conditions: Mapping[str, str] = MappingProxyType({})) -> None:
        """Record measurements and figures; InvalidRun if not every interrupt is explained.

        conditions: what the run was made under, e.g. {"load": "cpu"}; limits and baseline are for a run
        without any
        """
        for measurement in measure.measurements(
            found, {} if conditions else self.limits_us, dict(conditions)
        ):
            self.bench.measure(measurement)
        source = f"{found.source}: {EVENTS[found.path]}; {self.conditions}"
        source += f"; {measure.EMULATED}" if self.bench.about.virtual else "; normal-world latency"
        self._histograms(found, conditions, source)
        self._outliers(found, conditions, source)
        medians = tuple(
            (words, found.segments[name].quantile(50) / 1e3)
            for name, words in SEGMENTS.items()
            if name in found.segments and name != "total"
        )
        self.bench.add(SegmentsLine(f"{measure.LATENCY}, medians", medians, "µs", source, dict(conditions)))
        if self.baseline is not None and not conditions:
            for shift in measure.shifts(self.baseline, found.segments):
                self.bench.measure(shift.measurement(self.slower))
        if not found.balance.holds:
            run_of = measured("notifications", "", conditions)
            raise InvalidRun(f"{run_of}: not every interrupt is explained: {found.balance.line}")

    def _histograms(self, found: Result, conditions: Mapping[str, str], source: str) -> None:
        """By segment, and the total by CPU of the interrupt as well."""
        by_segment = [({"segment": SEGMENTS[name]}, h) for name, h in found.segments.items()]
        by_cpu = [({"segment": SEGMENTS["total"], "CPU": f"{cpu}"}, h) for cpu, h in found.by_cpu.items()]
        for own, histogram in (*by_segment, *by_cpu):
            buckets = tuple(histogram.buckets())
            self.bench.add(HistogramLine(measure.LATENCY, buckets, "ns", source, own | dict(conditions)))

    def _outliers(self, found: Result, conditions: Mapping[str, str], source: str) -> None:
        samples = tuple(measure.as_sample(outlier) for outlier in found.outliers)
        if found.method == run.HISTOGRAM and not self.found.snapshots:
            source = f"{source}; {NO_SNAPSHOTS}"
        elif not samples:
            return
        self.bench.add(OutliersLine("slowest notifications", samples, source, dict(conditions)))
        if samples and self.live is not None and not conditions:
            self.live.outliers(measure.row(outlier) for outlier in found.outliers)

    def cost(self, once: Histogram, twice: Histogram) -> None:
        """Record what one set of probes costs: the total's median with two sets, less that with one."""
        source = "total with the probes set up twice, less total with one set; 95 % confidence intervals"
        (low, high), (low_twice, high_twice) = interval(once, 50), interval(twice, 50)
        found = {
            "lower bound": low_twice - high,
            "p50": twice.quantile(50) - once.quantile(50),
            "upper bound": high_twice - low,
        }
        for statistic, ns in found.items():
            self.bench.measure(
                Measurement("cost of the probes", ns / 1e3, "µs", source, statistic=statistic, n=twice.total)
            )

    @property
    def conditions(self) -> str:
        """Timer, CPUs and frequency governor, which the figures depend on."""
        tick, governor = self.found.tick_ns, self.found.governor or "none"
        timer = f"timer tick {tick:.1f} ns" if tick else "timer tick unknown"
        return f"{timer}, CPUs {self.found.online}, frequency governor {governor}"


@pytest.fixture(scope="session")
def notification_facilities(board: Board) -> Facilities:
    """The board's facilities for notifications and for timing them, read once per run."""
    return read_facilities(board.session)


@pytest.fixture(scope="module")
def notification_trace(board: Board, notification_facilities: Facilities) -> Iterator[FtraceSession | None]:
    """The kernel's histograms, for all tests of a module: their set-up takes longer than many a run."""
    if "histogram" not in notification_facilities.methods:
        yield None
        return
    with timing(board.session, notification_facilities, run.BUCKETS) as trace:
        yield trace


@pytest.fixture
def notifications(
    bench: DeployBench,
    notification_facilities: Facilities,
    notification_trace: FtraceSession | None,
    target: Any,
    request: Any,
) -> Notifications:
    """Notifications of this board; NOT-RUN, with the missing parts, if they can't be measured."""
    if notification_facilities.missing:
        pytest.skip("; ".join(notification_facilities.missing))
    option, samples = request.config.option, request.config.option.bench_samples
    stimulus = best_stimulus(target)
    if isinstance(stimulus, str):
        pytest.skip(stimulus)
    if isinstance(stimulus, PassiveStimulus):
        samples = min(samples, LISTENED)
        if notification_trace and not run.listen(notification_trace, notification_facilities, LISTEN_S):
            pytest.skip(NO_SOURCE.format(seconds=LISTEN_S))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    return Notifications(
        bench,
        notification_facilities,
        stimulus,
        limits(target.env.config),
        samples,
        option.bench_rate,
        notification_trace,
        Live(option.bench_samples, capture, terminal=sys.stdout.isatty()) if option.bench_live else None,
        baselines(option.bench_baseline, bench.about.provenance.entries),
        slower(target.env.config),
    )


SAME = ("model", "kernel", "op-tee")
"""Provenance entries that have to be equal for a comparison to mean anything."""


def baselines(directories: Sequence[str], here: Mapping[str, str]) -> Mapping[str, Histogram] | None:
    """Distributions of some earlier runs as one; None for no run."""
    found: dict[str, Histogram] = {}
    for directory in directories:
        for name, histogram in baseline(directory, here).items():
            found[name] = found.get(name, Histogram()) + histogram
    return found or None


def baseline(directory: str, here: Mapping[str, str]) -> Mapping[str, Histogram]:
    """Distributions of an earlier run, by segment. UsageError: of another board, or without any."""
    recorded = read(Path(directory))
    there = recorded.provenance
    for name in SAME:
        if there.get(name) != here.get(name):
            raise UsageError(f"{directory}: {name} was {there.get(name)!r}, it is {here.get(name)!r} now")
    wanted = {words: name for name, words in SEGMENTS.items()}
    found = {
        wanted[line.conditions["segment"]]: Histogram(
            {(int(low), int(high - low)): n for low, high, n in line.buckets}
        )
        for line in recorded.of(HistogramLine)
        if line.name == measure.LATENCY and line.conditions.keys() == {"segment"}
    }
    if not found:
        raise UsageError(f"{directory}: no notification was timed in this run, or by an older version")
    return found
