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
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.link import Unanswered
from mpbench.board.session.shell import CommandHangs
from mpbench.core.errors import InfrastructureError

ANSWER_TRY_S = 1.0
BETWEEN_TRIES_S = 0.02
SHORTEST_TRY_S, TRY_SHARE = 0.2, 0.1
"""A connection to a board that does not listen yet may wait for a lost SYN: its tries are short.

Each has a tenth of the time waited so far: a server that is slow to greet, on a busy host, is met in the end.
"""
KEY_EVERY_S = 0.02
_pause = threading.Event().wait
UPTIME = "/proc/uptime"
"""Seconds since the kernel started, suspended time included. Ref: proc(5)"""


class Status(enum.Enum):
    """State of the board."""

    unknown = 0
    off = 1
    bootloader = 2
    shell = 3


@target_factory.reg_driver
@attr.s(eq=False)
class STM32MPStrategy(Strategy):
    """Brings the board into a state through its power port, its console and its SSH server.

    boot_timeout_s:  from power on until the session is connected
    off_timeout_s:   from power off until SSH and the consoles are silent
    power_timeout_s: for the power port to answer a command
    quiet_s:         the board counts as off if its consoles print nothing for this long, even after Return
    """

    bindings = {  # noqa: RUF012 - labgrid's convention
        "power": "PowerProtocol",
        "session": "SessionDriver",
        "uboot": {"UBootDriver", None},
    }
    session: SessionDriver

    status: Status = attr.ib(default=Status.unknown)
    boot_timeout_s: float = attr.ib(default=120.0, converter=float)
    off_timeout_s: float = attr.ib(default=10.0, converter=float)
    power_timeout_s: float = attr.ib(default=60.0, converter=float)
    quiet_s: float = attr.ib(default=0.3, converter=float)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._last_boot = ""
        self._on_since: float | None = None
        self._power_on_marks: dict[str, int] = {}

    @once_broken
    @stepped(args=["status"])
    def transition(self, status: Status | str, *, step: Any = None) -> None:
        """Bring the board into `status`.

        StrategyError, with an InfrastructureError as its cause if the lab hardware fails.
        """
        status = Status[status] if isinstance(status, str) else status
        if status is Status.unknown:
            raise StrategyError(f"cannot transition to {status.name}")
        if status is self.status:
            step.skip("nothing to do")
            return
        self._record_consoles()
        {Status.off: self._off, Status.bootloader: self._bootloader, Status.shell: self._shell}[status]()
        self.status = status

    @once_broken
    @stepped(args=["status"])
    def force(self, status: Status | str, *, step: Any = None) -> None:  # noqa: ARG002 - labgrid passes it
        """Assume that the board is in `status` already (--lg-initial-state), and connect to it."""
        status = Status[status] if isinstance(status, str) else status
        self._record_consoles()
        self._on_since = None  # it was switched on before this run
        self.target.activate(self.power)
        if status is Status.bootloader:
            self.target.activate(self._bootloader_driver())
        elif status is Status.shell:
            self.session.wake()
            self._connect()
        elif status is not Status.off:
            raise StrategyError(f"cannot force {status.name}")
        self.status = status

    def _record_consoles(self) -> None:
        """Every console is recorded from before the first power-on until the end of the run."""
        for console in self._consoles():
            self.target.activate(console)

    def _consoles(self) -> list[ConsoleRecorder]:
        return [driver for driver in self.target.drivers if isinstance(driver, ConsoleRecorder)]

    def _off(self) -> None:
        self.target.activate(self.power)
        self.session.drop()
        if self.uboot is not None:
            self.target.deactivate(self.uboot)
        power.switch(self.power, "off", self.power_timeout_s)

        def answers() -> bool:
            ownership.check(self.target)
            return self.session.answers(ANSWER_TRY_S)

        active = power.await_silence(self._consoles(), answers, self.quiet_s, self.off_timeout_s)
        if active:
            self.session.drop()
            raise InfrastructureError(
                f"{power.name_of(self.power)} reports off, but {active} after {self.off_timeout_s:g} s"
            )

    def _power_on(self) -> None:
        if self.status is not Status.off:
            self._off()
        for console in self._consoles():
            console.forget()
            self._power_on_marks[console.name] = console.mark()
        self._on_since = time.monotonic()
        power.switch(self.power, "on", self.power_timeout_s)

    def _bootloader(self) -> None:
        """Press the key until U-Boot prompts: with bootdelay=0 only keys sent before the countdown count.

        Ref: U-Boot common/autoboot.c, abortboot_single_key
        """
        uboot = self._bootloader_driver()
        self._power_on()
        prompt, since = re.compile(uboot.prompt.encode()), self._power_on_marks[uboot.console.name]
        deadline = time.monotonic() + self.boot_timeout_s
        while not uboot.console.wait_for(prompt, since, KEY_EVERY_S):
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"no U-Boot prompt {self.boot_timeout_s:g} s after power on{self._console_ends()}"
                )
            uboot.console.write(uboot.interrupt.encode())
        self.target.activate(uboot)

    def _bootloader_driver(self) -> Any:
        if self.uboot is None:
            raise StrategyError("this target has no UBootDriver: cannot reach the bootloader")
        return self.uboot

    def _shell(self) -> None:
        if self.status is Status.bootloader:
            self.uboot.boot("")  # a quiet kernel prints nothing: SSH shows that it is up
            self.target.deactivate(self.uboot)
        else:
            self._power_on()
        self._connect()

    def _connect(self) -> None:
        """Wait for the SSH server, which sends no event when it is up, then activate the session."""
        since = time.monotonic()
        deadline, try_s = since + self.boot_timeout_s, SHORTEST_TRY_S
        while not self.session.answers(try_s):
            ownership.check(self.target)
            if (now := time.monotonic()) > deadline:
                raise InfrastructureError(
                    f"{self.session.unanswered} {self.boot_timeout_s:g} s after power on"
                    f"{self._console_ends()}"
                )
            try_s = max(SHORTEST_TRY_S, min(TRY_SHARE * (now - since), deadline - now))
            _pause(BETWEEN_TRIES_S)
        while True:
            try:
                self.target.activate(self.session)
                break
            except (Unanswered, CommandHangs):  # too busy to log in while the board boots; a refusal is final
                if time.monotonic() > deadline:
                    raise
            _pause(BETWEEN_TRIES_S)
        self._check_boot()
        self.session.notify_listeners()

    def _check_boot(self) -> None:
        """InfrastructureError if the board still runs what it ran before power on: the switch misreported."""
        before, self._last_boot = self._last_boot, self.session.boot_id
        if self._on_since is None:
            return
        if self.session.boot_id == before:
            raise InfrastructureError(
                f"power was cycled, but boot_id is {before} as before: "
                f"{power.name_of(self.power)} did not reach the board"
            )
        reply = self.session.execute(f"read -r s _ <{UPTIME} && echo $s")  # no program: the board is busy
        on_for_s = time.monotonic() - self._on_since  # taken second, so that the uptime cannot be longer
        if reply.code != 0:
            raise InfrastructureError(f"cannot read {UPTIME}: {reply.errno or reply.error}")
        if (uptime_s := float(reply.text)) > on_for_s:
            raise InfrastructureError(
                f"Linux has been running for {uptime_s:.2f} s, {on_for_s:.2f} s after power on: "
                f"{power.name_of(self.power)} did not switch the board off"
            )

    def _console_ends(self) -> str:
        """The end of each console's output since power on, for the message of a failed boot."""
        printed = {
            c.name: c.since(max(self._power_on_marks.get(c.name, 0), c.mark() - 120))
            for c in self._consoles()
        }
        parts = [f"; {name} ends with {text!r}" for name, text in printed.items() if text]
        if parts:  # it has power: no question about the switch
            return "".join(parts)
        silent = ", and all consoles were silent" if printed else ""
        switched = self._on_since is not None
        return silent + (f"; does {power.name_of(self.power)} switch the board on?" if switched else "")
