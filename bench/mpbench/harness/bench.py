# SPDX-License-Identifier: MIT
"""Bench: what a test does with a board, without any phenomenon; rooms derive classes with more."""

import contextlib
import re
import shlex
import time
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from labgrid.strategy import StrategyError

from mpbench.board.identification import CONSOLE, About, boot_id, same_boot
from mpbench.board.kernel_panic import panic_in
from mpbench.board.protocols import Board, Remoteproc
from mpbench.board.session.shell_protocol import Reply
from mpbench.board.tee_panic import tee_panic_in
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.core.evidence import SECURE_CONSOLE, Artefact, Evidence
from mpbench.core.facts import Measurement
from mpbench.core.lines import TestLine
from mpbench.core.step import Step
from mpbench.harness.run_state import RunState
from mpbench.twin.profile import Profile

RECONNECT_S = 30.0
RECONNECTS = 3
WRITE_S = 60.0
"""For a write to sysfs: an emulator on a busy host takes half a minute for an image of 4,000 segments."""
RECOVERED_S = 60.0
"""So long a core that crashed may take to run again, so that it can be stopped."""
CONSOLE_BYTES = 256 << 10
"""Of the console of a board whose kernel panicked."""


@define
class Bench:
    """The board API of one test. Every step is recorded with its evidence."""

    board: Board
    profile: Profile
    _state: RunState
    _item: pytest.Item
    _strategy: Any
    _boot: str
    _touched: list[str] = field(factory=list)
    _console_mark: int = 0
    _secure_mark: int = 0
    _started: str = ""
    _cycling: bool = False

    @property
    def about(self) -> About:
        """The board's identification, read at the start of the run."""
        assert self._state.board is not None
        return self._state.board

    def write(self, core: str, file: str, text: str) -> str:
        """Write one of the core's sysfs files; returns "OK" or the errno's name."""
        self._touch(core)
        return self.board.remoteproc.write(core, file, text, WRITE_S)

    def _touch(self, core: str) -> None:
        """Mark `core` for settle(). UsageError: unknown core; InfrastructureError: the lock was lost."""
        self.profile.core(core)
        self._state.lock()
        self._touched.append(core)

    def execute(self, command: str) -> Reply:
        """Run a command line on the board, for at most WRITE_S seconds."""
        self._state.lock()
        return self.board.session.call(command, WRITE_S)

    def sha256(self, core: str) -> str:
        """SHA-256 of the core's firmware file, computed by the board. InfrastructureError if it cannot."""
        remoteproc = self.board.remoteproc
        name = remoteproc.attributes(core, "firmware")["firmware"]
        reply = self.board.session.execute(f"sha256sum <{shlex.quote(remoteproc.firmware_path(name))}")
        if reply.code != 0:
            raise InfrastructureError(f"{core}: cannot hash the firmware file on the board: {reply.error}")
        return reply.stdout.split()[0].decode()

    def append(self, step: Step) -> None:
        """Record a step. InfrastructureError if OP-TEE's log differs because its console loses bytes."""
        self._state.step(self._item, step)
        if step.comparison.differs("secure_log"):
            self.board.secure.check_quality()
            self._ask_again(step.core, getattr(step.predicted, "secure_log", ""))

    def _ask_again(self, core: str, line: str) -> None:
        """Have a missing line of OP-TEE printed again. InfrastructureError if it comes now.

        A console can lose what was printed between a step's markers, and neither of them. The core was
        refused and its firmware file is the same, so that another start is refused alike.
        """
        if not line or self.state(core) != "offline":
            return
        mark = self.board.secure.mark()
        self.write(core, "state", "start")
        if self.board.secure.wait_for(re.compile(re.escape(line.encode())), mark, WRITE_S):
            raise InfrastructureError(
                f"{core}: OP-TEE's line {line!r} did not arrive, but it did when the core was started again: "
                "the console lost it, or OP-TEE does not always print it"
            )

    @property
    def has_boot_loader(self) -> bool:
        """Whether the target file has a driver of the boot loader's prompt."""
        return self._strategy.uboot is not None

    def power_cycle(self, at_prompt: Callable[[Any], None] | None = None) -> None:
        """Switch the board off and on deliberately: the new boot does not invalidate the test.

        at_prompt: called with labgrid's UBootDriver at the boot loader's prompt, before Linux is booted
        """
        self._state.lock()
        self._cycling = True
        self._strategy.transition("off")
        if at_prompt is not None:
            self._strategy.transition("bootloader")
            at_prompt(self._strategy.uboot)
        self._strategy.transition("shell")
        self._strategy.target.activate(self.board.remoteproc)  # it was deactivated along with the session
        self.booted()

    def revive(self) -> str:
        """Switch a board that does not answer off and on; why that failed, "" if it answers.

        The end of its console is recorded before.
        """
        self._panicked(CONSOLE, self.board.console.since(self._console_mark), stopped=False)
        try:
            self.power_cycle()
        except (InfrastructureError, StrategyError) as e:
            return str(e)
        return ""

    def booted(self) -> None:
        """Declare a deliberate boot: the board has a new boot_id, and all its cores are offline."""
        self._boot = boot_id(self.board)
        self._cycling = False
        self._touched.clear()
        self._state.booted(self._boot)

    def stop(self, core: str) -> None:
        """Stop a running core. BoardFailure if the board does not."""
        stop_core(self.board.remoteproc, core)

    def leave_offline(self, core: str) -> None:
        """Stop a core whatever it does, see leave_offline()."""
        leave_offline(self.board.remoteproc, core)

    def state(self, core: str) -> str:
        """The core's state in sysfs."""
        return self.board.remoteproc.core_state(core)

    def read(self, path: str) -> bytes | str:
        """Content of a file of the board, or the errno's name."""
        return self.board.session.read(path)

    def measure(self, measurement: Measurement) -> None:
        """Record a measurement: outside its limits it fails the test, close to one the test is MARGINAL."""
        self._state.measurement(self._item, measurement)

    def add(self, line: TestLine) -> None:
        """Record a line of this test: a SeriesLine, HistogramLine, SegmentsLine, OutliersLine or MapLine."""
        self._state.add(self._item, line)

    @property
    def reachable(self) -> bool:
        """Whether the session with the board is connected."""
        return bool(self.board.session.get_status())

    def settle(self) -> None:
        """Stop all touched cores. InvalidRun if the board was reset.

        BoardFailure if a core does not stop, or OP-TEE stopped or its firewall refused an access.
        A board that was given up in this test is left alone: its session is gone, and its power unknown.
        So is one whose power cycle was interrupted.
        """
        if self._state.blocked or self._cycling:
            return
        self._state.lock()
        self._check_tee()
        self._check_panic()
        if not self.reachable:  # the link broke in this test: was it the lab, or did the board reset?
            self.board.session.reconnect(RECONNECT_S)
        now = boot_id(self.board)
        self._state.booted(now)
        same_boot(self._boot, now)
        for core in dict.fromkeys(self._touched):
            self.leave_offline(core)

    def _check_tee(self) -> None:
        """BoardFailure, with the console as evidence, if OP-TEE panicked or its firewall refused an access.

        After a panic the board is switched off and on, so that later tests have one that works.
        """
        output = self.board.secure.arrived(self._secure_mark)
        if (found := tee_panic_in(output)) is None:
            return
        self._panicked(SECURE_CONSOLE, output, stopped=found.stopped)
        when = f"; started last in this test: {self._started}" if self._started else ""
        raise BoardFailure(f"{found.text}{when}")

    def _check_panic(self) -> None:
        """InvalidRun, with the console as evidence and the board booted again, if its kernel panicked."""
        output = self.board.console.since(self._console_mark)
        if not (reason := panic_in(output)):
            return
        self._panicked(CONSOLE, output, stopped=True)
        raise InvalidRun(f"the board's kernel panicked: {reason}")

    def _panicked(self, console: str, output: bytes, *, stopped: bool) -> None:
        """Record the end of a console; a board that stopped is switched off and on, if that works."""
        self._state.record_consoles(Evidence((Artefact(console, output[-CONSOLE_BYTES:]),)))
        if stopped:
            with contextlib.suppress(InfrastructureError, StrategyError):
                self.power_cycle()


def reached(board: Board, state: RunState) -> str:
    """The board's boot_id when a test starts; a link that was cut since the last test is dialled again.

    InvalidRun if the board was reset in between: the next test starts on the new boot. InfrastructureError if
    it is not reached; after RECONNECTS times in a row no further test tries.
    """
    before = state.boot
    try:
        now = _boot_id_again(board)
    except InfrastructureError as fault:
        state.unreached += 1
        if state.unreached >= RECONNECTS:
            state.blocked = f"the board was not reached by {RECONNECTS} tests in a row: {fault}"
        raise
    state.unreached = 0
    state.booted(now)
    if before:
        same_boot(before, now)
    return now


def _boot_id_again(board: Board) -> str:
    if board.session.get_status():
        try:
            return boot_id(board)
        except InfrastructureError:
            if board.session.get_status():
                raise  # the link is there: dialling again would hide what is wrong
    board.session.reconnect(RECONNECT_S)
    return boot_id(board)


def stop_core(remoteproc: Remoteproc, core: str) -> None:
    """Stop a running core. BoardFailure if the board does not."""
    answer, state = _stop(remoteproc, core)
    if answer != "OK" or state != "offline":
        raise _unstopped(core, answer, state)


def leave_offline(remoteproc: Remoteproc, core: str) -> None:
    """Stop a core that may run, be offline already, or crash again and again. BoardFailure if it stays on.

    Within a recovery Linux shows `offline`, although the core will run again, and while the core counts as
    crashed it refuses a stop. A stop waits for a recovery that has begun: refused by a core that was offline
    before and is so afterwards, it shows that the core is.

    Ref: Linux drivers/remoteproc/remoteproc_core.c: rproc_shutdown, rproc_crash_handler_work,
         rproc_boot_recovery
    """
    end_s = time.monotonic() + RECOVERED_S
    while True:
        before = remoteproc.core_state(core)
        answer, state = _stop(remoteproc, core)
        if state == "offline" and (answer == "OK" or (answer, before) == ("EINVAL", "offline")):
            return
        if answer != "EINVAL" or state == "detached" or time.monotonic() > end_s:
            raise _unstopped(core, answer, state)


def _stop(remoteproc: Remoteproc, core: str) -> tuple[str, str]:
    return remoteproc.write(core, "state", "stop", WRITE_S), remoteproc.core_state(core)


def _unstopped(core: str, answer: str, state: str) -> BoardFailure:
    return BoardFailure(f"{core} does not stop: writing `stop` returned {answer}, the state is {state}")
