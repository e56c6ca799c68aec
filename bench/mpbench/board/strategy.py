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

from mpbench.board import ownership, power
from mpbench.board.console import ConsoleRecorder
from mpbench.board.labgrid_decorators import once_broken, stepped
from mpbench.board.session.link import Unanswered
from mpbench.board.session.shell import CommandHangs
from mpbench.core.errors import InfrastructureError

ANSWER_TRY_S = 1.0
BETWEEN_TRIES_S = 0.02
FIRST_TRY_S, TRY_GROWTH, LONGEST_TRY_S = 0.2, 1.1, 2.0
"""A connection begun before the board listens may sit on a lost SYN: short tries, longer for slow boards."""
KNOCK_EVERY_S = 0.02
UPTIME = "/proc/uptime"
"""Ref: proc(5): seconds since the kernel began to run, suspended time included"""


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

    boot_timeout_s:  from power on until the session stands
    off_timeout_s:   from power off until SSH and the consoles are silent
    power_timeout_s: from an order to the power port until it has answered
    quiet_s:         so long do the consoles of a board that is off say nothing, even when asked
    """

    bindings = {  # noqa: RUF012 - labgrid's convention
        "power": "PowerProtocol",
        "session": "SessionDriver",
        "uboot": {"UBootDriver", None},
    }

    status: Status = attr.ib(default=Status.unknown)
    boot_timeout_s: float = attr.ib(default=120.0, converter=float)
    off_timeout_s: float = attr.ib(default=10.0, converter=float)
    power_timeout_s: float = attr.ib(default=60.0, converter=float)
    quiet_s: float = attr.ib(default=0.3, converter=float)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._last_boot = ""
        self._on_since: float | None = None
        self._heard_from: dict[str, int] = {}

    @once_broken
    @stepped(args=["status"])
    def transition(self, status: Status | str, *, step: Any = None) -> None:
        """Bring the board into `status`. InfrastructureError behind labgrid's StrategyError if the lab does not obey."""
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
    def force(self, status: Status | str, *, step: Any = None) -> None:  # noqa: ARG002 - labgrid passes it
        """Believe that the board is in `status` already (--lg-initial-state), and connect to it."""
        status = Status[status] if isinstance(status, str) else status
        self._record_consoles()
        self._on_since = None  # whoever brought it there
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
        for console in self._consoles():
            self.target.activate(console)

    def _consoles(self) -> list[ConsoleRecorder]:
        return [driver for driver in self.target.drivers if isinstance(driver, ConsoleRecorder)]

    def _off(self) -> None:
        self.target.activate(self.power)
        self.target.deactivate(self.session)
        if self.uboot is not None:
            self.target.deactivate(self.uboot)
        power.order(self.power, "off", self.power_timeout_s)
        self._await_silence()

    def _await_silence(self) -> None:
        """A power switch may lie or be late: off is off when nothing of the board talks any more."""

        def answers() -> bool:
            ownership.check(self.target)
            return bool(self.session.answers(ANSWER_TRY_S))

        talks = power.await_silence(self._consoles(), answers, self.quiet_s, self.off_timeout_s)
        if talks:
            raise InfrastructureError(
                f"{self._switch()} says off, but {talks} after {self.off_timeout_s:g} s"
            )

    def _switch(self) -> str:
        return power.name_of(self.power)

    def _power_on(self) -> None:
        if self.status is not Status.off:
            self._off()
        for console in self._consoles():
            console.forget()
            self._heard_from[console.name] = console.mark()
        self._on_since = time.monotonic()
        power.order(self.power, "on", self.power_timeout_s)

    def _bootloader(self) -> None:
        uboot = self._bootloader_driver()
        self._power_on()
        self._knock(uboot, self._heard_from[uboot.console.name])
        self.target.activate(uboot)

    def _knock(self, uboot: Any, since: int) -> None:
        """Press the key again and again until U-Boot prompts: a boot delay of 0 heeds what was sent before.

        Ref: U-Boot common/autoboot.c, abortboot_single_key
        """
        prompt = re.compile(uboot.prompt.encode())
        deadline = time.monotonic() + self.boot_timeout_s
        while not uboot.console.wait_for(prompt, since, KNOCK_EVERY_S):
            if time.monotonic() > deadline:
                raise InfrastructureError(
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
            ownership.check(self.target)
            try_s = min(try_s * TRY_GROWTH, LONGEST_TRY_S)
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"no SSH server answers {deadline_s:g} s after power on{self._last_words()}"
                )
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
        """What ran before power on was not switched off, whatever the switch says."""
        if self._on_since is not None:
            if self.session.boot_id == self._last_boot:
                raise InfrastructureError(
                    f"power was cycled, but boot_id is {self._last_boot} as before: "
                    f"{self._switch()} did not reach the board"
                )
            self._check_age(self._on_since)
        self._last_boot = self.session.boot_id

    def _check_age(self, since: float) -> None:
        said = self.session.read(UPTIME)
        on_for_s = time.monotonic() - since  # asked second: the board is not older than that
        if not isinstance(said, bytes):
            raise InfrastructureError(f"the board does not say how long it runs: {UPTIME}: {said}")
        if (age_s := float(said.split()[0])) > on_for_s:
            raise InfrastructureError(
                f"Linux runs for {age_s:.2f} s, {on_for_s:.2f} s after power on: "
                f"{self._switch()} did not switch the board off"
            )

    def _last_words(self) -> str:
        """The end of what each console said since power on, for the message of a boot that failed."""
        heard = {c.name: c.since(self._heard_from.get(c.name, 0)) for c in self._consoles()}
        words = [f"; {name} ends with {text[-120:]!r}" for name, text in heard.items() if text]
        if heard and not words:
            words = [", and no console said a word"]
        if self._on_since is not None:
            words.append(f"; is it {self._switch()} that does not switch on?")
        return "".join(words)
