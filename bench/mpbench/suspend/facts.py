# SPDX-License-Identifier: MIT
"""Facts of a suspend of Linux while a core runs: predicted, or observed."""

from collections.abc import Mapping

from attrs import field, frozen

ERRNO = "sysfs.write"
"""Result of the write to /sys/power/state: "OK" or an errno name."""
LOOKS = "suspend.looks"
"""What the board's script printed, section by section: before the write, after it, and a moment later."""
PLACES = "suspend.places"
"""Memory that was filled and hashed: a line per place, as Place.line."""

KEPT = "kept"
"""Value of field `memory` if nothing changed."""
LEAST_SHARE = 0.5
"""Least rate of the heartbeat while Linux sleeps, as a share of that afterwards, of firmware that works."""
ALARM, WATCHDOG, MAILBOX = "alarm", "watchdog", "mailbox"
"""Words for what woke the board: its real-time clock, the core's watchdog, a message of the core."""

ALARM_TIMER = "alarmtimer.0.auto"
"""Device that refuses to sleep while a timer goes off soon. Ref: Linux kernel/time/alarmtimer.c"""


@frozen
class Place:
    """Memory by physical address and size in bytes.

    spare: nobody uses it, so that it is filled with a pattern and compared; else it is constant, and hashed
    """

    pa: int
    size: int
    spare: bool

    @property
    def line(self) -> str:
        """Kind, address and size."""
        return f"{'spare' if self.spare else 'constant'} {self.pa:#x}+{self.size:#x}"


@frozen
class SuspendFacts:
    """Facts of a suspend, predicted or parsed from evidence; None: not known.

    errno:      "OK", or the errno name that the write to /sys/power/state returned
    entered:    the kernel's word for the state in its log, e.g. "s2idle"; "" if it entered none
    woken_by:   ALARM, WATCHDOG or MAILBOX, or the name of an interrupt; "" if it did not sleep
    refused_by: step of the kernel's suspend that failed, and the device that did, e.g. "suspend 1-0068"
    crash:      the kernel's word for a crash of the core, reported in the step; "" for none
    state:      sysfs state of the core afterwards
    boots:      number of boots of the firmware in the step
    worked:     whether the firmware worked while Linux slept: by its own count at least at half the rate of
                its heartbeat afterwards
    beating:    whether the heartbeat advances afterwards
    identity:   name and core that the firmware prints
    memory:     KEPT, or what has changed in the core's constant memory or in memory that nobody uses
    """

    errno: str | None = None
    entered: str | None = None
    woken_by: str | None = None
    refused_by: str | None = None
    crash: str | None = None
    state: str | None = None
    boots: int | None = None
    worked: bool | None = None
    beating: bool | None = None
    identity: str | None = None
    memory: str | None = None


@frozen
class Look:
    """The board at one moment of the script.

    uptime_s: seconds since boot, sleep included; beat: boot and heartbeat of the firmware, None without
    stats: of /sys/power/suspend_stats; events: number of events by wake-up source
    """

    uptime_s: float
    beat: tuple[int, int] | None
    stats: Mapping[str, str] = field(factory=dict)
    events: Mapping[str, int] = field(factory=dict)


@frozen
class Sleep:
    """How long a write to /sys/power/state took, and heartbeats per second then and afterwards."""

    took_s: float
    rate_asleep_hz: float | None = None
    rate_awake_hz: float | None = None
