# SPDX-License-Identifier: MIT
"""Where recovery ends: dead firmware, a storm, power that goes away, a board that resets."""

import re

import pytest

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.recovery.facts import WATCHDOG
from testcases.requirements import LIMITS

pytestmark = LIMITS

BOUND = 5
WAIT_S = 20.0
DYING = 3
"""Beats of a firmware before its heartbeat stops."""


def test_recovered_but_dead_is_a_fail(crashes, core):
    """Linux says "running", the TEE said yes, the watchdog is kicked; without a heartbeat it is a FAIL."""
    crashes.start(core)
    mute = crashes.image("mute", core)
    crashes.replace(core, mute)
    step = crashes.watchdog(core, reload=mute)
    assert (step.observed.state, step.observed.boots) == ("running", 1)
    with pytest.raises(
        BoardFailure, match=r"crash on .*: beating was predicted True, the board showed False$"
    ):
        step.check("state", "beating")


def test_recovered_but_dying_is_a_fail(crashes, core):
    """A firmware that beats a few times after its recovery and then no more is found, whoever kicks what."""
    crashes.start(core, beats=DYING)
    mute = crashes.image("mute", core)
    crashes.replace(core, mute)
    step = crashes.watchdog(core, reload=mute)
    assert (step.observed.state, step.observed.boots) == ("running", 1)
    with pytest.raises(BoardFailure, match=f"{core}: the heartbeat stopped at beat {DYING} of boot 2"):
        crashes.check_heartbeat(core)
    assert crashes.bench.state(core) == "running", "Linux and the watchdog have not noticed"


def test_recovery_storm_stops_at_its_bound(crashes, core):
    """Firmware that fails in every life is not recovered for ever: the bench disables recovery and fails."""
    crashes.start(core)
    crashes.fail(core, times=0xFFFF)
    words = f"recovery storm: {core} crashed {BOUND} times, the bound is {BOUND}; recovery disabled"
    with pytest.raises(BoardFailure, match=words):
        crashes.count_crashes(core, BOUND)
    remoteproc = crashes.bench.board.remoteproc
    assert remoteproc.await_state(core, "crashed", WAIT_S) == "crashed"
    assert remoteproc.attributes(core, "recovery") == {"recovery": "disabled"}
    assert BOUND <= crashes.count_crashes(core, BOUND + 2) <= BOUND + 1, (
        "one that was under way may still be counted"
    )


def in_mid_recovery(crashes, core):
    """Hold a recovery between stop and load: it waits for somebody to read an inline core dump."""
    crashes.start(core)
    crashes.write(core, "coredump", "inline")
    kmsg = crashes.bench.board.kmsg
    mark = kmsg.mark()
    crashes.fail(core)
    assert kmsg.wait_for(re.compile(f"stopped remote processor {core}".encode()), mark, WAIT_S)
    assert crashes.bench.state(core) == "offline"


def test_power_cut_in_mid_recovery(crashes, core):
    """Power goes away between stop and load; after the next boot nothing is left of it, and the core runs."""
    in_mid_recovery(crashes, core)
    crashes.power_cycle()
    assert crashes.bench.state(core) == "offline"
    crashes.start(core)
    crashes.watchdog(core).check("sequence", "state", "boots", "beating")


def test_reset_in_mid_test_is_invalid(crashes, core):
    """A board that resets while a crash is watched gives no verdict on the board: INVALID, by its boot_id."""
    crashes.start(core)
    session = crashes.bench.board.session
    with pytest.raises(InfrastructureError):
        crashes.step(core, WATCHDOG, lambda: session.execute("echo b >/proc/sysrq-trigger"))
    with pytest.raises(InvalidRun, match="reset"):
        crashes.bench.settle()
    crashes.booted()
    crashes.start(core)
    crashes.watchdog(core).check("sequence", "state", "boots", "beating")
