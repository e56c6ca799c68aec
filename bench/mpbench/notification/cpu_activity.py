# SPDX-License-Identifier: MIT
"""CPU activity during a notification: the context of an outlier. Pure.

A task runs from a switch to the next; interrupts and softirqs run on top of it, from their entry to their
exit. Computed for the few slowest samples, not for all.

Ref: Linux include/trace/events/{sched,irq}.h (sched_switch, irq_handler_*, softirq_*)
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from mpbench.board.trace.ring_buffer import Events, Format
from mpbench.notification.facts import END, RETURN, CpuActivity, Outlier
from mpbench.notification.trace_events import Line, Role, Sample, TraceEvent, follow, lines, of_text

SWITCH, IRQ, IRQ_END = "sched/sched_switch", "irq/irq_handler_entry", "irq/irq_handler_exit"
SOFTIRQ, SOFTIRQ_END = "irq/softirq_entry", "irq/softirq_exit"

SOFTIRQS = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
UNKNOWN = "(not recorded)"
MOST = 8
"""At most this many parts of an outlier's time are listed, the longest; the others are counted."""


class Mark(NamedTuple):
    """Start of another activity on a CPU. before: the one until then, as far as the event shows it."""

    ns: int
    cpu: int
    event: str
    what: str
    before: str


def ran(marks: Iterable[Mark], cpu: int, start_ns: int, end_ns: int) -> Iterator[CpuActivity]:
    """Activity of a CPU between two times, without gaps; marks: in order, from before the start on.

    Activity before the first mark of a CPU was not recorded: a full buffer drops the oldest events.
    """
    on = {SWITCH: UNKNOWN, SOFTIRQ: "", IRQ: ""}
    last = start_ns
    for number, mark in enumerate(mark for mark in marks if mark.cpu == cpu):
        at = min(max(mark.ns, start_ns), end_ns)
        if at > last:
            yield CpuActivity(cpu, last - start_ns, at - last, on[IRQ] or on[SOFTIRQ] or on[SWITCH])
            last = at
        if number == 0:
            on[SWITCH] = mark.before
        _apply(mark, on)
    if end_ns > last:
        yield CpuActivity(cpu, last - start_ns, end_ns - last, on[IRQ] or on[SOFTIRQ] or on[SWITCH])


def _apply(mark: Mark, on: dict[str, str]) -> None:
    """Neither a switch nor a softirq comes inside an interrupt: a missing exit event is implied."""
    if mark.event == IRQ_END:
        on[IRQ] = ""
    elif mark.event == SOFTIRQ_END:
        on[SOFTIRQ] = on[IRQ] = ""
    elif mark.event == SWITCH:
        on.update({SWITCH: mark.what, SOFTIRQ: "", IRQ: ""})
    elif mark.event == SOFTIRQ:
        on.update({SOFTIRQ: mark.what, IRQ: ""})
    else:
        on[IRQ] = mark.what


def shortened(parts: Iterable[CpuActivity], most: int = MOST) -> tuple[CpuActivity, ...]:
    """Merge equal neighbours; of many parts the longest ones, in order, then the sum of all others."""
    found: list[CpuActivity] = []
    for part in parts:
        if found and found[-1].what == part.what:
            found[-1] = CpuActivity(part.cpu, found[-1].start_ns, found[-1].ns + part.ns, part.what)
        else:
            found.append(part)
    longest = sorted(sorted(found, key=lambda p: -p.ns)[:most], key=lambda p: p.start_ns)
    others = [part for part in found if part not in longest]
    if others:
        what = f"{len(others)} others"
        longest.append(CpuActivity(others[0].cpu, others[0].start_ns, sum(p.ns for p in others), what))
    return tuple(longest)


Marks = Callable[[int, int], Iterable[Mark]]
"""Marks between two times, in order, preceded by the last earlier one of each kind and CPU."""


def slowest(samples: Iterable[Sample], number: int, marks: Marks) -> tuple[Outlier, ...]:
    """The slowest samples with the activity of the CPU of their bottom half.

    If the interrupt came to another CPU, also with the activity there until the bottom half was requested.
    """
    longest = sorted(samples, key=lambda s: s.irq - s.done)[:number]
    return tuple(_outlier(sample, list(marks(sample.irq, sample.done))) for sample in longest)


def _outlier(sample: Sample, marks: list[Mark]) -> Outlier:
    parts: tuple[CpuActivity, ...] = ()
    if marks:
        if sample.irq_cpu != sample.cpu:
            parts = shortened(ran(marks, sample.irq_cpu, sample.irq, sample.queue))
        parts += shortened(ran(marks, sample.cpu, sample.irq, sample.done))
    return Outlier(sample.durations, sample.irq_cpu, sample.cpu, parts)


SWITCHED = re.compile(r"prev_comm=(.*) prev_pid=(\d+) .*==> next_comm=(.*) next_pid=(\d+)")
HANDLED = re.compile(r"irq=(\d+) name=(.*)")
RAISED = re.compile(r"action=(\w+)")
BY_NAME = {event.rpartition("/")[2]: event for event in (SWITCH, IRQ, IRQ_END, SOFTIRQ, SOFTIRQ_END)}


def marks_of_text(text: str) -> Marks:
    """Marks from a trace's text."""
    every = [_mark(line) for line in lines(text) if line.event in BY_NAME]

    def between(start_ns: int, end_ns: int) -> Iterator[Mark]:
        last = {(mark.cpu, mark.event): mark for mark in every if mark.ns < start_ns}
        yield from sorted(last.values(), key=lambda mark: mark.ns)
        yield from (mark for mark in every if start_ns <= mark.ns <= end_ns)

    return between


def _mark(line: Line) -> Mark:
    event, before = BY_NAME[line.event], _task(line.comm, line.pid)
    if event == SWITCH and (found := SWITCHED.match(line.rest)):
        return Mark(line.ns, line.cpu, event, _task(found[3], int(found[4])), _task(found[1], int(found[2])))
    if event == IRQ and (found := HANDLED.match(line.rest)):
        return Mark(line.ns, line.cpu, event, f"irq {found[1]} {found[2]}", before)
    if event == SOFTIRQ and (found := RAISED.search(line.rest)):
        return Mark(line.ns, line.cpu, event, f"softirq {found[1]}", before)
    return Mark(line.ns, line.cpu, event, "", before)


def _task(comm: str, pid: int) -> str:
    return f"{comm} ({pid})" if pid else "idle"


def marks_of_raw(pages: Iterable[tuple[int, Events]], formats: Mapping[str, Format]) -> Marks:
    """Marks from decoded pages by CPU; formats by event."""
    kept = list(pages)
    known = {event: formats[event] for event in BY_NAME.values() if event in formats}

    def between(start_ns: int, end_ns: int) -> Iterator[Mark]:
        for cpu, events in kept:
            found: list[tuple[int, Mark]] = []
            for event, kind in known.items():
                ours = _span(events.of(kind), start_ns, end_ns)
                found += zip(ours.at.tolist(), _marks(cpu, ours, event, kind), strict=True)
            yield from (mark for _, mark in sorted(found))

    return between


def _span(events: Events, start_ns: int, end_ns: int) -> Events:
    """Events between two times, and the last one before them."""
    first = max(0, int(np.searchsorted(events.times_ns, start_ns, "left")) - 1)
    end = int(np.searchsorted(events.times_ns, end_ns, "right"))
    return Events(events.ids[first:end], events.times_ns[first:end], events.at[first:end], events.data)


def _marks(cpu: int, events: Events, event: str, kind: Format) -> Iterator[Mark]:
    times, pids = events.times_ns.tolist(), events.numbers(kind.fields["common_pid"]).tolist()
    for ns, pid, (what, before) in zip(times, pids, _words(events, event, kind), strict=True):
        yield Mark(ns, cpu, event, what, before or _process(pid))


def _process(pid: int) -> str:
    return f"process {pid}" if pid else "idle"


def _words(events: Events, event: str, kind: Format) -> list[tuple[str, str]]:
    """Activity that each event starts, and the one before it if the event has it, else ""."""
    fields = kind.fields
    if event == SWITCH:
        return list(zip(_tasks(events, kind, "next"), _tasks(events, kind, "prev"), strict=True))
    if event == IRQ:
        numbers, names = events.numbers(fields["irq"]).tolist(), events.texts(fields["name"])
        return [(f"irq {n} {name}", "") for n, name in zip(numbers, names, strict=True)]
    if event == SOFTIRQ:
        return [(f"softirq {_softirq(vec)}", "") for vec in events.numbers(fields["vec"]).tolist()]
    return [("", "")] * len(events)


def _tasks(events: Events, kind: Format, side: str) -> list[str]:
    comms = events.texts(kind.fields[f"{side}_comm"])
    pids = events.numbers(kind.fields[f"{side}_pid"]).tolist()
    return [_task(comm, pid) for comm, pid in zip(comms, pids, strict=True)]


def _softirq(vec: int) -> str:
    return SOFTIRQS[vec] if vec < len(SOFTIRQS) else str(vec)


TRIGGERED = re.compile(r"triggering value \{ onmax\(\$m\) \}: +(\d+)\s+triggered by .*\{ cpu: +(\d+) \}")
"""Duration in nanoseconds, and the CPU of its interrupt."""
NEAR, NEAR_NS = 0.1, 100_000
"""How far a duration may differ between the histograms and the context, which has a buffer of its own: events
of one are written after those of the other, and an interrupt may come in between."""


def of_snapshot(text: str, roles: Mapping[str, Role]) -> tuple[Outlier, ...]:
    """The outlier that the kernel took a snapshot of, with its context; empty if it took none.

    If the buffer has lost the outlier's start, it has only its total duration and the rest of the context.
    """
    value = TRIGGERED.search(text)
    if value is None:
        return ()
    trace, total_ns, irq_cpu = text[text.index("# tracer:") :], int(value[1]), int(value[2])
    found, marks = of_text(trace, roles), marks_of_text(trace)
    last = next((h for h in reversed(found) if h.role == RETURN), None)
    if last is None:
        return (Outlier({"total": total_ns}, irq_cpu, irq_cpu),)
    reach = max(NEAR_NS, NEAR * total_ns)
    # The snapshot was taken at the last bottom half's end, before or after its event.
    samples = follow([*found, TraceEvent(found[-1].ns, last.cpu, END, last.pid, 0)]).samples
    near = slowest((s for s in samples if abs(s.done - s.irq - total_ns) <= reach), 1, marks)
    return near or (_headless(total_ns, irq_cpu, last, marks),)


def _headless(total_ns: int, irq_cpu: int, last: TraceEvent, marks: Marks) -> Outlier:
    """Outlier of which only the end was recorded."""
    start_ns = last.ns - total_ns
    parts = shortened(ran(marks(start_ns, last.ns), last.cpu, start_ns, last.ns))
    return Outlier({"total": total_ns}, irq_cpu, last.cpu, parts)
