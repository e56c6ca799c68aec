# SPDX-License-Identifier: MIT
"""Faults 15 to 18: a write that never returns, a recovery storm, dead firmware, a dump that is not read.

On a virtual board of their own. Each time: the verdict is the right one or none, in bounded time; nothing is
left behind here or there; the board is as good as before.
"""

import random
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from labgrid import Environment

from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench.recovery.collect_trace import unfinished
from mpbench.recovery.fixture import BEATS_CHECKED, Crashes
from testcases.crash_rig import crashes_on, opened, recorder

pytestmark = pytest.mark.slow

FAILING = ("starve", "hardfault", "lockup", "stack-overflow")
WAIT_S = 120.0
PATIENT_S = 120.0
"""A dump of 8 MB takes ten seconds and more on a very busy host."""
SLACK_S = 30.0
"""On a busy host: from a deadline until the thread that waited for it runs again."""


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """A virtual board with its session and a recorder of recoveries; `Crashes` are made on it per test."""
    target = Environment(str(CHECKOUT / "targets/virtual-mp25.yaml")).get_target("main")
    with opened(target) as found, recorder(found) as trace:
        yield target, found, trace
    target.get_strategy().transition("off")
    target.cleanup()


@pytest.fixture
def crashes(board: Any) -> Iterator[Crashes]:
    """Crashes on the board; afterwards it is as before: cores off, no dump, no process of the bench."""
    with crashes_on(*board) as made:
        yield made
    found = made.bench.board
    assert made.dumps() == 0
    no_writer_left(found.session)
    for core in ("m33", "m0"):
        assert made.bench.state(core) == "offline"
        assert found.remoteproc.attributes(core, "recovery", "coredump") == {
            "recovery": "enabled",
            "coredump": "disabled",
        }


def no_writer_left(session: Any) -> None:
    """No `dd` is left but the kernel log's; one that was killed may take a moment to go."""
    others = 'for p in $(pidof dd); do grep -qa kmsg /proc/$p/cmdline || echo "$p"; done'
    deadline = time.monotonic() + WAIT_S
    while left := session.execute(others).stdout.split():
        assert time.monotonic() < deadline, f"processes that still write: {left}"


@pytest.fixture
def core(chance: random.Random) -> str:
    """One of the cores."""
    return chance.choice(["m33", "m0"])


@pytest.fixture
def kept() -> str:
    """The core whose memory OP-TEE does not clear as it stops it: its dump has what the firmware wrote."""
    return "m0"


def hold_recovery(crashes: Crashes, core: str, chance: random.Random) -> None:
    """Crash a core so that its recovery waits, with the core's lock held, for a reader of its dump."""
    crashes.start(core)
    assert crashes.write(core, "coredump", "inline") == "OK"
    kmsg: Any = crashes.bench.board.kmsg
    mark = kmsg.mark()
    chance.choice([lambda: crashes.fail(core), lambda: crashes.inject(core, chance.randrange(4))])()
    assert kmsg.wait_for(re.compile(f"stopped remote processor {core}".encode()), mark, WAIT_S)


def test_15_a_sysfs_write_that_never_returns(crashes: Crashes, kept: str, chance: random.Random) -> None:
    """A write that hangs is an InfrastructureError at its deadline; other commands continue during it."""
    hold_recovery(crashes, kept, chance)
    session: Any = crashes.bench.board.session
    word, deadline_s, answers = chance.choice(["stop", "start"]), chance.uniform(0.3, 2.0), []
    ended = threading.Event()

    def other_work() -> None:
        while not ended.is_set():
            answers.append(session.read("/proc/uptime"))

    worker = threading.Thread(target=other_work, name="other-work")
    worker.start()
    start_s = time.monotonic()
    try:
        with pytest.raises(InfrastructureError, match="timeout after"):
            crashes.write(kept, "state", word, deadline_s)
        took_s = time.monotonic() - start_s
    finally:
        ended.set()
        worker.join()
    assert deadline_s <= took_s <= deadline_s * 1.1 + SLACK_S
    assert answers
    assert all(isinstance(answer, bytes) for answer in answers)
    crashes.take_dump(kept, boot=1).check("segments", "unchanged")
    remoteproc: Any = crashes.bench.board.remoteproc
    assert remoteproc.await_state(kept, "running", WAIT_S) == "running"


def test_15_a_recovery_that_is_held_has_its_end_recorded(
    crashes: Crashes, kept: str, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder waits for the end of a recovery, however late it is, without blocking other commands."""
    monkeypatch.setattr("mpbench.recovery.collect_trace.HANDLER_S", PATIENT_S)
    hold_recovery(crashes, kept, chance)
    recorded: list[bytes] = []
    reader = threading.Thread(target=lambda: recorded.append(crashes.trace.take() or b""), name="reader")
    reader.start()
    crashes.take_dump(kept, boot=1).check("segments", "unchanged")
    reader.join(2 * PATIENT_S)
    assert [unfinished(trace) for trace in recorded] == [frozenset()]
    assert b"workqueue_execute_end" in recorded[0]


def test_16_a_recovery_storm(crashes: Crashes, core: str, chance: random.Random) -> None:
    """Firmware that fails after every boot is recovered at most `bound` times; the verdict is a storm."""
    bound = chance.randint(2, 4)
    crashes.start(core, chance.choice(FAILING))
    crashes.fail_always(core)
    with pytest.raises(
        BoardFailure, match=f"recovery storm: {core} crashed {bound} times, the bound is {bound}"
    ):
        crashes.count_crashes(core, bound, quiet_s=WAIT_S)
    remoteproc: Any = crashes.bench.board.remoteproc
    assert remoteproc.await_state(core, "crashed", WAIT_S) == "crashed"
    assert remoteproc.attributes(core, "recovery") == {"recovery": "disabled"}
    assert bound <= crashes.count_crashes(core, bound + 2, quiet_s=1) <= bound + 1


def test_17_recovered_but_dead(crashes: Crashes, core: str, chance: random.Random) -> None:
    """After any number of good recoveries, one into firmware whose heartbeat stops is found.

    The firmware still kicks its watchdog, and Linux reports "running".
    """
    beats = chance.choice([0, 1, chance.randint(2, BEATS_CHECKED - 1)])
    crashes.start(core, chance.choice(FAILING), beats=None)
    for _ in range(chance.randint(0, 2)):
        crashes.watchdog(core).check("state", "boots", "beating")
    mute = crashes.image("mute", core, beats=beats)
    crashes.replace(core, mute)
    step: Any = crashes.watchdog(core, reload=mute)
    assert step.observed.state == "running"
    if beats == 0:
        with pytest.raises(BoardFailure, match="beating was predicted True, the board showed False"):
            step.check("beating")
    with pytest.raises(BoardFailure, match=f"{core}: the heartbeat stopped at beat {beats} of boot"):
        crashes.check_heartbeat(core)
    assert crashes.bench.state(core) == "running"


def test_18_an_inline_dump_that_is_not_read(crashes: Crashes, kept: str, chance: random.Random) -> None:
    """A recovery never waits for a reader forever: the dump is read, or dropped at the end."""
    hold_recovery(crashes, kept, chance)
    assert crashes.bench.state(kept) == "offline"
    assert crashes.dumps() == 1
    if chance.random() < 0.5:
        crashes.take_dump(kept, boot=1).check("segments", "unchanged", "vectors", "identity", "boot")
        remoteproc: Any = crashes.bench.board.remoteproc
        assert remoteproc.await_state(kept, "running", WAIT_S) == "running"
        assert crashes.is_beating(kept)
    else:
        crashes.restore()
        assert crashes.bench.state(kept) == "offline"
    assert crashes.dumps() == 0
