# SPDX-License-Identifier: MIT
"""Core dumps: made only when enabled, complete, and of the memory of the firmware that crashed."""

import re

import pytest

from mpbench.core.evidence import DUMP_SUMMARY
from testcases.requirements import COREDUMP

pytestmark = COREDUMP

WAIT_S = 20.0
RECOVERED = ("cause", "sequence", "commands", "state", "boots", "beating")


def test_no_dump_when_disabled(crashes, core):
    """With core dumps disabled, which is the default, a crash leaves no dump."""
    crashes.start(core)
    assert crashes.bench.board.remoteproc.attributes(core, "coredump") == {"coredump": "disabled"}
    crashes.failure(core).check(*RECOVERED)
    assert crashes.dumps() == 0


def test_dump_when_enabled(crashes, core):
    """With core dumps enabled, a crash leaves the memory of the firmware that crashed, its code unchanged."""
    crashes.start(core, "hardfault")
    crashes.enable_dumps(core)
    crashes.failure(core).check(*RECOVERED)
    step = crashes.take_dump(core, boot=1)
    step.check("segments", "unchanged", "vectors", "identity", "boot")
    words = step.evidence.get(DUMP_SUMMARY).decode()
    assert f"firmware hardfault {core}" in words
    assert re.search(r"log +fault 00000003", words), "the output of the fault handler is missing in the dump"
    assert crashes.dumps() == 0, "a dump that was read is still there"


def test_inline_dump_holds_the_recovery_until_it_is_read(crashes, core):
    """An inline dump is read from the core's memory: recovery waits until it was read, then continues."""
    crashes.start(core)
    crashes.enable_dumps(core, "inline")
    kmsg = crashes.bench.board.kmsg
    mark, steps = kmsg.mark(), []

    def crash_and_read():
        crashes.fail(core)
        assert kmsg.wait_for(re.compile(f"stopped remote processor {core}".encode()), mark, WAIT_S)
        assert crashes.bench.state(core) == "offline"
        steps.append(crashes.take_dump(core, boot=1))

    crashes.step(core, crashes.cause(core), crash_and_read).check(*RECOVERED)
    steps[0].check("segments", "unchanged", "vectors", "identity", "boot")
    assert crashes.dumps() == 0


def test_second_dump_is_discarded_while_one_waits(crashes, core):
    """Linux keeps one dump per core: that of the first crash, until it is read."""
    crashes.start(core)
    crashes.enable_dumps(core)
    crashes.failure(core).check(*RECOVERED)
    crashes.failure(core).check(*RECOVERED)
    assert crashes.dumps() == 1
    crashes.take_dump(core, boot=1).check("boot", "unchanged")
    crashes.failure(core).check(*RECOVERED)
    crashes.take_dump(core, boot=3).check("boot", "unchanged")


@pytest.mark.parametrize("word", ["enabled", "inline", "disabled"])
def test_dump_mode_of_a_crashed_core_is_fixed(crashes, core, word):
    """While a core is crashed, its dump cannot be configured: EBUSY."""
    crashes.start(core)
    crashes.write(core, "recovery", "disabled")
    crashes.failure(core, recovers=False).check("cause", "state")
    assert crashes.write(core, "coredump", word) == "EBUSY"
