# SPDX-License-Identifier: MIT
"""Firmware that fails on purpose, on every core: how the failure is detected and what evidence remains.

The board's clock runs eight times as fast here; these tests measure no time.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench_virtual.coprocessor import SLOT
from mpbench_virtual.memory import SharedRam
from testcases.unit.coprocessor_rig import CORES, Rig, code

LIVE_MS, FAILURES, BEATS = 0, 1, 2
SHUTDOWN = 1 << 2


@pytest.fixture(params=sorted(CORES))
def rig(request: pytest.FixtureRequest, ram: SharedRam) -> Iterator[Rig]:
    rig = Rig(CORES[request.param], ram, speed=8)
    rig.coprocessor.start()
    yield rig
    rig.coprocessor.stop()
    assert rig.coprocessor.failure is None


def start(rig: Rig, built: Path, name: str) -> None:
    rig.load(built / rig.core.name / f"{name}.elf")
    rig.release()


@pytest.mark.parametrize("name", ["starve", "hardfault", "lockup", "stack-overflow"])
def test_linux_learns_of_a_failing_firmware_by_its_watchdog_alone(rig: Rig, built: Path, name: str) -> None:
    """It runs, fails, and the SoC's watchdog raises the line once; the core is held until it is stopped."""
    rig.parameter(LIVE_MS, 60)
    start(rig, built, name)
    rig.until(lambda: rig.levels == [True])
    assert rig.trace()[0] == f"mpbench {name} {rig.core.name} 1"
    assert "fails now" in rig.trace()
    assert rig.logged(f"{rig.core.watchdog.name} expired, core held in reset")
    still = rig.trace()
    served = rig.word(SLOT.BEAT)
    rig.until(lambda: rig.word(SLOT.BEAT) > served + 20)
    assert (rig.trace(), rig.word(SLOT.ACK)) == (still, 1)
    rig.hold()
    assert rig.levels == [True, False]


@pytest.mark.parametrize("name", ["alive", "starve", "hardfault"])
def test_firmware_without_a_watchdog_touches_none(rig: Rig, built: Path, name: str) -> None:
    """As built, firmware starts no watchdog: where a firewall guards it, an access would end the board."""
    rig.parameter(LIVE_MS, 60)
    rig.load(built / rig.core.name / f"{name}.elf", watchdog="")
    rig.release()
    if name == "hardfault":
        rig.until(lambda: "fault 00000003" in rig.trace())
        served = rig.word(SLOT.BEAT)
        rig.until(lambda: rig.word(SLOT.BEAT) > served + 200)
    else:
        rig.until(lambda: rig.beat() > 100)
    assert rig.levels == []
    assert [line for line in rig.lines if "refused" in line] == []


def test_starve_beats_until_its_watchdog_expires(rig: Rig, built: Path) -> None:
    """A firmware that only fails to refresh its watchdog has a heartbeat until it is reset."""
    rig.parameter(LIVE_MS, 60)
    start(rig, built, "starve")
    rig.until(lambda: rig.levels == [True])
    assert rig.beat() > 3 + 3


def test_a_hard_fault_leaves_its_cause_in_the_trace(rig: Rig, built: Path) -> None:
    """The firmware's own handler logs exception and address; the emulator reports nothing to Linux."""
    rig.parameter(LIVE_MS, 0)
    start(rig, built, "hardfault")
    rig.until(lambda: "fault 00000003" in rig.trace())
    rig.until(lambda: re.fullmatch(r"pc [0-9a-f]{8}", rig.trace()[-1]))  # the core writes it byte by byte
    pc = int(rig.trace()[-1].removeprefix("pc "), 16)
    assert rig.logged(f"fault at pc 0x{pc:08x}")
    assert not rig.logged("lockup")


def test_a_stack_overflow_faults_and_never_runs_through_code(rig: Rig, built: Path) -> None:
    """M33: stack limit. M4: end of its memory. M0: its vectors are overwritten, hence lockup."""
    rig.parameter(LIVE_MS, 0)
    start(rig, built, "stack-overflow")
    rig.until(lambda: rig.levels == [True])
    handled = "fault 00000003" in rig.trace()
    assert (handled, rig.logged("lockup")) == ((False, True) if rig.core.name == "m0" else (True, False))


def test_a_lockup_without_a_fault_is_still_found(rig: Rig, built: Path) -> None:
    """An endless loop causes no fault: only the watchdog detects it."""
    rig.parameter(LIVE_MS, 0)
    start(rig, built, "lockup")
    rig.until(lambda: rig.levels == [True])
    assert not rig.logged("fault")


def test_mute_runs_without_a_beat_and_keeps_its_watchdog_quiet(rig: Rig, built: Path) -> None:
    """A core can run as far as Linux and its watchdog can see, and have no heartbeat."""
    start(rig, built, "mute")
    rig.until(lambda: rig.trace()[0] == f"mpbench mute {rig.core.name} 1")
    served = rig.word(SLOT.BEAT)
    rig.until(lambda: rig.word(SLOT.BEAT) > served + 200)
    assert (rig.beat(), rig.levels, rig.word(SLOT.ACK)) == (0, [], 1)


def test_mute_beats_as_often_as_its_mailbox_says_and_refreshes_on(rig: Rig, built: Path) -> None:
    """A heartbeat that stops while the watchdog is refreshed: only a count of its beats detects it."""
    rig.parameter(BEATS, 3)
    start(rig, built, "mute")
    rig.until(lambda: rig.beat() == 3)
    served = rig.word(SLOT.BEAT)
    rig.until(lambda: rig.word(SLOT.BEAT) > served + 200)
    assert (rig.beat(), rig.levels, rig.word(SLOT.ACK)) == (3, [], 1)


def test_alive_answers_a_shutdown_and_slow_stop_does_not(rig: Rig, built: Path) -> None:
    """Linux's mailbox "shutdown" is freed by alive and stays occupied with slow-stop."""
    start(rig, built, "alive")
    rig.until(lambda: rig.beat() > 1)
    rig.ram.set_word(rig.core.slot_pa + SLOT.IPCC, SHUTDOWN | 1)
    rig.until(lambda: rig.word(SLOT.IPCC) == 1)
    rig.until(lambda: rig.trace()[-1] == "shutdown")
    rig.hold()
    start(rig, built, "slow-stop")
    rig.ram.set_word(rig.core.slot_pa + SLOT.IPCC, SHUTDOWN)
    rig.until(lambda: "slow-stop" in rig.trace()[0] and rig.beat() > 10)
    assert rig.word(SLOT.IPCC) == SHUTDOWN


def test_a_firmware_fails_as_often_as_its_mailbox_says_and_then_runs(rig: Rig, built: Path) -> None:
    """With one failure ordered, the firmware runs normally after the recovery; its boot counter is 2."""
    rig.parameter(LIVE_MS, 40)
    rig.parameter(FAILURES, 1)
    start(rig, built, "starve")
    rig.until(lambda: rig.levels == [True])
    rig.hold()
    start(rig, built, "starve")
    rig.until(lambda: rig.boot() == 2 and rig.beat() > 30)
    assert rig.levels == [True, False]
    assert "fails now" not in rig.trace()


def test_a_failure_can_be_ordered_while_the_firmware_runs(rig: Rig, built: Path) -> None:
    """With no failure left the heartbeat continues; it fails when the word is raised from outside."""
    rig.parameter(LIVE_MS, 0)
    rig.parameter(FAILURES, 0)
    start(rig, built, "starve")
    rig.until(lambda: rig.beat() > 30)
    assert rig.levels == []
    rig.parameter(FAILURES, 1)
    rig.until(lambda: rig.levels == [True])
    assert rig.trace()[-1] == "fails now"


def test_an_untagged_mailbox_word_is_no_parameter(m33: Rig, built: Path) -> None:
    """Without the tag, a word changes neither the time until a failure nor their number."""
    ipc_pa = m33.core.region("ipc").pa
    for word in (LIVE_MS, FAILURES):
        m33.ram.set_word(ipc_pa + 0x1000 + 4 * word, 0)
    start(m33, built, "hardfault")
    m33.until(lambda: "fails now" in m33.trace())
    assert m33.beat() == 25


def test_a_core_that_fails_does_not_affect_the_other_one(ram: SharedRam, built: Path) -> None:
    """m33 and m0 run at once; when one crashes the other's heartbeat continues and only one line rises."""
    rigs = [Rig(CORES["m33"], ram, speed=4), Rig(CORES["m0"], ram, speed=4)]
    for rig, name in zip(rigs, ("lockup", "alive"), strict=True):
        rig.coprocessor.start()
        start(rig, built, name)
    dead, alive = rigs
    dead.until(lambda: dead.levels == [True])
    before = alive.beat()
    alive.until(lambda: alive.beat() > before + 5)
    for rig in rigs:
        rig.coprocessor.stop()
    assert (dead.levels, alive.levels) == ([True, False], [])


def test_a_refused_register_access_is_reported(m33: Rig) -> None:
    """A write to a locked register of the watchdog changes nothing and leaves a line in the evidence."""
    code(
        m33,
        *(0x4804, 0x4905, 0x6001),  # RCC_IWDG3CFGR = 2
        *(0x4805, 0x2103, 0x6041),  # IWDG_PR = 3, without the key
        *(0x6841, 0xE7FE, 0x0000, 0x0000),  # read it back
        *(0x0890, 0x4420, 0x0002, 0x0000, 0x0000, 0x4403),
    )
    m33.release()
    m33.until(lambda: m33.logged("iwdg3: write of 0x3 to PR refused: the registers are locked"))
    m33.hold()
