# SPDX-License-Identifier: MIT
"""Fixture `notifications`: provoke OP-TEE's notifications, time them, record what came out."""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from attrs import define, evolve, field

from mpbench.board.stimulus import PassiveStimulus
from mpbench.board.trace import raw_trace
from mpbench.board.trace.ring_buffer import Events, Format, decode, event_format, layout
from mpbench.core import record
from mpbench.core.errors import InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Measurement, measured
from mpbench.core.histogram import Histogram, interval
from mpbench.deployment.fixture import DeployBench
from mpbench.notification import run
from mpbench.notification.capabilities import Facilities, look
from mpbench.notification.cpu_activity import marks_of_raw, marks_of_text, of_snapshot, slowest
from mpbench.notification.facts import EVENTS, SEGMENTS, Outlier
from mpbench.notification.ftrace_plan import Recorded
from mpbench.notification.ftrace_session import FtraceSession, timing
from mpbench.notification.live_histogram import Live
from mpbench.notification.measure import (
    EMULATED,
    LATENCY,
    OUTLIERS,
    Result,
    as_sample,
    measurements,
    merged,
    row,
    shifts,
    worst,
)
from mpbench.notification.parse import unpacked
from mpbench.notification.trace_events import Role, TraceEvent, follow, lost_in_text, of_raw, of_text

SAMPLES, RATE_HZ = 500, 200.0
LOOK_EVERY_S = 2.0
OUTLIERS_OF, LEAST_PART = 2, 200
"""The kernel keeps one outlier's context: of a run, that of the slowest in each half, and in what is
made up for after it. A part has at least so many notifications."""
MOST_BYTES = 16 << 10
"""No more snapshots are read in a run that has read so much of them."""
LISTEN_S, LISTENED = 5.0, 30
"""So long, and for so many, where notifications only come by themselves (1 Hz)."""
SOURCES = ("SecureConsoleStimulus", "RtcAlarmStimulus", "PassiveStimulus")
"""Drivers of stimuli, best first."""

AT_ONCE, ROUNDS = 10_000, 20
"""What the buffer of a CPU holds for certain; and so many times at most."""

NO_SNAPSHOTS = (
    "histograms keep no single notification, and this kernel takes no snapshots of what ran during the "
    "slowest: CONFIG_TRACER_SNAPSHOT, sched_switch"
)

NO_SOURCE = (
    "no source of notifications: none came in {seconds:.0f} s. The board's image needs a producer in OP-TEE: "
    "the test watchdog (CFG_NOTIF_TEST_WD=y with CFG_CALLOUT=y), or a driver that sends bottom halves"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mpbench")
    group.addoption(
        "--bench-samples",
        type=int,
        metavar="N",
        default=SAMPLES,
        help=f"notifications per measurement ({SAMPLES})",
    )
    group.addoption("--bench-live", action="store_true", help="show notifications as they come")
    group.addoption(
        "--bench-baseline",
        metavar="RUN",
        action="append",
        default=[],
        help="compare with a run of the same board and kernel; may be given several times: they are joined",
    )
    group.addoption(
        "--bench-rate",
        type=float,
        metavar="HZ",
        default=RATE_HZ,
        help=f"notifications per second ({RATE_HZ})",
    )


@define
class Notifications:
    """The board's notifications, in the hands of one test case."""

    bench: DeployBench
    found: Facilities
    stimulus: Any
    limits_us: Mapping[str, Mapping[str, float]]
    samples: int
    rate_hz: float
    trace: FtraceSession | None
    live: Live | None = None
    baseline: Mapping[str, Histogram] | None = None
    slower: float = 1.0
    _unseen: int = 0
    _bytes: int = 0
    _slowest: list[Outlier] = field(factory=list)

    @contextmanager
    def traced(self, **wanted: bool) -> Iterator[FtraceSession]:
        """A latency trace, gone afterwards."""
        session: Any = self.bench.board.session
        with timing(session, self.found, run.BUCKETS, **wanted) as trace:
            yield trace

    def send(self, count: int, burst: int = 1) -> int | None:
        """Provoke notifications at the rate of the run; with a look now and then if somebody watches."""
        if self.trace is None:
            return self._send(count, burst)
        parts, watched = [], self.live is not None
        step = max(1, round(self.rate_hz * LOOK_EVERY_S) if watched else self.samples // OUTLIERS_OF)
        for begin in range(0, count, step):
            number = min(step, count - begin)
            parts.append(self._send(number, burst))
            self._unseen += number
            if self._unseen >= max(LEAST_PART, self.samples // OUTLIERS_OF):
                self._see()
            if self.live is not None:
                moved = self.trace.moved
                self.live.show(run.look(self.trace, self.found))
                self.trace.moved = moved  # what a person watches is no part of the result
        return None if None in parts else sum(n or 0 for n in parts)

    def _see(self) -> None:
        """The slowest notification since the last time, with what ran meanwhile, if the kernel keeps it."""
        self._unseen = 0
        assert self.trace is not None
        if self._bytes < MOST_BYTES and (packed := self.trace.worst()):
            self._bytes += len(packed)
            self._slowest += of_snapshot(unpacked(packed), roles_of(self.trace.plan.context))

    def _send(self, count: int, burst: int) -> int | None:
        return self.stimulus.send(count, self.rate_hz, burst, lambda _: True)  # type: ignore[no-any-return]

    def run(
        self, samples: int | None = None, *, burst: int = 1, meanwhile: Callable[[], object] = lambda: None
    ) -> Result:
        """Measure so many notifications; skips the test when the board has no source of them.

        burst: so many at once, which the secure world may merge into one: the samples may be fewer then
        meanwhile: what is done while they come
        """
        wanted = samples or self.samples
        if self.trace is None:
            found = self._one_by_one(wanted, burst, meanwhile)
        else:
            found = self._counted(self.trace, wanted, burst, meanwhile)
        if not found.counts.ended:
            pytest.skip(NO_SOURCE.format(seconds=wanted / self.rate_hz))
        return found

    def _counted(
        self, trace: FtraceSession, wanted: int, burst: int, meanwhile: Callable[[], object]
    ) -> Result:
        """Counted by the kernel."""
        least = wanted if burst == 1 else 1
        self._bytes = 0
        self._see()  # what was slowest until now is no part of this run
        self._slowest.clear()
        self._bytes = 0
        found = run.measure(
            trace,
            self.found,
            lambda n: self._beside(n, burst, meanwhile),
            wanted,
            least,
            ending=self._see,
        )
        return evolve(found, outliers=worst(self._slowest))

    def _one_by_one(self, wanted: int, burst: int, meanwhile: Callable[[], object]) -> Result:
        """Recorded one by one, where the kernel has no histograms: as many at once as its buffer holds.

        A record that ends inside of a bottom half is made again: without counts nobody knows before.
        """
        whole: list[Result] = []
        for _ in range(ROUNDS):
            left = wanted - sum(r.counts.ended for r in whole)
            if left <= 0 or (whole and (burst > 1 or not whole[-1].counts.ended)):
                break
            found = self._record_of(min(left, AT_ONCE), burst, meanwhile)
            whole += [found] if found.counts.started == found.counts.ended else []
        if not whole:
            raise InvalidRun(f"notifications never stop: {ROUNDS} records, each cut inside of a bottom half")
        return functools.reduce(merged, whole)

    def _record_of(self, count: int, burst: int, meanwhile: Callable[[], object]) -> Result:
        with self.traced(count=False, record=True) as trace:
            before, after, sent = run.recorded(
                trace, self.found, lambda n: self._beside(n, burst, meanwhile), count
            )
            return self._taken(trace, after.since(before).table, sent)

    def _taken(self, trace: FtraceSession, table: Mapping[int, int], sent: int | None) -> Result:
        """Raw if the board's buffer has a layout that is known, else as text."""
        session: Any = self.bench.board.session
        try:
            layout(raw_trace.descriptions(session, []).header_page)
        except InfrastructureError:
            return self._by_text(trace, table, sent)
        return self._raw(trace, table, sent)

    def _beside(self, count: int, burst: int, meanwhile: Callable[[], object]) -> int | None:
        """Send while something else is done; whatever either raises, both have ended."""
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self.send, count, burst)
            meanwhile()
            return sending.result()

    def recorded(self, trace: FtraceSession, samples: int | None = None) -> dict[str, Result]:
        """Notifications whose events are recorded one by one, by every method the trace is set up for."""
        before, after, sent = run.recorded(trace, self.found, self.send, samples or self.samples)
        table = after.since(before).table
        found = {run.TEXT: self._by_text(trace, table, sent), run.RAW: self._raw(trace, table, sent)}
        if after.durations:
            found[run.HISTOGRAM] = run.result(self.found, before, after, sent, trace.moved)
        return found

    def _by_text(self, trace: FtraceSession, table: Mapping[int, int], sent: int | None) -> Result:
        """From the text, which stays on the board."""
        session: Any = self.bench.board.session
        text = raw_trace.text(session, trace.instance).decode("utf-8", "backslashreplace")
        around = (
            raw_trace.text(session, trace.context).decode("utf-8", "backslashreplace")
            if trace.context_recorded
            else ""
        )
        seen = follow(of_text(text, roles_of(trace.plan.recorded)))
        return run.followed(
            self.found, seen, table, method=run.TEXT, lost=lost_in_text(text), sent=sent,
            moved=len(text) + len(around),
            outliers=slowest(seen.samples, OUTLIERS, marks_of_text(around)),
        )  # fmt: skip

    def _raw(self, trace: FtraceSession, table: Mapping[int, int], sent: int | None) -> Result:
        """From the raw pages, which are taken off the board."""
        session: Any = self.bench.board.session
        events = Decoded(session, trace.instance, trace.plan.recorded)
        around = Decoded(session, trace.context, trace.plan.context if trace.context_recorded else ())
        seen = follow(events.trace_events())
        return run.followed(
            self.found, seen, table, method=run.RAW, lost=events.lost, sent=sent,
            moved=events.moved + around.moved,
            outliers=slowest(seen.samples, OUTLIERS, marks_of_raw(around.pages, around.formats)),
        )  # fmt: skip

    def record(self, found: Result, conditions: Mapping[str, str] = MappingProxyType({})) -> None:
        """Record measurements and figures; InvalidRun if not every interrupt is explained.

        conditions: what the run was made under, e.g. {"load": "cpu"}; limits and baseline are for a run
        without any
        """
        for measurement in measurements(found, {} if conditions else self.limits_us, conditions):
            self.bench.measure(measurement)
        source = f"{found.source}: {EVENTS[found.path]}; {self.conditions}"
        source += f"; {EMULATED}" if self.bench.about.virtual else "; normal-world latency"
        self._histograms(found, conditions, source)
        self._outliers(found, conditions, source)
        medians = [
            (words, found.segments[name].quantile(50) / 1e3)
            for name, words in SEGMENTS.items()
            if name in found.segments and name != "total"
        ]
        self.bench.segments(f"{LATENCY}, medians", medians, "µs", source, conditions)
        if self.baseline is not None and not conditions:
            for shift in shifts(self.baseline, found.segments):
                self.bench.measure(shift.measurement(self.slower))
        if not found.balance.holds:
            run_of = measured("notifications", "", conditions)
            raise InvalidRun(f"{run_of}: not every interrupt is explained: {found.balance.line}")

    def _histograms(self, found: Result, conditions: Mapping[str, str], source: str) -> None:
        """By segment, and the total by CPU of the interrupt as well."""
        by_segment = [({"segment": SEGMENTS[name]}, h) for name, h in found.segments.items()]
        by_cpu = [({"segment": SEGMENTS["total"], "CPU": f"{cpu}"}, h) for cpu, h in found.by_cpu.items()]
        for own, histogram in (*by_segment, *by_cpu):
            self.bench.histogram(LATENCY, list(histogram.buckets()), "ns", source, own | dict(conditions))

    def _outliers(self, found: Result, conditions: Mapping[str, str], source: str) -> None:
        if found.method == run.HISTOGRAM and not self.found.snapshots:
            self.bench.outliers("slowest notifications", (), f"{source}; {NO_SNAPSHOTS}", conditions)
        if found.outliers:
            samples = [as_sample(outlier) for outlier in found.outliers]
            self.bench.outliers("slowest notifications", samples, source, conditions)
            if self.live is not None and not conditions:
                self.live.outliers(row(outlier) for outlier in found.outliers)

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
        """What else the figures depend on."""
        tick, governor = self.found.tick_ns, self.found.governor or "none"
        timer = f"timer tick {tick:.1f} ns" if tick else "timer tick unknown"
        return f"{timer}, CPUs {self.found.online}, frequency governor {governor}"


class Decoded:
    """What an instance recorded, taken off the board raw.

    pages: events by CPU; formats: by event; lost: events the buffer had no room for; moved: bytes
    """

    def __init__(self, session: Any, instance: str, recorded: tuple[Recorded, ...]) -> None:
        self.roles = roles_of(recorded)
        self.formats: dict[str, Format] = {}
        self.pages: list[tuple[int, Events]] = []
        self.lost = self.moved = 0
        if recorded:
            self._take(session, instance)

    def _take(self, session: Any, instance: str) -> None:
        said = raw_trace.descriptions(session, list(self.roles))
        where, formats = layout(said.header_page), [event_format(text) for text in said.formats]
        self.formats = dict(zip(self.roles, formats, strict=True))
        self.lost = raw_trace.lost(session, instance)
        for cpu, data in raw_trace.each(session, instance, where.page_size):
            self.moved += len(data)
            for events in decode(data, where, {f.id: f for f in formats}):
                self.lost += events.lost
                self.pages.append((cpu, events))

    def trace_events(self) -> list[TraceEvent]:
        """Those of notifications."""
        return [h for cpu, events in self.pages for h in of_raw(cpu, events, self.formats, self.roles)]


def roles_of(recorded: tuple[Recorded, ...]) -> dict[str, Role]:
    """What each recorded event is to a notification."""
    return {r.event: Role(r.role, r.key, r.only) for r in recorded}


@pytest.fixture(scope="session")
def notification_facilities(board: Any) -> Facilities:
    """What the board has for notifications and for timing them, asked once."""
    return look(board.session)


@pytest.fixture(scope="module")
def notification_trace(board: Any, notification_facilities: Facilities) -> Iterator[FtraceSession | None]:
    """The kernel's histograms, for all tests of a module: setting them up takes longer than many a run."""
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
    """Notifications of this board; NOT-RUN, with what it lacks, where they can't be measured."""
    if notification_facilities.missing:
        pytest.skip("; ".join(notification_facilities.missing))
    option, stimulus, samples = request.config.option, source(target), request.config.option.bench_samples
    if isinstance(stimulus, PassiveStimulus):
        samples = min(samples, LISTENED)
        if notification_trace and not run.heard(notification_trace, notification_facilities, LISTEN_S):
            pytest.skip(NO_SOURCE.format(seconds=LISTEN_S))
    return Notifications(
        bench,
        notification_facilities,
        stimulus,
        limits(target.env.config),
        samples,
        option.bench_rate,
        notification_trace,
        live(request.config),
        baselines(option.bench_baseline, bench.about.provenance.entries),
        slower(target.env.config),
    )


def live(config: Any) -> Live | None:
    """A picture for somebody who watches, if it is wanted."""
    option = config.option
    if not option.bench_live:
        return None
    capture = config.pluginmanager.getplugin("capturemanager")
    return Live(option.bench_samples, capture, terminal=sys.stdout.isatty())


SAME = ("model", "kernel", "op-tee")
"""What has to be the same for a comparison to mean anything."""


def baselines(directories: Sequence[str], here: Mapping[str, str]) -> Mapping[str, Histogram] | None:
    """Distributions of some earlier runs as one; None for no run."""
    found: dict[str, Histogram] = {}
    for directory in directories:
        for name, histogram in baseline(directory, here).items():
            found[name] = found.get(name, Histogram()) + histogram
    return found or None


def baseline(directory: str, here: Mapping[str, str]) -> Mapping[str, Histogram]:
    """Distributions of an earlier run, by segment. UsageError: of another board, or without any."""
    lines = record.read(Path(directory)).lines
    there: Mapping[str, str] = next((line["entries"] for line in lines if line["kind"] == "provenance"), {})
    for name in SAME:
        if there.get(name) != here.get(name):
            raise UsageError(f"{directory}: {name} was {there.get(name)!r}, it is {here.get(name)!r} now")
    wanted = {words: name for name, words in SEGMENTS.items()}
    found = {
        wanted[line["conditions"]["segment"]]: Histogram(
            {(low, high - low): n for low, high, n in line["buckets"]}
        )
        for line in lines
        if line["kind"] == "histogram"
        and line["name"] == LATENCY
        and line["conditions"].keys() == {"segment"}
    }
    if not found:
        raise UsageError(f"{directory}: no notification was timed in this run, or by an older version")
    return found


def source(target: Any) -> Any:
    """The best stimulus that the target has and the board supports. Skips the test if there is none."""
    reasons = []
    drivers = {type(driver).__name__: driver for driver in target.drivers}
    for name in SOURCES:
        if name in drivers:
            target.activate(drivers[name])
            reason = drivers[name].unavailable()
            if not reason:
                return drivers[name]
            reasons.append(reason)
    return pytest.skip("; ".join(["the target file names no stimulus of notifications", *reasons]))


def slower(config: Any) -> float:
    """Option bench_latency_slower: so many times a baseline's durations are allowed, 1 if it is not there."""
    found = config.get_option("bench_latency_slower", 1.0)
    if not isinstance(found, (int, float)) or found < 1:
        raise UsageError(f"bench_latency_slower: {found!r}; a number from 1 on, e.g. 1.1 for 10 % more")
    return float(found)


def limits(config: Any) -> Mapping[str, Mapping[str, float]]:
    """Option bench_latency_limits_us: {total: {p99: 900}}. UsageError for a segment that does not exist."""
    found = config.get_option("bench_latency_limits_us", {})
    if not isinstance(found, dict) or found.keys() - SEGMENTS.keys():
        raise UsageError(f"bench_latency_limits_us: {found!r}; segments are {', '.join(SEGMENTS)}")
    return found
