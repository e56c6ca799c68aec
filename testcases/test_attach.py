# SPDX-License-Identifier: MIT
"""A core that U-Boot started before Linux: it is found, attached, detached, stopped, and its crash handled.

Run on a virtual STM32MP157C-DK2 only: nothing here has been on silicon.
"""

import pytest

from mpbench.attach.predict import DEFAULT_FIRMWARE, UNKNOWN, expect, recovered
from mpbench.core import evidence
from mpbench.core.evidence import text_of
from mpbench.deployment.parse import beat
from testcases.elf_edit import rebuild
from testcases.requirements import ATTACH

pytestmark = ATTACH

ANSWER = ("errno", "state")
HEARD = (*ANSWER, "beating", "identity")
FATAL = 2
"""A crash of this kind, reported through debugfs. Ref: remoteproc_debugfs.c, rproc_crash_write()"""
RECOVERY_S = 20.0


def boot_number(step):
    """How often the firmware has started, by the trace buffer."""
    found = beat(text_of(step.evidence, evidence.TRACE_SECOND) or "")
    assert found, "no heartbeat in the trace buffer"
    return found[0]


def attach(bench, core):
    """Have Linux attach to a core that runs `alive`; the step, as predicted."""
    step = bench.command(core, "start", expect("detached", "start", f"alive {core}"))
    step.check(*HEARD)
    return step


@pytest.fixture
def attached(bench, core, alive, started_early):
    """The firmware `alive`, started by U-Boot, after Linux has attached; the step that did."""
    started_early(core, alive)
    return attach(bench, core)


def test_a_core_that_runs_is_found_and_attached(bench, core, alive, started_early):
    """Linux finds it `detached`, does not touch it, and on `start` attaches: its firmware beats on."""
    started_early(core, alive)
    assert bench.state(core) == "detached"
    step = attach(bench, core)
    assert step.observed.state == "attached"
    assert f"remote processor {core} is now attached" in text_of(step.evidence, evidence.KMSG)
    assert bench.board.remoteproc.attributes(core, "firmware")["firmware"] == UNKNOWN


def test_a_detached_core_runs_on(bench, core, attached):
    """It can be attached again, and its firmware has not been started a second time."""
    detached = bench.command(core, "detach", expect("attached", "detach", f"alive {core}"))
    detached.check(*HEARD)
    assert boot_number(attach(bench, core)) == boot_number(attached)


@pytest.mark.parametrize("word", ["stop", "detach"])
def test_a_detached_core_can_only_be_attached(bench, core, alive, started_early, word):
    """`stop` and `detach` are refused with EINVAL, and the core runs on."""
    started_early(core, alive)
    step = bench.command(core, word, expect("detached", word, f"alive {core}"))
    step.check(*ANSWER)
    assert (step.observed.errno, step.observed.state) == ("EINVAL", "detached")
    attach(bench, core)


@pytest.mark.usefixtures("attached")
def test_an_attached_core_is_stopped_and_started(bench, core, alive):
    """After `stop` it is a core like any other: Linux loads and starts it, and it can't be detached."""
    bench.command(core, "stop", expect("attached", "stop", f"alive {core}")).check(*ANSWER)
    step = bench.deploy(core, alive, f"alive {core}")
    step.check(*HEARD)
    assert step.observed.state == "running"
    step = bench.command(core, "detach", expect("running", "detach", f"alive {core}"))
    step.check(*ANSWER)
    assert (step.observed.errno, step.observed.state) == ("EINVAL", "running")


def test_firmware_without_a_table_cannot_be_attached(bench, core, alive, started_early):
    """The boot loader found no resource table: ENOENT, and the core runs on, detached."""
    started_early(core, rebuild(alive, with_table=False))
    step = bench.command(core, "start", expect("detached", "start", f"alive {core}", table=False))
    step.check(*ANSWER)
    assert (step.observed.errno, step.observed.state) == ("ENOENT", "detached")
    assert "can't load resource table: -2" in text_of(step.evidence, evidence.KMSG)


@pytest.mark.usefixtures("attached")
@pytest.mark.parametrize("file", ["slow-stop", None], ids=["with-a-file", "without-a-file"])
def test_a_crash_of_an_attached_core_needs_the_default_firmware(bench, core, firmware, file):
    """Linux has no image of it: it starts the default firmware's file, or leaves the core offline."""
    remoteproc = bench.board.remoteproc
    path = remoteproc.firmware_path(DEFAULT_FIRMWARE.format(core=core))
    if file:
        bench.board.session.put_bytes(firmware(file, core), path)
    else:
        bench.execute(f"rm -f {path}").checked(f"cannot remove {path}")
    predicted = recovered(f"alive {core}", f"{file} {core}" if file else None)

    def crash():
        answer = remoteproc.crash(core, FATAL, RECOVERY_S)
        remoteproc.await_state(core, predicted.state, RECOVERY_S)
        return answer

    step = bench.act(core, predicted, "crash of an attached core", crash)
    step.check(*HEARD)
    if file is None:
        assert "request_firmware failed: -2" in text_of(step.evidence, evidence.KMSG)
        bench.power_cycle()  # `start` counts a core that is offline as powered up, and does nothing
