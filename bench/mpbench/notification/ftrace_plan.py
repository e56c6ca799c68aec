# SPDX-License-Identifier: MIT
"""Plan how the kernel times notifications by itself: probes, synthetic events, histograms.

Each notification is carried along a chain of histograms, whose variables hold the times so far:

    irq_handler_entry → queue → start → begin → end → one synthetic event with every duration

The first call of the secure world and the last return from it are taken: calls repeat for every RPC. Counts
are kept at each link, so a notification that doesn't reach the end is noticed. A variable is consumed only by
an expression (`common_timestamp-$t`), so every link has one, and nothing is linked twice. Pure.

A 32-bit kernel's histograms see the lower 32 bits of an event's field only (hist_field_u64 casts to unsigned
long). So there every time goes through a field, the last one by an event of its own, and a duration is right
modulo 4.3 s: a clock that wrapped within one is allowed for.

Ref: Linux Documentation/trace/histogram.rst, events.rst, kprobetrace.rst; include/linux/workqueue_types.h
     (struct work_struct {data, entry, func}); include/linux/irqreturn.h; kernel/trace/trace_events_hist.c
     (resolve_var_refs: read_once)
"""

from collections.abc import Iterator, Mapping

from attrs import frozen

from mpbench.notification import facts
from mpbench.notification.capabilities import BOTTOM_HALVES, Facilities

BY_CPU = "total"
WAKE_THREAD = 2
"""IRQ_WAKE_THREAD: the handler found a bottom half to run."""

CLOCK = "local"
"""Of each CPU; on Arm all of them read one counter."""

ENTRIES = 1024


@frozen
class Trigger:
    """A histogram: its event's directory below events/, and the text of its trigger.

    role: role of the event for a notification; key: its field that links it to others, "" for none
    counts: the histogram counts every event, whatever came before it, and is read for that
    """

    event: str
    text: str
    role: str = ""
    key: str = ""
    counts: bool = False

    @property
    def condition(self) -> str:
        """Filter of the events that are counted, and recorded."""
        return self.text.partition(" if ")[2]


@frozen
class Recorded:
    """An event to record in the ring buffer: its directory, its filter, and its role for a notification.

    role: "" for an event that shows CPU activity only; key: its field that links it
    only: value of the key if the filter also passes events that show CPU activity only
    """

    event: str
    condition: str = ""
    role: str = ""
    key: str = ""
    only: int | None = None


@frozen
class FtracePlan:
    """Everything to set up; names start with the run's tag, so that two runs don't collide.

    recorded: events for the other two methods
    context: events that show CPU activity during an outlier, and those of notifications again; with a buffer
    of their own, since an interrupt's event that comes while another is written distorts that one's time
    worst: histogram that takes a snapshot of the context whenever a notification is the slowest so far
    """

    tag: str
    probes: tuple[str, ...]
    synthetic: tuple[str, ...]
    triggers: tuple[Trigger, ...]
    recorded: tuple[Recorded, ...]
    context: tuple[Recorded, ...]
    worst: Trigger | None


def plan(found: Facilities, tag: str, bands: tuple[tuple[int, int, int], ...]) -> FtracePlan:
    """The plan for a board's path. bands: (from, to, width) of buckets, in nanoseconds."""
    per_cpu = found.path == facts.PER_CPU
    links = tuple(_per_cpu(found, tag) if per_cpu else _threaded(found, tag))
    ours = {link.event: link for link in links if link.role}
    return FtracePlan(
        tag=tag,
        probes=tuple(_probes(found, tag)),
        synthetic=tuple(_synthetic(found, tag, f"u{found.bits}" if per_cpu else "int")),
        triggers=(*links, *_durations(tag, bands, wrapped=found.bits == 32)),
        recorded=tuple(Recorded(t.event, t.condition, t.role, t.key) for t in ours.values()),
        context=tuple(_context(found, ours)) if CONTEXT[0] in found.events else (),
        worst=Trigger(f"synthetic/{tag}_n", WORST) if found.snapshots else None,
    )


WORST = f"hist:keys=cpu:m={BY_CPU}:onmax($m).snapshot()"
CONTEXT = ("sched/sched_switch", "irq/irq_handler_exit", "irq/softirq_entry", "irq/softirq_exit")
"""Show what runs on a CPU, together with irq_handler_entry."""


def _context(found: Facilities, ours: Mapping[str, Trigger]) -> Iterator[Recorded]:
    """All events of interrupts are recorded; those of notifications are distinguished by their number."""
    for link in ours.values():
        if link.event == "irq/irq_handler_entry":
            yield Recorded(link.event, "", link.role, "irq", found.irq)
        elif link.event == "irq/irq_handler_exit":
            condition = f"irq!={found.irq} || ret=={WAKE_THREAD}"
            yield Recorded(link.event, condition, link.role, link.key, found.irq)
        else:
            yield Recorded(link.event, link.condition, link.role, link.key)
    yield from (Recorded(event) for event in CONTEXT if event in found.events and event not in ours)


def _probe(tag: str, name: str) -> str:
    """Group and name of a probe's event. kprobe_profile has names alone: these are ours by the tag.

    Ref: Linux kernel/trace/trace_kprobe.c, probes_profile_seq_show()
    """
    return f"{tag}/{tag}_{name}"


def _probes(found: Facilities, tag: str) -> Iterator[str]:
    bottom = BOTTOM_HALVES[found.path]
    if found.path == facts.THREADED:
        yield f"p:{_probe(tag, 'begin')} {bottom} irq=%{'x' if found.bits == 64 else 'r'}0:s32"
        yield f"r:{_probe(tag, 'end')} {bottom}"
    elif found.kprobes:
        work, function = ("%x2", 24) if found.bits == 64 else ("%r2", 12)
        yield f"p:{_probe(tag, 'ask')} queue_work_on func=+{function}({work}):x{found.bits}"


def _synthetic(found: Facilities, tag: str, key: str) -> Iterator[str]:
    if found.bits == 32:
        yield f"{tag}_e u64 te"
    yield f"{tag}_q {key} id; u64 ti; u64 tq; u32 cpu"
    yield f"{tag}_s u64 ti; u64 tq; u64 ts; u32 cpu"
    yield f"{tag}_b u64 ti; u64 tq; u64 ts; u64 tb; u32 cpu"
    yield f"{tag}_n {' '.join(f'u64 {name};' for name in facts.SEGMENTS)} u32 cpu"


def _hist(keys: str, rest: str, condition: str = "") -> str:
    return f"hist:keys={keys}:{rest}" + (f" if {condition}" if condition else "")


NOW = "common_timestamp"


def _per_cpu(found: Facilities, tag: str) -> Iterator[Trigger]:
    ours = f"function==0x{found.symbols[BOTTOM_HALVES[facts.PER_CPU]]:x}"
    yield _interrupt(found)
    if found.kprobes:
        yield _count(_probe(tag, "ask"), facts.REQUEST, "common_cpu", ours.replace("function", "func"))
    yield from _queue("workqueue/workqueue_queue_work", tag, "work", ours)
    yield Trigger(f"synthetic/{tag}_q", _hist("id", "i1=ti,q1=tq,c1=cpu"))
    yield from _start("workqueue/workqueue_execute_start", tag, "work", ours)
    yield from _call(found, tag)
    yield from _end("workqueue/workqueue_execute_end", tag, ours)


def _threaded(found: Facilities, tag: str) -> Iterator[Trigger]:
    """The handler's end requests the thread; one that still runs is not woken, but loops once more."""
    yield _interrupt(found)
    yield from _queue("irq/irq_handler_exit", tag, "irq", f"irq=={found.irq} && ret=={WAKE_THREAD}")
    yield Trigger(f"synthetic/{tag}_q", _hist("id", "i1=ti,q1=tq,c1=cpu"))
    yield from _start(_probe(tag, "begin"), tag, "irq", "")
    yield from _call(found, tag)
    yield from _end(_probe(tag, "end"), tag, "")


def _count(event: str, role: str, key: str, condition: str) -> Trigger:
    """Counts every event; a link of the chain counts only events that an event of the previous link preceded.

    key: differs from that of the link on this event
    """
    return Trigger(event, _hist(key, f"size={ENTRIES}", condition), role, counts=True)


def _interrupt(found: Facilities) -> Trigger:
    text = _hist("common_cpu", f"ti={NOW}:clock={CLOCK}", f'name=="{found.line}"')
    return Trigger("irq/irq_handler_entry", text, facts.IRQ, counts=True)


def _queue(event: str, tag: str, key: str, condition: str) -> Iterator[Trigger]:
    yield _count(event, facts.QUEUE, key, condition)
    keep = f"w0={key},x0={NOW}-$ti,i0=$ti,q0={NOW},c0=common_cpu:clock={CLOCK}"
    action = f"onmatch(irq.irq_handler_entry).trace({tag}_q,$w0,$i0,$q0,$c0)"
    yield Trigger(event, _hist("common_cpu", f"{keep}:{action}", condition), facts.QUEUE, key)


def _start(event: str, tag: str, key: str, condition: str) -> Iterator[Trigger]:
    """A work item that is queued again before it starts passes on the later times. That is rare; the earlier
    request then has no sample."""
    yield _count(event, facts.START, "common_cpu", condition)
    keep = f"x2={NOW}-$q1,i2=$i1,q2=$q1,c2=$c1,s2={NOW}:clock={CLOCK}"
    action = f"onmatch(synthetic.{tag}_q).trace({tag}_s,$i2,$q2,$s2,$c2)"
    yield Trigger(event, _hist(key, f"{keep}:{action}", condition), facts.START, key)


def _caller(found: Facilities) -> str:
    """Filter of processes that can be bottom halves; calls of others would only fill the tables."""
    return 'COMM ~ "kworker/*"' if found.path == facts.PER_CPU else f"common_pid=={found.thread}"


def _call(found: Facilities, tag: str) -> Iterator[Trigger]:
    """First call and last return of a bottom half."""
    yield Trigger(f"synthetic/{tag}_s", _hist("common_pid", "i3=ti,q3=tq,s3=ts,c3=cpu"))
    keep = f"x4={NOW}-$s3,i4=$i3,q4=$q3,s4=$s3,c4=$c3,b4={NOW}:clock={CLOCK}"
    action = f"onmatch(synthetic.{tag}_s).trace({tag}_b,$i4,$q4,$s4,$b4,$c4)"
    yield Trigger(
        "optee/optee_invoke_fn_begin", _hist("common_pid", f"{keep}:{action}", _caller(found)), facts.CALL
    )
    yield Trigger(f"synthetic/{tag}_b", _hist("common_pid", "i5=ti,q5=tq,s5=ts,b5=tb,c5=cpu"))
    end, keep = "optee/optee_invoke_fn_end", f"e5={NOW}:clock={CLOCK}"
    if found.bits == 32:
        keep = f"x5={NOW}:clock={CLOCK}:onchange($x5).trace({tag}_e,$x5)"
    yield Trigger(end, _hist("common_pid", keep, _caller(found)), facts.RETURN)
    if found.bits == 32:
        yield Trigger(f"synthetic/{tag}_e", _hist("common_pid", "e5=te"))


def _end(event: str, tag: str, condition: str) -> Iterator[Trigger]:
    yield _count(event, facts.END, "common_cpu", condition)
    spans = "dq=$q5-$i5,ds=$s5-$q5,db=$b5-$s5,dr=$e5-$b5,dt=$e5-$i5,c6=$c5"
    action = f"onmatch(synthetic.{tag}_b).trace({tag}_n,$dq,$ds,$db,$dr,$dt,$c6)"
    yield Trigger(event, _hist("common_pid", f"{spans}:clock={CLOCK}:{action}", condition), facts.END)


WRAP = 1 << 32
LOST = (1 << 64) - WRAP
"""Offset of a duration within which a 32-bit kernel's clock has wrapped."""


def _durations(
    tag: str, bands: tuple[tuple[int, int | None, int], ...], *, wrapped: bool
) -> Iterator[Trigger]:
    for name in facts.SEGMENTS:
        for low, high, width in bands:
            keys = f"cpu,{name}.buckets={width}" if name == BY_CPU else f"{name}.buckets={width}"
            size = 4 * ENTRIES if name == BY_CPU else ENTRIES
            condition = _between(name, low, high)
            if wrapped:
                end = None if high is None or high > WRAP else high
                again = _between(name, LOST + low, end and LOST + end)
                condition = f"({_between(name, low, end or WRAP)}) || ({again})"
            text = _hist(keys, f"sort={name}:size={size}", condition)
            yield Trigger(f"synthetic/{tag}_n", text, f"duration {name} {width}")


def _between(name: str, low: int, high: int | None) -> str:
    return f"{name} >= {low}" + ("" if high is None else f" && {name} < {high}")
