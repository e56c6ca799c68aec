# SPDX-License-Identifier: MIT
"""Conservation of interrupts and durations of notifications. Pure.

Ref: Linux drivers/tee/optee/smc_abi.c (notif_pcpu_irq_handler, notif_irq_handler), kernel/irq/handle.c
     (__irq_wake_thread), kernel/workqueue.c (queue_work_on)
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import astuple, evolve, field, frozen

from mpbench.core.facts import BY_BASELINE, Measurement
from mpbench.core.histogram import Histogram, interval
from mpbench.core.lines import OutlierSample
from mpbench.core.statistics import PERCENTILES, Z_99, least_n
from mpbench.notification.facts import SEGMENTS, Outlier

LATENCY = "notification latency"
"""Name of every duration; its condition `segment` is the part that was timed."""

EMULATED = "emulated: functional check only; timing is not representative"
"""Part of the source of every figure of an emulated board."""


@frozen
class Counts:
    """What was counted in a run, by CPU or in all; None: this board cannot count it.

    table:     interrupts by /proc/interrupts, by CPU
    irqs:      interrupts by the handler's trace event, by CPU
    requests:  handlers that found a bottom half to run, and requested it
    queued:    requests that made something run: work that was queued
    started, ended: bottom halves
    samples:   bottom halves with all times; one that follows another at once may have been requested by
               an interrupt whose time was overwritten
    dropped:   what the kernel could not record, anywhere on the way
    """

    table: Mapping[int, int]
    irqs: Mapping[int, int]
    requests: int | None
    queued: int | None
    started: int
    ended: int
    samples: int
    dropped: int = 0


@frozen
class Balance:
    """Where every interrupt went.

    coalesced: requested a bottom half that was about to run anyway
    spurious:  found nothing to do: another CPU had fetched the notification's value already
    unexplained: in words, whatever does not add up; empty for a run that counts
    """

    interrupts: int
    bottom_halves: int
    coalesced: int | None
    spurious: int | None
    unexplained: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every interrupt is explained."""
        return not self.unexplained

    @property
    def line(self) -> str:
        """In one line."""
        if self.coalesced is None or self.spurious is None:
            rest = "coalesced and spurious ones cannot be distinguished on this board"
        else:
            rest = f"{self.coalesced} coalesced + {self.spurious} spurious"
        wrong = "; ".join(self.unexplained) or "0 unexplained"
        return f"{self.interrupts} interrupts = {self.bottom_halves} bottom halves + {rest}; {wrong}"


def balance(c: Counts) -> Balance:
    """Interrupts = bottom halves + coalesced + spurious, with nothing dropped and nothing left over."""
    irqs = sum(c.irqs.values())
    coalesced = None if c.requests is None else c.requests - c.started
    spurious = None if c.requests is None else irqs - c.requests
    return Balance(irqs, c.ended, coalesced, spurious, tuple(_wrong(c, irqs, coalesced, spurious)))


def _wrong(c: Counts, irqs: int, coalesced: int | None, spurious: int | None) -> Iterator[str]:
    if c.dropped:
        yield f"the kernel dropped {c.dropped} records"
    for cpu in sorted(c.table.keys() | c.irqs.keys()):
        listed, traced = c.table.get(cpu, 0), c.irqs.get(cpu, 0)
        if listed != traced:
            yield f"CPU {cpu}: /proc/interrupts counts {listed}, the handler ran {traced} times"
    if c.started != c.ended:
        yield f"{c.started} bottom halves started, {c.ended} ended"
    if c.queued is not None and c.queued > c.started:
        yield f"{c.queued} bottom halves were requested, {c.started} started"
    if coalesced is not None and coalesced < 0:
        yield f"{c.started} bottom halves started, but only {c.requests} were requested"
    if spurious is not None and spurious < 0:
        yield f"{c.requests} requests came from {irqs} interrupts"
    if c.samples > c.ended:
        yield f"{c.samples} samples of {c.ended} bottom halves"
    if irqs < c.ended:
        yield f"{c.ended} bottom halves, but only {irqs} interrupts"


@frozen
class Result:
    """A whole run: method, counts, durations by segment; `total` by the CPU of the interrupt as well.

    sent:  notifications that the bench provoked; None if they come by themselves
    moved: bytes that were read from the board for the result
    outliers: the slowest ones, as far as they were recorded one by one
    """

    method: str
    path: str
    counts: Counts
    segments: Mapping[str, Histogram] = field(repr=False)
    by_cpu: Mapping[int, Histogram] = field(repr=False)
    sent: int | None = None
    moved: int = 0
    outliers: tuple[Outlier, ...] = ()

    @property
    def balance(self) -> Balance:
        """Where every interrupt went."""
        return balance(self.counts)

    @property
    def source(self) -> str:
        """What measured it."""
        return f"{self.method}, {self.path} path"


def merged(a: Result, b: Result) -> Result:
    """Two runs of one board as one: counts are added, distributions joined."""
    return evolve(
        a,
        counts=Counts(*map(_added, astuple(a.counts, recurse=False), astuple(b.counts, recurse=False))),
        segments={name: a.segments.get(name, Histogram()) + h for name, h in b.segments.items()},
        by_cpu={cpu: a.by_cpu.get(cpu, Histogram()) + b.by_cpu.get(cpu, Histogram())
                for cpu in sorted(a.by_cpu.keys() | b.by_cpu.keys())},
        sent=_added(a.sent, b.sent),
        moved=a.moved + b.moved,
        outliers=worst([*a.outliers, *b.outliers]),
    )  # fmt: skip


OUTLIERS = 5
"""The slowest notifications that are listed, at most."""


def worst(found: Iterable[Outlier], number: int = OUTLIERS) -> tuple[Outlier, ...]:
    """The slowest ones, slowest first."""
    return tuple(sorted(found, key=lambda o: -o.total_ns)[:number])


def row(o: Outlier) -> tuple[str, str, str, str]:
    """An outlier as text: how long, its longest segment, on which CPU, CPU activity in that time."""
    where = f"{o.cpu}" if o.cpu == o.irq_cpu else f"{o.irq_cpu}, then {o.cpu}"
    ran = [f"CPU {r.cpu} +{_us(r.start_ns)}: {r.what} {_us(r.ns)}" for r in o.ran]
    return f"{_us(o.total_ns)} µs", longest(o), where, "; ".join(ran)


def longest(o: Outlier) -> str:
    """Which part took longest, and how long."""
    if o.segment == "total":
        return "its parts were not recorded"
    return f"{SEGMENTS[o.segment]}: {_us(o.durations_ns[o.segment])} µs"


def as_sample(o: Outlier) -> OutlierSample:
    """An outlier as the record keeps it."""
    ran = tuple((r.cpu, r.start_ns, r.ns, r.what) for r in o.ran)
    return OutlierSample(o.total_ns, longest(o), o.irq_cpu, o.cpu, ran)


def _us(ns: int) -> str:
    return f"{ns / 1e3:.1f}"


def _added(a: Any, b: Any) -> Any:
    """Sum of two counts, in all or by CPU; None if one is not known."""
    if isinstance(a, Mapping):
        return {cpu: a.get(cpu, 0) + b.get(cpu, 0) for cpu in sorted(a.keys() | b.keys())}
    return None if a is None or b is None else a + b


def measurements(
    r: Result,
    limits_us: Mapping[str, Mapping[str, float]],
    conditions: Mapping[str, str] = MappingProxyType({}),
    *,
    margin: float = 0.1,
) -> Iterator[Measurement]:
    """Distribution of every segment, and the counts; limits_us: highest good value by segment and statistic.

    conditions: what the run was made under, e.g. {"load": "cpu"}
    """
    for segment, words in SEGMENTS.items():
        h = r.segments.get(segment, Histogram())
        for statistic, value in h.summary():
            high = limits_us.get(segment, {}).get(statistic)
            yield Measurement(
                LATENCY, value / 1e3, "µs", r.source, None, high, margin if high else 0.0,
                statistic=statistic, n=h.total, conditions={"segment": words, **conditions},
            )  # fmt: skip
    yield from _counted(r, conditions)


def _counted(r: Result, conditions: Mapping[str, str]) -> Iterator[Measurement]:
    found, c = r.balance, r.counts
    values = {
        "notifications sent": r.sent,
        "interrupts": found.interrupts,
        "bottom halves": found.bottom_halves,
        "coalesced interrupts": found.coalesced,
        "spurious interrupts": found.spurious,
        "bottom halves not timed": c.ended - c.samples,
    }
    for name, value in values.items():
        if value is not None:
            yield Measurement(name, value, "", r.source, conditions=conditions)
    for cpu, n in sorted(c.irqs.items()):
        yield Measurement("interrupts", n, "", r.source, conditions={"CPU": f"{cpu}", **conditions})
    wrong = len(found.unexplained)
    yield Measurement("conservation errors", wrong, "", r.source, None, 0, conditions=conditions)
    yield Measurement("dropped records", c.dropped, "", r.source, None, 0, conditions=conditions)
    yield Measurement("bytes read from the board", r.moved, "B", r.source, conditions=conditions)


@frozen
class Shift:
    """A percentile of one run relative to that of a baseline; nanoseconds, 99 % confidence intervals.

    A run has some 20 of them: with intervals of 95 % one in twenty good runs would have one that is apart.
    """

    segment: str
    statistic: str
    n: int
    baseline_ns: tuple[float, float]
    now_ns: tuple[float, float]

    @property
    def word(self) -> str:
        """slower or faster if the intervals are apart, else "no difference"."""
        if self.now_ns[0] > self.baseline_ns[1]:
            return "slower"
        return "faster" if self.now_ns[1] < self.baseline_ns[0] else "no difference"

    def measurement(self, slower: float = 1.0) -> Measurement:
        """Lower bound of the slowdown, as a factor; slower: highest good one, from 1 on.

        PASS without a significant slowdown, MARGINAL with one that is allowed, FAIL beyond that.
        """
        source = f"{self.word}: lower bound of the 99 % interval by the upper bound of the baseline's"
        return Measurement(
            LATENCY + BY_BASELINE, self.now_ns[0] / self.baseline_ns[1], "x", source,
            None, slower, (slower - 1) / slower,
            statistic=self.statistic, n=self.n, conditions={"segment": SEGMENTS[self.segment]},
        )  # fmt: skip


def shifts(baseline: Mapping[str, Histogram], now: Mapping[str, Histogram]) -> Iterator[Shift]:
    """Every percentile that both runs have samples enough for."""
    for segment in SEGMENTS:
        before, after = baseline.get(segment, Histogram()), now.get(segment, Histogram())
        for p in PERCENTILES:
            if min(before.total, after.total) >= least_n(p):
                bounds = interval(before, p, Z_99), interval(after, p, Z_99)
                yield Shift(segment, f"p{p:g}", after.total, *bounds)
