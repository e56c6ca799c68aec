# SPDX-License-Identifier: MIT
"""Facts of a crash, its recovery and its core dump: predicted or observed."""

from attrs import frozen


@frozen
class Cause:
    """Cause of a crash as Linux reports it.

    name:       the kernel's word for it; "" if a step provokes no new crash
    interrupts: interrupts of the core's watchdog that come with it; 0 for a crash reported through debugfs
    """

    name: str
    interrupts: int = 0


WATCHDOG = Cause("watchdog", 1)
"""The core's own watchdog expired."""

INJECTED = (Cause("mmufault"), Cause("watchdog"), Cause("fatal error"), Cause("unknown"))
"""By the number that is written to debugfs file `crash`. Ref: Linux remoteproc_core.c, rproc_crash_names"""

NO_CRASH = Cause("")


@frozen
class RecoveryFacts:
    """Facts of a crash, predicted by the twin or parsed from evidence; None: not known.

    cause:      the kernel's word for the crash, "" if it reported none
    interrupts: number of interrupts of the core's watchdog
    sequence:   the kernel log's lines about this core as words, in order, e.g. "detected, handling"
    commands:   commands that Linux sent to the trusted application for this core, in order, e.g. "stop, load"
    ta_states:  the core's state in the trusted application after each of them, by its answers
    tee_code:   TEE_Result of the first refusal by the TEE, 0 for none
    secure_log: the reason on the secure console, "" without one
    state:      sysfs state afterwards
    boots:      number of boots of the firmware after the crash
    beating:    whether the firmware's heartbeat advances afterwards
    identity:   name and core that the firmware prints, e.g. "alive m33"
    """

    cause: str | None = None
    interrupts: int | None = None
    sequence: str | None = None
    commands: str | None = None
    ta_states: str | None = None
    tee_code: int | None = None
    secure_log: str | None = None
    state: str | None = None
    boots: int | None = None
    beating: bool | None = None
    identity: str | None = None


@frozen
class DumpFacts:
    """Facts of a core dump, predicted by the twin or parsed from the dump.

    segments:  device address and size of every segment, e.g. "0x80100000+0x800000"
    unchanged: device address, size and SHA-256 of memory that the loader wrote and the firmware can't change
    vectors:   device address of the vector table, initial stack pointer and reset vector
    identity:  name and core that the firmware printed into the trace buffer
    boot:      number of the firmware's boot that crashed
    """

    segments: str | None = None
    unchanged: str | None = None
    vectors: str | None = None
    identity: str | None = None
    boot: int | None = None


@frozen
class Timeline:
    """Times of a recovery's events in nanoseconds of the board's clock; None: not recorded.

    Kernel log and trace buffer use one clock (sched_clock), with a resolution of a microsecond.
    irq: entry of the watchdog's interrupt handler
    queued, executed, ended: the recovery's work item
    detected, handling, stopped, up: the kernel's lines
    beat: first heartbeat of the new boot, as a watcher on the board wrote it to the kernel log
    """

    irq_ns: int | None = None
    detected_ns: int | None = None
    queued_ns: int | None = None
    executed_ns: int | None = None
    handling_ns: int | None = None
    stopped_ns: int | None = None
    up_ns: int | None = None
    ended_ns: int | None = None
    beat_ns: int | None = None
