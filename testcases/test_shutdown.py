# SPDX-License-Identifier: MIT
"""Linux asks firmware to shut down before it stops the core, and then stops it in any case.

Ref: Linux drivers/remoteproc/stm32_rproc.c stm32_rproc_stop(): mailbox "shutdown", 500 ms.
"""

import pytest

from mpbench.recovery.parse import RECORD
from testcases.requirements import LIFECYCLE

pytestmark = LIFECYCLE

UNANSWERED = "remote FW shutdown without ack"
PATIENCE_US = 500_000
ASKED = "mpbench asks for a stop"


@pytest.fixture(autouse=True)
def asked(bench, core):
    """Skip the test where Linux has no mailbox to ask by, as a node of ST or of the virtual boards has it."""
    node = bench.board.remoteproc.path(core, "device/of_node")
    names, own = (bench.read(f"{node}/{name}") for name in ("mbox-names", "mpbench,mailbox"))
    if isinstance(own, str) and (isinstance(names, str) or b"shutdown" not in names.split(b"\0")):
        pytest.skip(f'{core}: Linux\' device tree gives it no mailbox "shutdown": no firmware is asked')


@pytest.fixture
def deployed(bench, core, firmware, loadable):
    """`deployed(name)` starts that firmware of the bench on the core."""

    def start(name):
        step = bench.deploy(core, loadable(firmware(name, core)), f"{name} {core}")
        step.check("errno", "state", "beating")
        assert step.observed.beating

    return start


def stop(bench, core):
    """Stop the core; lines of the kernel log, and the microseconds from the request to the stop."""
    kmsg = bench.board.kmsg
    mark = kmsg.mark()
    state = bench.board.remoteproc.path(core, "state")
    bench.execute(f"echo '<15>{ASKED}' >/dev/kmsg; echo stop >{state}")
    assert bench.state(core) == "offline"
    lines = [(text, int(usec)) for _, usec, text in RECORD.findall(kmsg.since(mark).decode())]
    at_us = {text.rpartition(": ")[2]: usec for text, usec in lines}
    return [text for text, _ in lines], at_us[f"stopped remote processor {core}"] - at_us[ASKED]


def test_a_firmware_that_answers_is_stopped_without_a_warning(bench, core, deployed):
    """A firmware that acknowledges through the mailbox is stopped without a warning."""
    deployed("alive")
    lines, _ = stop(bench, core)
    assert [line for line in lines if UNANSWERED in line] == []


def test_a_firmware_that_does_not_answer_is_stopped_half_a_second_later(bench, core, deployed):
    """Without an acknowledgement the core is stopped after 500 ms, with one warning."""
    deployed("slow-stop")
    lines, took_us = stop(bench, core)
    assert len([line for line in lines if UNANSWERED in line]) == 1
    assert took_us >= PATIENCE_US


def test_a_crashed_firmware_is_not_asked(crashes, core):
    """In a recovery Linux does not wait for an acknowledgement of the crashed core."""
    crashes.start(core, "slow-stop")
    kmsg = crashes.bench.board.kmsg
    mark = kmsg.mark()
    crashes.injected(core, 2).check("sequence", "commands", "state", "boots", "beating")
    assert UNANSWERED.encode() not in kmsg.since(mark)
