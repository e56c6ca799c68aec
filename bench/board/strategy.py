# SPDX-License-Identifier: MIT
"""STM32MPStrategy: off → bootloader → shell, every step verified."""

import enum
import re
import threading
import time
from typing import Any

import attr
from labgrid.factory import target_factory
from labgrid.strategy.common import Strategy, StrategyError

from bench.board.console import ConsoleRecorder
from bench.board.link import Unanswered, lab_faults
from bench.board.shell import CommandHangs
from bench.board.typed import once_broken, stepped
from bench.errors import LabFault

ANSWER_TRY_S = 1.0
BETWEEN_TRIES_S = 0.02
FIRST_TRY_S, TRY_GROWTH, LONGEST_TRY_S = 0.2, 1.1, 2.0
"""A connection begun before the board listens may sit on a lost SYN: short tries, longer for slow boards."""
KNOCK_EVERY_S = 0.02


class Status(enum.Enum):
    """How far the board has come."""

    unknown = 0
    off = 1
    bootloader = 2
    shell = 3


@target_factory.reg_driver
@attr.s(eq=False)
class STM32MPStrategy(Strategy):
    """Brings the board into a state through its power port, its console and its SSH server.

    boot_timeout_s: from power on until the session stands
    off_timeout_s:  from power off until SSH is silent
    """

    bindings = {  # noqa: RUF012 - labgrid's convention
        "power": "PowerProtocol",
        "session": "SessionDriver",
        "uboot": {"UBootDriver", None},
    }

    status: Status = attr.ib(default=Status.unknown)
    boot_timeout_s: float = attr.ib(default=120.0, converter=float)
    off_timeout_s: float = attr.ib(default=10.0, converter=float)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._last_boot = ""

    @once_broken
    @stepped(args=["status"])
    def transition(self, status: Status | str, *, step: Any) -> None:
        """Bring the board into `status`. LabFault behind labgrid's StrategyError if the lab does not obey."""
        status = Status[status] if isinstance(status, str) else status
        if status is Status.unknown:
            raise StrategyError(f"can't transition to {status.name}")
        if status is self.status:
            step.skip("nothing to do")
            return
        self._record_consoles()
        {Status.off: self._off, Status.bootloader: self._bootloader, Status.shell: self._shell}[status]()
        self.status = status

    @once_broken
    @stepped(args=["status"])
    def force(self, status: Status | str, *, step: Any) -> None:  # noqa: ARG002 - labgrid passes it
        """Believe that the board is in `status` already (--lg-initial-state), and connect to it."""
        status = Status[status] if isinstance(status, str) else status
        self._record_consoles()
        self.target.activate(self.power)
        if status is Status.bootloader:
            self.target.activate(self._bootloader_driver())
        elif status is Status.shell:
            self._connect(self.boot_timeout_s)
        elif status is not Status.off:
            raise StrategyError(f"can't force {status.name}")
        self.status = status

    def _record_consoles(self) -> None:
        """Every console has its reader from before the first power-on to the end of the run."""
        for driver in self.target.drivers:
            if isinstance(driver, ConsoleRecorder):
                self.target.activate(driver)

    def _off(self) -> None:
        self.target.activate(self.power)
        self.target.deactivate(self.session)
        if self.uboot is not None:
            self.target.deactivate(self.uboot)
        with lab_faults("the power port does not obey"):
            self.power.off()
        self._await_silence()

    def _await_silence(self) -> None:
        """A power switch may lie: off is off when SSH answers no more."""
        deadline = time.monotonic() + self.off_timeout_s
        pause = threading.Event()
        while self.session.answers(ANSWER_TRY_S):
            if time.monotonic() > deadline:
                raise LabFault(f"power is off, but SSH still answers after {self.off_timeout_s:g} s")
            pause.wait(BETWEEN_TRIES_S)

    def _power_on(self) -> None:
        if self.status is not Status.off:
            self._off()
        for driver in self.target.drivers:
            if isinstance(driver, ConsoleRecorder):
                driver.forget()
        with lab_faults("the power port does not obey"):
            self.power.on()

    def _bootloader(self) -> None:
        uboot = self._bootloader_driver()
        since = uboot.console.mark()
        self._power_on()
        self._knock(uboot, since)
        self.target.activate(uboot)

    def _knock(self, uboot: Any, since: int) -> None:
        """Press the key again and again until U-Boot prompts: a boot delay of 0 heeds what was sent before.

        Ref: U-Boot common/autoboot.c, abortboot_single_key
        """
        prompt = re.compile(uboot.prompt.encode())
        deadline = time.monotonic() + self.boot_timeout_s
        while not uboot.console.wait_for(prompt, since, KNOCK_EVERY_S):
            if time.monotonic() > deadline:
                raise LabFault(
                    f"no prompt of U-Boot {self.boot_timeout_s:g} s after power on{self._last_words()}"
                )
            uboot.console.write(uboot.interrupt.encode())

    def _bootloader_driver(self) -> Any:
        if self.uboot is None:
            raise StrategyError("this target has no UBootDriver: bootloader can't be reached")
        return self.uboot

    def _shell(self) -> None:
        if self.status is Status.bootloader:
            self.uboot.boot("")  # a quiet kernel says nothing on the console: SSH tells that it is up
            self.target.deactivate(self.uboot)
        else:
            self._power_on()
        self._connect(self.boot_timeout_s)

    def _connect(self, deadline_s: float) -> None:
        """An SSH server sends no event that it is up: short tries, then a session with its own errors."""
        deadline = time.monotonic() + deadline_s
        pause = threading.Event()
        try_s = FIRST_TRY_S
        while not self.session.answers(try_s):
            try_s = min(try_s * TRY_GROWTH, LONGEST_TRY_S)
            if time.monotonic() > deadline:
                raise LabFault(f"no SSH server answers {deadline_s:g} s after power on{self._last_words()}")
            pause.wait(BETWEEN_TRIES_S)
        self._activate(deadline, pause)
        self._check_boot()
        self.session.tell_listeners()

    def _activate(self, deadline: float, pause: threading.Event) -> None:
        """A server that greets may still be too busy with booting to go on; what it refuses, it refuses."""
        while True:
            try:
                self.target.activate(self.session)
                return
            except (Unanswered, CommandHangs):
                if time.monotonic() > deadline:
                    raise
            pause.wait(BETWEEN_TRIES_S)

    def _check_boot(self) -> None:
        if self.status in (Status.off, Status.bootloader) and self.session.boot_id == self._last_boot:
            raise LabFault(
                f"power was cycled, but boot_id is {self._last_boot} as before: it did not reach the board"
            )
        self._last_boot = self.session.boot_id

    def _last_words(self) -> str:
        """The end of each console, for the message of a boot that failed."""
        words = [
            f"; {driver.name} ends with {driver.since(max(0, driver.mark() - 120))!r}"
            for driver in self.target.drivers
            if isinstance(driver, ConsoleRecorder)
        ]
        return "".join(words)
