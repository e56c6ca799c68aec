# SPDX-License-Identifier: MIT
"""Fixture `suspends`: suspend the board while a core runs, and have its real-time clock wake it up."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, evolve, field

from mpbench.board import stress
from mpbench.board.program_output import answers
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.deployment.fixture import DeployBench, needs_table
from mpbench.harness.firmware import board_program
from mpbench.harness.run_state import core_of
from mpbench.suspend import collect, measure, memory, predict, run
from mpbench.suspend.collect import NotAwake, Request, new_nonce
from mpbench.suspend.facts import ALARM_TIMER, SuspendFacts
from mpbench.suspend.parse import CLIENT, Facilities, came_early, facilities
from mpbench.suspend.run import Suspend

PATH = "/tmp/mpbench-suspend-client"
"""Of the program that fills and compares memory, on the board."""

TIMER_S = 3
"""Least seconds until a timer goes off, of which two have to be left when devices are suspended."""
CACHED_S = 12.0
"""Linux drops its cache 10 s after a sleep. Ref: drivers/base/firmware_loader/main.c, fw_pm_notify()"""
RETRIES, LATER = 3, 3
"""How often an alarm is set again that came before the board slept, each time that many times later."""
REFUSING_S, READ_S = 120, 20.0


@pytest.fixture
def suspends(bench: DeployBench, request: Any) -> Iterator["Suspends"]:
    """Suspend API of one test; afterwards Linux reads firmware files anew.

    NOT-RUN where the kernel cannot suspend, no clock can wake the board up, or Linux shows no trace buffer of
    the test's core, which is read as soon as the board wakes up.
    """
    needs_table(bench.profile, core_of(request.node))
    session = bench.board.session
    client = ""
    if program := board_program("suspend-client", session.execute("uname -m").text.strip()):
        session.put_bytes(program, PATH)
        session.execute(f"chmod 700 {PATH}").checked(f"cannot make {PATH} executable")
        client = PATH
    found = facilities(collect.facilities(session, client))
    if why := found.missing:
        pytest.skip(why)
    suspends = Suspends(bench, found, client)
    yield suspends
    suspends.await_uncached()


@define
class Suspends:
    """Suspend the board. Every step is predicted, compared, recorded.

    client: path of suspend-client on the board, "" if there is none for its machine
    """

    bench: DeployBench
    facilities: Facilities
    client: str
    _seed: int = field(default=0)
    _awake_s: float | None = field(default=None)

    def sleep(
        self,
        core: str,
        predicted: SuspendFacts,
        image: bytes | None = None,
        *,
        name: str = "suspend",
        record: bool = True,
        **request: Any,
    ) -> Suspend:
        """Suspend until the alarm, with the firmware in `image` on the core; None: compare no memory.

        request: see collect.Request; an alarm that came before the board slept is set again, for later.
        record: False leaves recording to the caller, see check().
        BoardFailure if the board does not wake up: it is switched off and on.
        """
        self.bench.execute(":")  # the lock of the place, before a step that cannot be interrupted
        trace = self.bench.board.remoteproc.debug_path(core, "trace0")
        closed = "yes" if predicted.crash and self.bench.profile.core(core).firewalled else ""
        wanted = Request(self.facilities.clock, trace, timers=self.client, closed=closed, **request)
        if not wanted.rtc:
            wanted = evolve(wanted, seconds=max(wanted.seconds, TIMER_S))
        step = self._slept(core, predicted, wanted, image, name)
        for _ in range(RETRIES if predicted.errno == "OK" else 0):
            if not came_early(step.evidence):
                break
            wanted = evolve(wanted, seconds=LATER * wanted.seconds, nonce=new_nonce())
            step = self._slept(core, predicted, wanted, image, name)
        self._awake_s = time.monotonic()
        if record:
            self.bench.append(step)
        return step

    def await_uncached(self) -> None:
        """Wait until Linux has dropped the firmware files that it keeps over a sleep, for CACHED_S.

        Until then it starts what was loaded before the sleep, whatever is in the file by now. Nothing tells
        when it has.
        """
        if self._awake_s is not None and self.facilities.keeps_files:
            threading.Event().wait(max(0.0, self._awake_s + CACHED_S - time.monotonic()))

    def _slept(
        self, core: str, predicted: SuspendFacts, request: Request, image: bytes | None, name: str
    ) -> Suspend:
        board, profile = self.bench.board, self.bench.profile
        found = memory.places(profile, core, image) if image and self.client else ()
        if found:
            self._seed += 1
            words = memory.fill(found, self._seed), memory.check(found, self._seed)
            request = evolve(request, client=self.client, fill=words[0], check=words[1])
        else:
            predicted = evolve(predicted, memory=None)
        try:
            return run.suspend(board, core, predicted, request, found, name=name)
        except NotAwake as e:
            raise BoardFailure(self._not_awake(request, e)) from e

    def _not_awake(self, request: Request, why: NotAwake) -> str:
        """What to report of a board that did not wake up; it is switched off and on, if that works."""
        failed = self.bench.revive()
        after = f"it could not be switched off and on: {failed}" if failed else "it was switched off and on"
        return (
            f"the board did not answer {collect.LATE_S:g} s after its alarm, {request.seconds} s after "
            f"`{request.word}` was written ({why}); {after}"
        )

    def check(self, step: Suspend, *decided: str) -> None:
        """As Step.check(), of a step that was not recorded: it is, if it differs."""
        try:
            step.check(*decided)
        except (BoardFailure, InvalidRun):
            with contextlib.suppress(InfrastructureError):
                self.bench.append(step)
            raise

    @contextlib.contextmanager
    def refusing_driver(self) -> Iterator[str]:
        """A device that refuses to be suspended, during the block; its name.

        Skips the test without a program for this board, or if its kernel has no timers that wake it up.
        """
        if not self.client:
            pytest.skip("no suspend-client for this machine: see firmware/Makefile, MACHINES")
        alarms = " ".join(f"alarm,{1000 * n},0" for n in range(1, REFUSING_S))
        command = f"exec {self.client} {alarms} sleep,{1000 * REFUSING_S}"
        with stress.running(self.bench.board.session, command) as process:
            answer = answers(process.read(READ_S).decode("ascii", "replace"), CLIENT)[0]
            if answer.errno != "OK":
                pytest.skip(f"this kernel has no timer that wakes the board up: {answer.errno}")
            yield ALARM_TIMER

    def needs_clock(self) -> None:
        """Skip the test where the alarm is a timer: see Facilities."""
        if not self.facilities.clock:
            pytest.skip("no real-time clock with an alarm in sysfs (CONFIG_RTC_INTF_SYSFS, wakealarm)")

    def deeper(self, word: str) -> dict[str, str]:
        """Request for a state deeper than suspend to idle. Skips the test where the kernel offers none.

        word: for /sys/power/state; `mem` means what mem_sleep says.
        """
        label = predict.ENTERED[word]
        if word not in self.facilities.states or label not in self.facilities.deeper:
            offered = " ".join(("s2idle", *self.facilities.deeper))
            pytest.skip(f"the kernel offers no `{word}` as {label}: /sys/power/mem_sleep has {offered}")
        return {"word": word, "deep": label if word == "mem" else ""}

    def measure(self, core: str, step: Suspend) -> None:
        """Record how long the board slept, and the firmware's rate then as a share of that afterwards."""
        for found in measure.measurements(step.sleep, {"core": core}):
            self.bench.measure(found)
