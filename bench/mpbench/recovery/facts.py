# SPDX-License-Identifier: MIT
"""What a crash, its recovery and its core dump show: predicted or observed."""

from attrs import frozen


@frozen
class Cause:
    """Why Linux believes in a crash.

    name:       the kernel's word for it; "" when a step provokes no new one
    interrupts: how often the watchdog's line comes with it; 0 if Linux is only told
    """

    name: str
    interrupts: int = 0


WATCHDOG = Cause("watchdog", 1)
"""The core's own watchdog expired."""


INJECTED = (Cause("mmufault"), Cause("watchdog"), Cause("fatal error"), Cause("unknown"))
"""By the number that is written to debugfs `crash`. Ref: Linux remoteproc_core.c, rproc_crash_names"""


NO_CRASH = Cause("")


@frozen
class RecoveryFacts:
    """What a crash shows on the board, predicted by the twin or observed from evidence.

    cause:      the kernel's word for the crash, "" if it reported none
    interrupts: how often the line of the core's watchdog came
    sequence:   what the kernel log tells of this core, in order, e.g. "detected, handling"
    commands:   what Linux asked of the trusted application for this core, in order, e.g. "stop, load"
    ta_states:  the core's state in the trusted application after each of them, by its answers
    tee_code:   first refusal by the TEE, 0 for none
    secure_log: the reason on the secure console, "" for none
    state:      sysfs state afterwards
    boots:      how often the firmware began anew
    beating:    whether its heart beats afterwards
    identity:   who the firmware says it is
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
    """What a core dump holds, predicted by the twin or observed.

    segments:  device address and size of every segment, e.g. "0x80100000+0x800000"
    unchanged: device address, size and SHA-256 of what the loader wrote and the firmware can't change
    vectors:   device address of the vector table, initial stack pointer and reset vector
    identity:  who the firmware says it is, in the trace buffer
    boot:      which of its lives crashed
    """

    segments: str | None = None
    unchanged: str | None = None
    vectors: str | None = None
    identity: str | None = None
    boot: int | None = None


@frozen
class Timeline:
    """When what happened in a recovery, in nanoseconds of the board's clock; None: nobody saw it.

    Kernel log and trace buffer have the same clock (sched_clock) with a resolution of a microsecond.
    irq: the watchdog's handler begins; queued, executed, ended: the recovery's work item; the others are
    the kernel's lines; beat: first beat of the new life, as a watcher on the board wrote it into the log.
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
