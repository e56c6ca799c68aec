# SPDX-License-Identifier: MIT
"""A crashed core is detected, and Linux restarts it through the TEE, which authenticates again."""

import pytest
from attrs import asdict

from mpbench.core.facts import Verdict
from mpbench.harness.bench import RECOVERED_S
from mpbench.recovery.measure import disagreements, measurements
from testcases.requirements import RECOVERY

pytestmark = RECOVERY

ALL = (
    "cause",
    "interrupts",
    "sequence",
    "commands",
    "ta_states",
    "tee_code",
    "secure_log",
    "state",
    "boots",
    "beating",
    "identity",
)
"""Every field must be observed: a step in which one is not proves nothing."""


def test_watchdog_expiry_is_recovered(crashes, core):
    """Firmware that stops kicking its watchdog is stopped, authenticated, loaded and started again."""
    crashes.start(core)
    step = crashes.watchdog(core)
    step.check(*ALL)
    assert step.observed.interrupts == 1
    assert step.observed.state == "running"
    assert step.observed.boots == 1
    assert step.observed.beating
    crashes.check_heartbeat(core)


def test_watchdog_that_linux_does_not_hear_of(crashes, core):
    """A watchdog without an interrupt of Linux resets the core; Linux sees no crash, and recovers when told.

    Whether the core then stays in reset or starts again is its loader's affair.
    """
    crashes.needs_unheard_watchdog(core)
    under_test = crashes.start(core, unheard=True)  # its heartbeat goes on when it has failed
    before = crashes.beat(core)[0]
    crashes.board_shell(under_test.fail_command())
    assert crashes.is_reset(core, before), "the watchdog has not reset the core"
    assert crashes.count_crashes(core, bound=1) == 0
    assert crashes.bench.state(core) == "running"
    crashes.injected(core, 1).check(*ALL)
    crashes.check_heartbeat(core)


@pytest.mark.parametrize("kind", range(4), ids=["mmufault", "watchdog", "fatal-error", "unknown"])
def test_injected_crash_is_recovered(crashes, core, kind):
    """A crash reported through debugfs is recovered as a real one, without a watchdog interrupt."""
    crashes.start(core, "alive")
    step = crashes.injected(core, kind)
    step.check(*ALL)
    assert step.observed.interrupts == 0
    assert step.observed.boots == 1


@pytest.mark.parametrize("firmware_name", ["hardfault", "lockup", "stack-overflow"])
def test_failing_firmware_is_recovered(crashes, core, firmware_name):
    """Hard fault, endless loop, stack overflow: the firmware that failed is stopped, and runs again.

    The watchdog detects each; where the target gives the firmware none, Linux is told.
    """
    crashes.start(core, firmware_name)
    crashes.failure(core).check(*ALL)


def test_two_crashes_in_a_row(crashes, core):
    """The second crash is detected and recovered as the first, and each causes exactly one boot."""
    crashes.start(core)
    crashes.failure(core).check(*ALL)
    crashes.failure(core).check(*ALL)
    assert crashes.count_crashes(core, bound=3) == 2


def test_reports_in_a_burst_end_in_a_running_core(crashes, core):
    """Ten crash reports in a burst are handled as at most ten crashes, and the core runs in the end."""
    under_test = crashes.start(core, "alive")
    crashes.board_shell(" ; ".join([f"echo 1 >{crashes.debug(core, 'crash')}"] * 10))
    handled = crashes.count_crashes(core, bound=11)
    assert 1 <= handled <= 10
    assert crashes.bench.board.remoteproc.await_state(core, "running", RECOVERED_S) == "running"
    assert crashes.is_beating(core)
    first, last = (2, 1 + handled) if crashes.counts_boots(core) else (1, 1)
    boots = crashes.beat(core)[0] - under_test.earlier_boots
    assert first <= boots <= last, "a boot that was cut short may not have counted itself"


def test_other_core_is_not_disturbed(crashes, core):
    """While one core crashes and is recovered, the others keep running: no boot, no crash, beats increase."""
    others = [c.name for c in crashes.bench.profile.cores if c.name != core]
    if not others:
        pytest.skip("this board has one core")
    for other in others:
        crashes.start(other, "alive")
    crashes.start(core)
    before = {other: crashes.beat(other) for other in others}
    crashes.failure(core).check(*ALL)
    for other in others:
        boot, beats = crashes.beat(other)
        assert boot == before[other][0], f"{other} was started again"
        assert beats > before[other][1], f"{other} stopped beating"
        assert crashes.count_crashes(other, bound=1, quiet_s=0) == 0


def test_recovery_disabled_stays_crashed(crashes, core):
    """With recovery disabled a crash is reported and the core stays crashed.

    A `start` then succeeds without starting anything, but is counted: the core needs one more `stop`.
    """
    crashes.start(core)
    crashes.write(core, "recovery", "disabled")
    step = crashes.failure(core, recovers=False)
    step.check(*ALL)
    assert step.observed.state == "crashed"
    crashes.inject(core, 1)
    assert crashes.count_crashes(core, bound=3, quiet_s=1) == 1, "a crash of a crashed core was handled"
    assert crashes.write(core, "state", "start") == "OK"
    assert crashes.bench.state(core) == "crashed"
    crashes.recover(core, "enabled").check(*ALL)
    assert crashes.write(core, "state", "stop") == "OK"
    assert crashes.bench.state(core) == "running"


@pytest.mark.parametrize("word", ["recover", "enabled"])
def test_crashed_core_is_recovered_by_hand(crashes, core, word):
    """`recover`, or recovery enabled while the core is crashed, restarts it as a recovery after a crash."""
    crashes.start(core)
    crashes.write(core, "recovery", "disabled")
    crashes.failure(core, recovers=False).check(*ALL)
    crashes.recover(core, word).check(*ALL)
    wanted = "enabled" if word == "enabled" else "disabled"
    assert crashes.bench.board.remoteproc.attributes(core, "recovery") == {"recovery": wanted}


def test_injected_crash_without_recovery_leaves_the_core_alone(crashes, core):
    """A crash reported through debugfs stops nothing: the firmware keeps beating on a "crashed" core."""
    crashes.start(core, "alive")
    crashes.write(core, "recovery", "disabled")
    step = crashes.injected(core, 2, recovers=False)
    step.check(*ALL)
    assert step.observed.beating


def test_crash_while_stopping(crashes, core):
    """A crash reported while the core is being stopped ends in one of two ways: stopped, or recovered."""
    for _ in range(5):
        crashes.start(core, "alive")
        state = crashes.bench.board.remoteproc.path(core, "state")
        crash = crashes.debug(core, "crash")
        crashes.board_shell(f"echo 1 >{crash} & echo stop >{state} || echo refused; wait")
        crashes.count_crashes(core, bound=3, quiet_s=1)
        if crashes.bench.state(core) == "running":
            assert crashes.is_beating(core)
            crashes.bench.stop(core)
        assert crashes.bench.state(core) == "offline"


def test_crash_while_starting(crashes, core):
    """A crash reported while the core is being started is ignored or recovered: the core runs in the end."""
    crashes.start(core, "alive")
    state, crash = crashes.bench.board.remoteproc.path(core, "state"), crashes.debug(core, "crash")
    kept = crashes.bench.profile.by_linux(core)  # the firmware's count of boots, which a TEE clears
    for _ in range(5):
        earlier = crashes.beat(core)[0] if kept else 0
        crashes.bench.stop(core)
        mark = crashes.bench.board.kmsg.mark()
        crashes.board_shell(f"echo start >{state} & echo 1 >{crash}; wait")
        crashes.count_crashes(core, bound=20, quiet_s=1)
        assert crashes.bench.board.remoteproc.await_state(core, "running", RECOVERED_S) == "running"
        handled = crashes.bench.board.kmsg.since(mark).count(f"in {core}\n".encode())
        assert crashes.is_beating(core)
        boots = crashes.beat(core)[0] - earlier
        assert 1 <= boots <= 1 + handled, "a boot that was cut short may not have counted itself"


def test_recovery_times(crashes, core):
    """Detection, recovery and first heartbeat have times of the board's clock; kernel log and trace agree.

    Without a watchdog there is no interrupt that detection could be measured from.
    """
    crashes.start(core)
    with crashes.heartbeats(core):
        steps = [crashes.failure(core) for _ in range(5)]
    for step in steps:
        step.check(*ALL)
        missing = [name for name, ns in asdict(step.timeline).items() if ns is None]
        assert missing == ([] if step.predicted.interrupts else ["irq_ns"]), "a time was not observed"
        assert disagreements(step.timeline) == []
    found = list(measurements([step.timeline for step in steps], core, crashes.limits_ms))
    for measurement in found:
        crashes.bench.measure(measurement)
    assert [m for m in found if m.verdict is Verdict.FAIL] == [], "outside the target's limits"
