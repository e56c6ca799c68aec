# SPDX-License-Identifier: MIT
"""Linux is suspended while a core runs: the core works on, its memory stays, and the board wakes up.

`pytest --lg-env ... testcases/test_suspend.py --bench-soak 1000x` (or 2h) compares the core's memory at every
wake-up. Run on virtual boards only: nothing here has been on silicon. NOT-RUN where the kernel cannot
suspend, or no clock can wake the board up.
"""

import pytest

from mpbench.board.core_memory import CoreMemory
from mpbench.harness.configuration import configured, without_watchdog
from mpbench.recovery.firmware import MAILBOX, TAG, parameters, trace_da
from mpbench.suspend import predict
from mpbench.suspend.collect import ALARM_FIRST
from mpbench.suspend.facts import KEPT
from testcases.requirements import SUSPEND

pytestmark = SUSPEND

DEPLOYED = ("errno", "state", "beating", "identity")
ANSWER = ("errno", "entered", "woken_by", "refused_by", "state")
ALIVE = (*ANSWER, "crash", "boots", "beating", "identity")
WORKED = (*ALIVE, "worked", "memory")
"""Every field: a step in which one is not observed proves nothing."""

LATER = 0xABCD
"""In place of when the firmware is to fail, which the board's shell computes."""
CRASH_LATER = """
b=$(sed -n '2s/.* //p' "$trace"); later=$((0x4D420000 + 0x$b * 20 + 3500)); {command}
"""
"""The firmware, which beats every 20 ms, fails in 3.5 s: by then Linux sleeps, on a busy host too."""


@pytest.fixture
def running(bench, core, alive, loadable):
    """The firmware `alive` runs on the core; the image of it."""
    image = loadable(alive)
    bench.deploy(core, image, f"alive {core}").check(*DEPLOYED)
    return image


@pytest.fixture
def crashes_soon(bench, core, firmware, loadable):
    """Firmware runs that lets its watchdog expire; a command of the script after which it does."""
    watchdog = firmware.watchdogs.get(core, "")
    if why := without_watchdog(core, watchdog, bench.profile):
        pytest.skip(why)
    elf, board = firmware("starve", core), bench.board
    memory, mailbox = CoreMemory(board.session, board.remoteproc, core), trace_da(elf) + MAILBOX
    never = parameters(live_ms=0, failures=0)
    # A TEE clears memory behind a firewall, and closes it meanwhile: the image has the words.
    keeps = not bench.profile.core(core).firewalled
    if keeps:
        memory.write({mailbox + 4 * index: word for index, word in never.items()})
    image = loadable(configured(elf, core, watchdog, never))
    bench.deploy(core, image, f"starve {core}").check(*DEPLOYED)
    once = {mailbox + 4 * index: word for index, word in parameters(live_ms=LATER, failures=1).items()}
    yield CRASH_LATER.format(command=memory.command(once).replace(f"{TAG | LATER:#x}", "$later"))
    if keeps:
        memory.write({mailbox + 4 * index: word for index, word in never.items()})


def test_a_core_works_while_linux_sleeps(suspends, core, running):
    """Suspend to idle, and an alarm: the firmware counted on, its memory is as before, no boot, no crash."""
    step = suspends.sleep(core, predict.slept(f"alive {core}"), running, seconds=3)
    step.check(*WORKED)
    suspends.measure(core, step)


def test_a_core_that_slept_through_is_stopped_and_started(suspends, bench, core, running):
    """After the sleep it is a core like any other: it stops, and starts again."""
    suspends.sleep(core, predict.slept(f"alive {core}"), running).check(*WORKED)
    bench.stop(core)
    bench.deploy(core, running, f"alive {core}").check(*DEPLOYED)


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


def test_a_crash_while_linux_sleeps_is_recovered(suspends, bench, core, crashes_soon):
    """The watchdog expires in the sleep and does not wake the board; then the core is recovered.

    A firmware's count of its boots is not kept where a TEE clears its memory when it stops the core.
    """
    predicted = predict.crashed(f"starve {core}")
    step = suspends.sleep(core, predicted, name="a crash in the sleep", seconds=8, last=crashes_soon)
    step.check(*(field for field in ALIVE if field != "boots"))
    assert step.observed.boots >= (0 if bench.profile.core(core).firewalled else 1)


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
