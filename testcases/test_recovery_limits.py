# SPDX-License-Identifier: MIT
"""Limits of recovery: dead firmware, repeated crashes, loss of power, reset of the board."""

import re

import pytest

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from testcases.requirements import LIMITS

pytestmark = [LIMITS, pytest.mark.usefixtures("signed")]  # not tried with plain ELF files

BOUND = 5
WAIT_S = 20.0
DYING = 3
"""Beats of a firmware that then stops beating."""


def test_recovered_but_dead_is_a_fail(crashes, core):
    """A recovered firmware without heartbeat is a FAIL, although Linux, TEE and watchdog report no error."""
    crashes.start(core)
    mute = crashes.image("mute", core)
    crashes.replace(core, mute)
    step = crashes.failure(core, reload=mute)
    assert (step.observed.state, step.observed.boots) == ("running", 1)
    with pytest.raises(
        BoardFailure, match=r"crash on .*: beating was predicted True, the board showed False$"
    ):
        step.check("state", "beating")


def test_recovered_but_dying_is_a_fail(crashes, core):
    """A firmware that stops beating after its recovery is detected, although it kicks its watchdog."""
    crashes.start(core, beats=None)
    mute = crashes.image("mute", core, beats=DYING)
    crashes.replace(core, mute)
    step = crashes.failure(core, reload=mute)
    assert (step.observed.state, step.observed.boots) == ("running", 1)
    with pytest.raises(BoardFailure, match=f"{core}: the heartbeat stopped at beat {DYING} of boot [12]"):
        crashes.check_heartbeat(core)
    assert crashes.bench.state(core) == "running", "Linux and the watchdog detect nothing"


def test_recovery_storm_stops_at_its_bound(crashes, core):
    """Firmware that crashes after every boot is a FAIL after N crashes, and recovery is disabled."""
    crashes.start(core)
    crashes.fail_always(core)
    words = f"recovery storm: {core} crashed {BOUND} times, the bound is {BOUND}; recovery disabled"
    with pytest.raises(BoardFailure, match=words):
        crashes.count_crashes(core, BOUND, quiet_s=WAIT_S)
    remoteproc = crashes.bench.board.remoteproc
    assert remoteproc.await_state(core, "crashed", WAIT_S) == "crashed"
    assert remoteproc.attributes(core, "recovery") == {"recovery": "disabled"}
    assert BOUND <= crashes.count_crashes(core, BOUND + 2) <= BOUND + 1, (
        "a recovery that was under way may still be counted"
    )


def in_mid_recovery(crashes, core):
    """Hold a recovery between stop and load: it waits until an inline core dump is read."""
    crashes.start(core)
    crashes.enable_dumps(core, "inline")
    kmsg = crashes.bench.board.kmsg
    mark = kmsg.mark()
    crashes.fail(core)
    assert kmsg.wait_for(re.compile(f"stopped remote processor {core}".encode()), mark, WAIT_S)
    assert crashes.bench.state(core) == "offline"


def test_power_cut_in_mid_recovery(crashes, core):
    """Power is cut between stop and load; after the next boot the core is offline and can be started."""
    in_mid_recovery(crashes, core)
    crashes.power_cycle()
    assert crashes.bench.state(core) == "offline"
    crashes.start(core)
    crashes.failure(core).check("sequence", "state", "boots", "beating")


def test_reset_in_mid_test_is_invalid(crashes, core):
    """A board that resets during a crash makes the test INVALID: its boot_id has changed."""
    crashes.start(core)
    session = crashes.bench.board.session
    with pytest.raises(InfrastructureError):
        crashes.step(core, crashes.cause(core), lambda: session.execute("echo b >/proc/sysrq-trigger"))
    with pytest.raises(InvalidRun, match="reset"):
        crashes.bench.settle()
    crashes.booted()
    crashes.start(core)
    crashes.failure(core).check("sequence", "state", "boots", "beating")
