# SPDX-License-Identifier: MIT
"""Predictions of a crash and of a core dump where Linux manages the core, without a board."""

import pytest
from attrs import evolve

from mpbench.core.compare import compare
from mpbench.core.errors import InvalidRun, UsageError
from mpbench.core.evidence import Evidence
from mpbench.core.shared_files import FIRMWARE
from mpbench.recovery import predict_linux
from mpbench.recovery.facts import INJECTED, NO_CRASH, WATCHDOG, RecoveryFacts
from mpbench.recovery.parse import lines, sequence
from mpbench.recovery.predict_coredump import dump
from mpbench.recovery.run import Crash
from mpbench.twin.profile import load_profile

PROFILE = load_profile("linux-mp15")
ELF = (FIRMWARE / "build/m4/starve.elf").read_bytes()
NAME = "starve m4"
UP = RecoveryFacts(
    "watchdog",
    1,
    "detected, handling, recovering, stopped, up",
    None,
    None,
    0,
    None,
    "running",
    1,
    True,
    NAME,
)


def crash(cause, **changed):
    """The prediction for `starve` on the M4."""
    return predict_linux.crash(PROFILE, "m4", ELF, cause, **({"identity": NAME, "reload": ELF} | changed))


def test_a_watchdog_crash_is_recovered():
    """The kernel's words in order; no command goes to a TEE, and the firmware boots once more."""
    assert crash(WATCHDOG) == UP


def test_a_missing_file_ends_the_recovery():
    """The core stays offline."""
    found = crash(INJECTED[2], reload=None)
    assert (found.cause, found.interrupts) == ("fatal error", 0)
    assert found.sequence == "detected, handling, recovering, stopped, missing"
    assert (found.state, found.boots, found.beating) == ("offline", 0, False)


@pytest.mark.parametrize(("cause", "beating"), [(WATCHDOG, False), (INJECTED[0], True)])
def test_without_recovery_the_core_stays_crashed(cause, beating):
    """An expired watchdog holds it; of a report through debugfs the firmware knows nothing."""
    found = crash(cause, recovers=False)
    assert (found.sequence, found.state, found.boots) == ("detected, handling", "crashed", 0)
    assert found.beating is beating


def test_another_file_is_not_predicted():
    """Linux does not check the ELF again: what it makes of one is left open."""
    assert crash(WATCHDOG, reload=ELF[:100]) == RecoveryFacts("watchdog", 1)


def test_a_recovery_alone_has_no_words_of_a_crash():
    """Of a core that crashed in an earlier step."""
    found = predict_linux.recovery(NO_CRASH, identity=NAME, image=ELF, reload=ELF)
    assert (found.cause, found.sequence) == ("", "recovering, stopped, up")


def test_an_image_that_linux_refuses_is_no_basis():
    """For a crash and for a dump: the caller is wrong."""
    with pytest.raises(UsageError, match="m4 would not run this image: Image is too small"):
        predict_linux.crash(PROFILE, "m4", b"", WATCHDOG, identity=NAME, reload=ELF)
    with pytest.raises(UsageError, match="m4 would not run this image: Image is too small"):
        dump(PROFILE, "m4", b"", identity=NAME, boot=1)


def test_a_dump_has_every_carve_out_and_the_vectors():
    """In the order of the device tree, without the buffer of virtio; the vectors at the M4's own address."""
    found = dump(PROFILE, "m4", ELF, identity=NAME, boot=1)
    assert found.segments.split() == [
        "0x0+0x10000", "0x30000000+0x40000", "0x10000000+0x40000", "0x10040000+0x1000", "0x10041000+0x1000"
    ]  # fmt: skip
    assert found.vectors.startswith("0x0: 0x1")
    kept = [line.partition(":")[0] for line in found.unchanged.split()]
    assert kept[-1] == "0x0+0x40", "its vectors are in memory of their own"
    assert kept[0].startswith("0x10000")


def test_a_check_does_not_ask_for_what_the_board_lacks():
    """Commands to a TEE that is not there are undecided, and that is no fault; other fields are asked for."""
    predicted = crash(WATCHDOG)
    step = Crash(
        "crash", "m4", predicted, predicted, compare(predicted, predicted), Evidence(()), 0,
        absent=predict_linux.ABSENT,
    )  # fmt: skip
    step.check("cause", "commands", "ta_states", "state")
    with pytest.raises(InvalidRun, match="crash on m4: not observed: commands"):
        evolve(step, absent=()).check("commands")


REPORTED_LATE = """\
3,533,176836368,-;remoteproc remoteproc0: handling crash #10 in m4
3,534,176841700,-;remoteproc remoteproc0: recovering m4
6,535,176842389,-;remoteproc remoteproc0: stopped remote processor m4
3,536,176843626,-;remoteproc remoteproc0: crash detected in m4: type unknown
6,537,176938890,-;remoteproc remoteproc0: remote processor m4 is now up
"""
REPORTED = """\
3,633,190836368,-;remoteproc remoteproc0: crash detected in m4: type watchdog
3,634,190841700,-;remoteproc remoteproc0: handling crash #11 in m4
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (REPORTED_LATE, UP.sequence),
        (REPORTED_LATE + REPORTED, f"{UP.sequence}, detected, handling"),
        (REPORTED + REPORTED_LATE, f"detected, handling, {UP.sequence}"),
        (REPORTED_LATE * 2, f"{UP.sequence}, {UP.sequence}"),
        (REPORTED_LATE[: REPORTED_LATE.index("3,536")], "handling, recovering, stopped"),
    ],
)
def test_a_report_that_is_printed_late_belongs_to_its_crash(log, words):
    """Linux 6.12.117 prints it when another CPU may have handled the crash; none is not replaced."""
    assert ", ".join(sequence(lines(log, "m4"))) == words
