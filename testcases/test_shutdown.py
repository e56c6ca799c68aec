# SPDX-License-Identifier: MIT
"""Linux asks a firmware to shut down before it stops its core, and stops it in any case.

Ref: Linux drivers/remoteproc/stm32_rproc.c stm32_rproc_stop(): mailbox "shutdown", 500 ms.
"""

from mpbench.recovery.parse import RECORD
from testcases.requirements import LIFECYCLE

pytestmark = LIFECYCLE

UNANSWERED = "remote FW shutdown without ack"
PATIENCE_US = 500_000
ASKED = "mpbench asks for a stop"


def stop(crashes, core):
    """Stop the core; what the kernel said then, and how long that took by its clock."""
    kmsg = crashes.bench.board.kmsg
    mark = kmsg.mark()
    state = crashes.bench.board.remoteproc.path(core, "state")
    crashes.board_shell(f"echo '<15>{ASKED}' >/dev/kmsg; echo stop >{state}")
    assert crashes.bench.state(core) == "offline"
    said = [(text, int(usec)) for _, usec, text in RECORD.findall(kmsg.since(mark).decode())]
    at_us = {text.rpartition(": ")[2]: usec for text, usec in said}
    return [text for text, _ in said], at_us[f"stopped remote processor {core}"] - at_us[ASKED]


def test_a_firmware_that_answers_is_stopped_without_a_warning(crashes, core):
    """A firmware that gives the mailbox back is stopped at once, and nobody complains."""
    crashes.start(core, "alive")
    said, _ = stop(crashes, core)
    assert [line for line in said if UNANSWERED in line] == []


def test_a_firmware_that_does_not_answer_is_stopped_half_a_second_later(crashes, core):
    """Without an answer the core is stopped all the same, after the time that Linux gives its firmware."""
    crashes.start(core, "slow-stop")
    said, took_us = stop(crashes, core)
    assert len([line for line in said if UNANSWERED in line]) == 1
    assert took_us >= PATIENCE_US


def test_a_crashed_firmware_is_not_asked(crashes, core):
    """In a recovery nobody waits for an answer of a core that is believed to be dead."""
    crashes.start(core, "slow-stop")
    kmsg = crashes.bench.board.kmsg
    mark = kmsg.mark()
    crashes.injected(core, 2).check("sequence", "commands", "state", "boots", "beating")
    assert UNANSWERED.encode() not in kmsg.since(mark)
