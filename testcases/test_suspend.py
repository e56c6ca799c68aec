# SPDX-License-Identifier: MIT
"""Linux is suspended while a core runs: the core works on, its memory stays, and the board wakes up.

`pytest --lg-env ... testcases/test_suspend.py --bench-soak 1000x` (or 2h) compares the core's memory at every
wake-up. Run on virtual boards only: nothing here has been on silicon. NOT-RUN where the kernel cannot
suspend, or no clock can wake the board up.
"""

import pytest

from mpbench.recovery.firmware import parameters
from mpbench.suspend import predict
from mpbench.suspend.collect import ALARM_FIRST
from mpbench.suspend.facts import KEPT
from testcases.requirements import SUSPEND

pytestmark = SUSPEND

ANSWER = ("errno", "entered", "woken_by", "refused_by", "state")
ALIVE = (*ANSWER, "crash", "boots", "beating", "identity")
WORKED = (*ALIVE, "worked", "memory")
"""Every field: a step in which one is not observed proves nothing."""

BEAT_MS = 20
CRASH_MS = 2000
"""From the sleep's start to the crash in it; an emulator takes its time to fall asleep."""


@pytest.fixture
def running(bench, core, image):
    """The firmware `alive` runs on the core; the image of it."""
    bench.deploy(core, image, f"alive {core}").check("errno", "state", "beating", "identity")
    return image


def test_a_core_works_while_linux_sleeps(suspends, core, running):
    """Suspend to idle, and an alarm: the firmware counted on, its memory is as before, no boot, no crash."""
    step = suspends.sleep(core, predict.slept(f"alive {core}"), running, seconds=3)
    step.check(*WORKED)
    suspends.measure(core, step)


def test_a_core_that_slept_through_is_stopped_and_started(suspends, bench, core, image, running):
    """After the sleep it is a core like any other: it stops, and starts again."""
    suspends.sleep(core, predict.slept(f"alive {core}"), running).check(*WORKED)
    bench.stop(core)
    bench.deploy(core, image, f"alive {core}").check("errno", "state", "beating", "identity")


def test_a_sleep_that_outlasts_the_connection(suspends, core, running):
    """A connection that is silent for too long is lost, and opened again: the answer is there."""
    step = suspends.sleep(core, predict.slept(f"alive {core}"), running, seconds=20)
    step.check(*WORKED)
    assert step.sleep.took_s > 10


@pytest.mark.parametrize("word", ["standby", "mem"])
def test_a_deeper_state(suspends, core, running, word):
    """A state below suspend to idle, where the kernel offers one."""
    request = suspends.deeper(word)
    step = suspends.sleep(core, predict.slept(f"alive {core}", word), running, seconds=3, **request)
    step.check(*WORKED)


def test_an_event_before_the_sleep_refuses_it(suspends, core, running):
    """An alarm after the events were counted: EBUSY, with the step that refused, and the core runs on."""
    suspends.needs_clock()
    predicted = predict.refused(f"alive {core}", "EBUSY", "freeze")
    step = suspends.sleep(core, predicted, running, name="an event first", first=ALARM_FIRST)
    step.check(*ALIVE, "memory")


def test_a_driver_that_refuses_is_named(suspends, core, running):
    """EBUSY, with the device, and the core runs on; without it the board sleeps."""
    with suspends.refusing_driver() as device:
        predicted = predict.refused(f"alive {core}", "EBUSY", f"suspend {device}")
        step = suspends.sleep(core, predicted, running, name="a driver that refuses")
        step.check(*ALIVE, "memory")
    suspends.sleep(core, predict.slept(f"alive {core}"), running).check(*WORKED)


def test_a_stale_count_of_events_is_refused(suspends, core, running):
    """A count that is not the kernel's: EINVAL, and the board does not try to sleep."""
    predicted = predict.refused(f"alive {core}", "EINVAL")
    suspends.sleep(core, predicted, running, name="a stale count", count="4000000000").check(*ALIVE, "memory")


def test_a_word_that_is_no_state_is_refused(suspends, core, running):
    """EINVAL, and the core runs on."""
    predicted = predict.refused(f"alive {core}", "EINVAL")
    suspends.sleep(core, predicted, running, name="no state", word="hibernate").check(*ALIVE, "memory")


def test_a_crash_while_linux_sleeps_is_recovered(suspends, crashes, core):
    """The watchdog expires in the sleep and does not wake the board; then the core is recovered."""
    crashes.needs_watchdog(core)
    under_test = crashes.start(core)
    _, beats = crashes.beat(core)
    under_test.write(parameters(live_ms=beats * BEAT_MS + CRASH_MS, failures=1))
    step = suspends.sleep(core, predict.crashed(under_test.identity), name="a crash in the sleep", seconds=5)
    step.check(*ALIVE)
    crashes.check_heartbeat(core)


def test_suspend_soak(suspends, core, running, soak):
    """Again and again: as predicted, and no word of memory changed, constant or unused."""
    cycles, slept_s = 0, 0.0
    for number in soak.cycles():
        step = suspends.sleep(
            core, predict.slept(f"alive {core}"), running, name=f"cycle {number} of the soak", record=False
        )
        suspends.check(step, *WORKED)
        soak.journal.add(took_s=step.duration_ns / 1e9, slept_s=step.sleep.took_s)
        cycles, slept_s = cycles + 1, slept_s + step.sleep.took_s
        soak.note = f", memory {KEPT} in {cycles} cycles, {slept_s:.0f} s asleep"
