# SPDX-License-Identifier: MIT
"""Sources of OP-TEE's notifications with a common protocol. A stimulus counts what it sent.

Ref: OP-TEE 4.10 core/arch/arm/plat-vexpress/main.c (console_itr_cb: a byte on the secure console is a
     notification), core/kernel/notif_test_wd.c (1 Hz), core/drivers/rtc, Linux drivers/rtc/rtc-optee.c,
     Documentation/ABI/testing/sysfs-class-rtc
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol

from mpbench.board.labgrid_decorators import active
from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError

WATCHDOG_HZ = 1.0
"""TEST_WD_TIMER_PERIOD_MS is 1000."""

RTC = "/sys/class/rtc"
BYTE = b"."
NO_CLOCK = (
    "no real-time clock of the secure world: Linux needs CONFIG_RTC_DRV_OPTEE, OP-TEE CFG_RTC_PTA=y and a "
    "driver with alarms"
)


class Stimulus(Protocol):
    """A source of notifications."""

    name: str

    def unavailable(self) -> str:
        """Why this board has no such source, and what its image needs for one; "" if available."""

    def send(self, count: int, rate_hz: float, burst: int, go_on: Callable[[int], bool]) -> int | None:
        """Provoke `count` notifications, `burst` at once, rate_hz on average; returns how many were sent.

        None: the board sends them by itself, uncounted. go_on: called repeatedly with the number sent so
        far; False ends it.
        """


_pause = threading.Event().wait


def paced(
    count: int,
    rate_hz: float,
    burst: int,
    act: Callable[[int], object],
    go_on: Callable[[int], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = _pause,
) -> int:
    """Call `act` with the size of each burst, at absolute times, so that a delay does not lower the rate."""
    start, sent = clock(), 0
    while sent < count and go_on(sent):
        number = min(burst, count - sent)
        act(number)
        sent += number
        if (left_s := start + sent / rate_hz - clock()) > 0:
            pause(left_s)
    return sent


@target_factory.reg_driver
@attr.s(eq=False)
class SecureConsoleStimulus(Driver):
    """A byte on OP-TEE's console causes a notification, on platforms whose console driver does so.

    Bytes that arrive before the bottom half of an earlier byte has run share its notification.
    """

    bindings = {"console": ConsoleProtocol}  # noqa: RUF012 - labgrid's convention

    def unavailable(self) -> str:
        """Always available: the target file declares it."""
        return ""

    @active
    def send(self, count: int, rate_hz: float, burst: int, go_on: Callable[[int], bool]) -> int | None:
        """See Stimulus."""
        # Not ConsoleRecorder.write, which would log 100,000 bytes as labgrid steps.
        port: Any = getattr(self.console, "port", self.console)
        try:
            return paced(count, rate_hz, burst, lambda n: port.write(BYTE * n), go_on)
        except OSError as e:
            raise InfrastructureError(f"cannot write to the secure console: {e}") from e


@target_factory.reg_driver
@attr.s(eq=False)
class PassiveStimulus(Driver):
    """Notifications that the board sends by itself, e.g. OP-TEE's test watchdog (CFG_NOTIF_TEST_WD), 1 Hz.

    rate_hz: their expected rate; waiting for n of them takes n / rate_hz seconds
    """

    rate_hz: float = attr.ib(default=WATCHDOG_HZ, converter=float)

    def unavailable(self) -> str:
        """Always available: whether notifications arrive is what the measurement finds out."""
        return ""

    @active
    def send(self, count: int, rate_hz: float, burst: int, go_on: Callable[[int], bool]) -> int | None:  # noqa: ARG002
        """See Stimulus; rate_hz and burst are ignored."""
        paced(count, self.rate_hz, 1, lambda _: None, go_on)
        return None


@target_factory.reg_driver
@attr.s(eq=False)
class RtcAlarmStimulus(Driver):
    """Alarms of a real-time clock that the secure world owns; each takes two seconds."""

    bindings = {"session": "SessionDriver"}  # noqa: RUF012 - labgrid's convention
    session: Session

    def unavailable(self) -> str:
        """What the board's kernel and OP-TEE need for such a clock, "" if present."""
        return "" if self._clock() else NO_CLOCK

    def _clock(self) -> str:
        found = self.session.execute(f"grep -l optee {RTC}/*/name").text.split()
        return found[0].removesuffix("/name") if found else ""

    @active
    def send(self, count: int, rate_hz: float, burst: int, go_on: Callable[[int], bool]) -> int | None:  # noqa: ARG002
        """See Stimulus; an alarm has a resolution of a second, so the rate is 1/2 Hz."""
        alarm = f"{self._clock()}/wakealarm"
        return paced(count, 0.5, 1, lambda _: self._set(alarm), go_on)

    def _set(self, alarm: str) -> None:
        reply = self.session.execute(f"echo 0 >{alarm}; echo +1 >{alarm}")
        reply.checked(f"{alarm}: cannot set an alarm")
