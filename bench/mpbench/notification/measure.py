# SPDX-License-Identifier: MIT
"""What a run of notifications says: whether every interrupt is explained, and how long each part took. Pure.

Ref: Linux drivers/tee/optee/smc_abi.c (notif_pcpu_irq_handler, notif_irq_handler), kernel/irq/handle.c
     (__irq_wake_thread), kernel/workqueue.c (queue_work_on)
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from mpbench.core.facts import Measurement
from mpbench.core.histogram import Z_99, Histogram, interval
from mpbench.notification.facts import Outlier

SEGMENTS = {
    "queue": "interrupt → bottom half asked for",
    "start": "asked for → begins (scheduler)",
    "smc": "begins → call of the secure world",
    "round": "round trip through the secure world",
    "total": "interrupt → bottom half done",
}
"""Parts of a notification's way, as Linux sees them: normal-world latency."""

PERCENTILES = (50.0, 90.0, 99.0, 99.9)

EMULATED = "emulated: proves the path and the conservation, says nothing about silicon's latency"
"""What has to stand on every figure of an emulated board."""


@frozen
class Counts:
    """What was counted in a run, by CPU or in all; None: this board can't count it.

    table:     interrupts by /proc/interrupts, by CPU
    irqs:      interrupts by the handler's trace event, by CPU
    requests:  handlers that found a bottom half to run, and asked for it
    queued:    requests that made something run: work that was queued
    started, ended: bottom halves
    samples:   bottom halves with all times; one that follows another at once may have been asked for by an
               interrupt whose time is gone
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

    coalesced: asked for a bottom half that was about to run anyway
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
            rest = "coalesced and spurious ones can't be told apart on this board"
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
        yield f"{c.started} bottom halves began, {c.ended} ended"
    if c.queued is not None and c.queued > c.started:
        yield f"{c.queued} bottom halves were asked for, {c.started} began"
    if coalesced is not None and coalesced < 0:
        yield f"{c.started} bottom halves began, but only {c.requests} were asked for"
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
    outliers: the slowest ones, as far as somebody saw them one by one
    """

    method: str
    path: str
    counts: Counts
    segments: Mapping[str, Histogram] = field(repr=False)
    by_cpu: Mapping[int, Histogram] = field(repr=False)
    sent: int | None = None
    moved: int = 0
    notes: tuple[str, ...] = ()
    outliers: tuple[Outlier, ...] = ()

    @property
    def balance(self) -> Balance:
        """Where every interrupt went."""
        return balance(self.counts)


def merged(a: Result, b: Result) -> Result:
    """Two runs of one board as one: counts are added, distributions joined."""
    return evolve(
        a,
        counts=_sum(a.counts, b.counts),
        segments={name: a.segments.get(name, Histogram()) + h for name, h in b.segments.items()},
        by_cpu={cpu: a.by_cpu.get(cpu, Histogram()) + b.by_cpu.get(cpu, Histogram())
                for cpu in sorted(a.by_cpu.keys() | b.by_cpu.keys())},
        sent=None if a.sent is None or b.sent is None else a.sent + b.sent,
        moved=a.moved + b.moved,
        notes=tuple(dict.fromkeys([*a.notes, *b.notes])),
        outliers=worst([*a.outliers, *b.outliers]),
    )  # fmt: skip


OUTLIERS = 5
"""So many of the slowest notifications are told one by one."""


def worst(found: Iterable[Outlier], number: int = OUTLIERS) -> tuple[Outlier, ...]:
    """The slowest ones, slowest first."""
    return tuple(sorted(found, key=lambda o: -o.total_ns)[:number])


def told(o: Outlier) -> tuple[str, str, str, str]:
    """An outlier in words: how long, which part of it was longest, on which CPU, what ran there meanwhile."""
    where = f"{o.cpu}" if o.cpu == o.irq_cpu else f"{o.irq_cpu}, then {o.cpu}"
    ran = [f"CPU {r.cpu} +{_us(r.begin_ns)}: {r.what} {_us(r.ns)}" for r in o.ran]
    return f"{_us(o.total_ns)} µs", longest(o), where, "; ".join(ran)


def longest(o: Outlier) -> str:
    """Which part took longest, and how long."""
    if o.segment == "total":
        return "its parts were not recorded"
    return f"{SEGMENTS[o.segment]}: {_us(o.durations_ns[o.segment])} µs"


def as_sample(o: Outlier) -> dict[str, Any]:
    """An outlier as the record keeps it."""
    return {
        "total_ns": o.total_ns,
        "longest": longest(o),
        "irq_cpu": o.irq_cpu,
        "cpu": o.cpu,
        "ran": [[r.cpu, r.begin_ns, r.ns, r.what] for r in o.ran],
    }


def _us(ns: int) -> str:
    return f"{ns / 1e3:.1f}"


def _sum(a: Counts, b: Counts) -> Counts:
    def each(x: Mapping[int, int], y: Mapping[int, int]) -> dict[int, int]:
        return {cpu: x.get(cpu, 0) + y.get(cpu, 0) for cpu in sorted(x.keys() | y.keys())}

    return Counts(
        table=each(a.table, b.table),
        irqs=each(a.irqs, b.irqs),
        requests=None if a.requests is None or b.requests is None else a.requests + b.requests,
        queued=None if a.queued is None or b.queued is None else a.queued + b.queued,
        started=a.started + b.started,
        ended=a.ended + b.ended,
        samples=a.samples + b.samples,
        dropped=a.dropped + b.dropped,
    )


def distribution(h: Histogram) -> Iterator[tuple[str, float]]:
    """min, percentiles as far as the samples reach, max; nanoseconds."""
    if h.min_ns is None or h.max_ns is None:
        return
    yield "min", h.min_ns
    for p in PERCENTILES:
        value = h.percentile(p)
        if value is not None:
            yield f"p{p:g}", value
    yield "max", h.max_ns


def measurements(
    r: Result, limits_us: Mapping[str, Mapping[str, float]], *, prefix: str = "", margin: float = 0.1
) -> Iterator[Measurement]:
    """Distribution of every segment, and the counts; limits_us: highest good value, by both names.

    prefix: begins every name, e.g. with the run's condition
    """
    source = f"{r.method}, {r.path} path"
    for name, words in SEGMENTS.items():
        h = r.segments.get(name, Histogram())
        for statistic, value in distribution(h):
            high = limits_us.get(name, {}).get(statistic)
            label = f"{prefix}{words}, {statistic} of {h.total}"
            yield Measurement(label, value / 1e3, "µs", source, None, high, margin if high else 0.0)
    yield from _counted(r, source, prefix)


def _counted(r: Result, source: str, prefix: str) -> Iterator[Measurement]:
    found, c = r.balance, r.counts
    values = {
        "notifications sent": r.sent,
        "interrupts": found.interrupts,
        "bottom halves": found.bottom_halves,
        "coalesced interrupts": found.coalesced,
        "spurious interrupts": found.spurious,
        "bottom halves without times": c.ended - c.samples,
    }
    for name, value in values.items():
        if value is not None:
            yield Measurement(prefix + name, value, "", source)
    for cpu, n in sorted(c.irqs.items()):
        yield Measurement(f"{prefix}interrupts of CPU {cpu}", n, "", source)
    yield Measurement(f"{prefix}contradictions in the counts", len(found.unexplained), "", source, None, 0)
    yield Measurement(f"{prefix}dropped records", c.dropped, "", source, None, 0)
    yield Measurement(f"{prefix}bytes read from the board", r.moved, "B", source)


@frozen
class Shift:
    """How a percentile of one run stands to that of a baseline; nanoseconds, 99 % intervals.

    A run has some 20 of them: with intervals of 95 % one in twenty good runs would have one that is apart.
    """

    segment: str
    statistic: str
    baseline_ns: tuple[float, float]
    now_ns: tuple[float, float]

    @property
    def word(self) -> str:
        """slower or faster if the intervals are apart, else "no difference"."""
        if self.now_ns[0] > self.baseline_ns[1]:
            return "slower"
        return "faster" if self.now_ns[1] < self.baseline_ns[0] else "no difference"

    def measurement(self, slower: float = 1.0) -> Measurement:
        """By how much it is slower for certain; slower: so many times the baseline's are allowed.

        PASS if it is not slower for certain, MARGINAL if it is and may be, FAIL beyond that.
        """
        name = f"{SEGMENTS[self.segment]}, {self.statistic} against the baseline: {self.word}"
        source = "lower end of the 99 % interval now, by the upper end of the baseline's"
        ratio = self.now_ns[0] / self.baseline_ns[1]
        return Measurement(name, ratio, "x", source, None, slower, (slower - 1) / slower)


def shifts(baseline: Mapping[str, Histogram], now: Mapping[str, Histogram]) -> Iterator[Shift]:
    """Every percentile that both runs have samples for."""
    for name in SEGMENTS:
        before, after = baseline.get(name, Histogram()), now.get(name, Histogram())
        for p in PERCENTILES:
            if before.percentile(p) is not None and after.percentile(p) is not None:
                yield Shift(name, f"p{p:g}", interval(before, p, Z_99), interval(after, p, Z_99))
