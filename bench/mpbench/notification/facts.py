# SPDX-License-Identifier: MIT
"""The parts of a notification's way, what an event is to it, and the slowest notifications."""

from collections.abc import Mapping

from attrs import frozen

SEGMENTS: Mapping[str, str] = {
    "queue": "hard IRQ entry → thread woken",
    "start": "scheduling latency: woken → running",
    "smc": "bottom half start → yielding SMC",
    "round": "SMC round trip",
    "total": "total: hard IRQ entry → bottom half end",
}
"""Parts of a notification's way as Linux sees them (normal-world latency), in order: what people read, by
the name in target files, plans and code."""

IRQ, QUEUE, START, CALL, RETURN, END = "irqs", "queued", "started", "begins", "returns of calls", "ended"
"""Roles: what a trace event is to a notification. They limit the segments, in this order."""
REQUEST = "requests"
"""Role of a probe that counts every request for a bottom half, also those that queued nothing."""

PER_CPU, THREADED = "per-CPU", "threaded"
"""Paths of a notification's interrupt: one per CPU with a work item, or one with an interrupt thread."""

EVENTS = {
    PER_CPU: "irq_handler_entry, workqueue_queue_work, workqueue_execute_start, optee_invoke_fn_begin, "
    "optee_invoke_fn_end",
    THREADED: "irq_handler_entry, irq_handler_exit, kprobe on the thread's function, optee_invoke_fn_begin, "
    "optee_invoke_fn_end",
}
"""The trace events that limit the segments, in order, by path."""


@frozen
class CpuActivity:
    """A task, interrupt or softirq that ran on a CPU, e.g. "kworker/1:1 (35)" or "irq 11 arch_timer".

    start_ns: in nanoseconds after the notification's interrupt; ns: duration
    """

    cpu: int
    start_ns: int
    ns: int
    what: str


@frozen
class Outlier:
    """One of a run's slowest notifications.

    durations_ns: by segment; irq_cpu, cpu: CPUs of its interrupt and of its bottom half
    ran: activity of these CPUs from the interrupt on, by CPU in order; empty if it was not recorded
    """

    durations_ns: Mapping[str, int]
    irq_cpu: int
    cpu: int
    ran: tuple[CpuActivity, ...] = ()

    @property
    def total_ns(self) -> int:
        """From the interrupt to the end of the bottom half."""
        return self.durations_ns["total"]

    @property
    def segment(self) -> str:
        """The longest segment; "total" if the segments are not known."""
        parts = {name: ns for name, ns in self.durations_ns.items() if name != "total"}
        return max(parts, key=parts.__getitem__) if parts else "total"
