# SPDX-License-Identifier: MIT
"""Parse recorded events, raw or as text, into the durations of each notification. Pure.

Follows each notification as the hist triggers do (mpbench.notification.ftrace_plan): by CPU from the
interrupt to the request, from there by work item or thread to the bottom half, by process to its end.

Ref: Linux kernel/trace/trace_output.c (trace_print_context), include/trace/events/{irq,workqueue,sched}.h
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from attrs import define, field, frozen

from mpbench.board.trace.ring_buffer import Events, Format
from mpbench.core.errors import InfrastructureError
from mpbench.notification.facts import CALL, END, IRQ, QUEUE, RETURN, SEGMENTS, START


class TraceEvent(NamedTuple):
    """An event of a notification: time, CPU, role, process id, and the key that links it to others."""

    ns: int
    cpu: int
    role: str
    pid: int
    key: int | str


@frozen
class Role:
    """Role of an event for a notification, "" for none; key: field that links it to others, "" for none.

    only: value of the key; events with another value do not belong to notifications
    """

    role: str
    key: str = ""
    only: int | None = None


def of_raw(
    cpu: int, events: Events, formats: Mapping[str, Format], roles: Mapping[str, Role]
) -> list[TraceEvent]:
    """Events of one CPU, in the buffer's order; formats and roles by event."""
    found: list[tuple[int, TraceEvent]] = []
    for event, role in ((event, role) for event, role in roles.items() if role.role):
        kind = formats[event]
        ours = events.of(kind)
        pids = ours.numbers(kind.fields["common_pid"]).tolist()
        keys = ours.numbers(kind.fields[role.key]).tolist() if role.key else [0] * len(ours)
        times = ours.times_ns.tolist()
        those = zip(ours.at.tolist(), times, pids, keys, strict=True)
        found += [
            (at, TraceEvent(t, cpu, role.role, p, k)) for at, t, p, k in those if role.only in (None, k)
        ]
    return [event for _, event in sorted(found)]


LINE = re.compile(r"^ *(.+)-(\d+) +\[(\d+)\] +\S+ +(\d+)\.(\d{6}): (\w+): (.*)$")
KEYS = {
    "workqueue_queue_work": re.compile(r"work struct=(\w+)"),
    "workqueue_execute_start": re.compile(r"work struct (\w+)"),
    "irq_handler_entry": re.compile(r"irq=(\d+)"),
    "irq_handler_exit": re.compile(r"irq=(\d+)"),
    "begin": re.compile(r"irq=(\d+)"),
}
LOST = re.compile(r"\[LOST (\d+) EVENTS\]")
WRITTEN = re.compile(r"^# entries-in-buffer/entries-written: (\d+)/(\d+)", re.M)
TEXT_NS = 1000
"""Times in the text are truncated to microseconds."""


def of_text(text: str, roles: Mapping[str, Role]) -> list[TraceEvent]:
    """Events of all CPUs, in order; roles by event. InfrastructureError for what lines() can't parse."""
    by_name = {event.rpartition("/")[2]: role for event, role in roles.items() if role.role}
    found = []
    for line in lines(text):
        role = by_name.get(line.event)
        key = _key(line.event, line.rest, line.pid)
        if role is not None and (role.only is None or key == str(role.only)):
            found.append(TraceEvent(line.ns, line.cpu, role.role, line.pid, key))
    return found


class Line(NamedTuple):
    """A line of the trace: time, CPU, name and id of the current process, event, and its fields as text."""

    ns: int
    cpu: int
    comm: str
    pid: int
    event: str
    rest: str


def lines(text: str) -> Iterator[Line]:
    """Lines of all CPUs. InfrastructureError for a line that can't be parsed, and for truncated text."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip() or LOST.search(line):
            continue
        match = LINE.match(line)
        if match is None:
            raise InfrastructureError(f"cannot parse trace line {number}: {line[:120]!r}")
        comm, pid, cpu, seconds, micros, name, rest = match.groups()
        ns = int(seconds) * 10**9 + int(micros) * TEXT_NS
        yield Line(ns, int(cpu), comm, int(pid), name, rest)
    if not text.endswith("\n"):
        raise InfrastructureError("the trace's text is truncated: its last line does not end")


def _key(name: str, rest: str, pid: int) -> int | str:
    """The key that links the event, as text: addresses are hashed there, each always to one value."""
    pattern = KEYS.get(name)
    match = pattern.search(rest) if pattern else None
    return pid if match is None else match[1]


def lost_in_text(text: str) -> int:
    """Number of events that are missing in the text, by its header and its own lines."""
    head = WRITTEN.search(text)
    overwritten = int(head[2]) - int(head[1]) if head else 0
    return overwritten + sum(int(n) for n in LOST.findall(text))


class Sample(NamedTuple):
    """A notification's times in nanoseconds, and the CPUs of its interrupt and of its bottom half."""

    irq: int
    queue: int
    start: int
    call: int
    done: int
    irq_cpu: int
    cpu: int

    @property
    def durations(self) -> Mapping[str, int]:
        """Nanoseconds by segment."""
        parts = (
            self.queue - self.irq,
            self.start - self.queue,
            self.call - self.start,
            self.done - self.call,
        )
        return dict(zip(SEGMENTS, (*parts, self.done - self.irq), strict=True))


@define
class Followed:
    """Counts by role and CPU, and samples, of all events."""

    hits: dict[str, Counter[int]] = field(factory=dict)
    samples: list[Sample] = field(factory=list)


def follow(trace_events: Iterable[TraceEvent]) -> Followed:
    """Follow every notification through its events, in the order of their times.

    Events of one CPU with equal times keep their order.
    """
    found = Followed()
    irq: dict[int, int] = {}
    queued: dict[int | str, tuple[int, int, int]] = {}
    started: dict[int, tuple[int, ...]] = {}
    called: dict[int, tuple[int, ...]] = {}
    returned: dict[int, int] = {}
    for ns, cpu, role, pid, key in sorted(trace_events, key=lambda h: h.ns):
        found.hits.setdefault(role, Counter())[cpu] += 1
        if role == IRQ:
            irq[cpu] = ns
        elif role == QUEUE and cpu in irq:
            queued[key] = (irq.pop(cpu), ns, cpu)
        elif role == START and key in queued:
            started[pid] = (*queued.pop(key), ns)
        elif role == CALL and pid in started:
            called[pid] = (*started.pop(pid), ns)
        elif role == RETURN:
            returned[pid] = ns
        elif role == END and pid in called and pid in returned:
            at, asked, on, began, call = called.pop(pid)
            found.samples.append(Sample(at, asked, began, call, returned[pid], on, cpu))
    return found
