# SPDX-License-Identifier: MIT
"""The slowest notifications, with what ran on their CPUs."""

from collections.abc import Mapping

from attrs import frozen


@frozen
class CpuActivity:
    """Something that ran on a CPU, e.g. "kworker/1:1 (35)" or "irq 11 arch_timer".

    begin_ns: after the interrupt that is looked at; ns: for so long
    """

    cpu: int
    begin_ns: int
    ns: int
    what: str


@frozen
class Outlier:
    """One of a run's slowest notifications.

    durations_ns: by segment; irq_cpu, cpu: those of its interrupt and of its bottom half
    ran: what ran on these CPUs from the interrupt on, by CPU in order; empty if nobody recorded it
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
        """The part that took longest; "total" if the parts are not known."""
        parts = {name: ns for name, ns in self.durations_ns.items() if name != "total"}
        return max(parts, key=parts.__getitem__) if parts else "total"
