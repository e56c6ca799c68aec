# SPDX-License-Identifier: MIT
"""The firmware file changes before the crash: the TEE refuses it, and the core must not run."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.image.faults import apply
from mpbench.layout import Tee
from testcases.requirements import LIMITS
from testcases.test_recovery import ALL

pytestmark = [LIMITS, pytest.mark.usefixtures("signed")]  # not tried with plain ELF files


def stuck(crashes, core, reload):
    """Crash the core with `reload` as its file: it is refused, nothing runs, and only a power cycle helps."""
    crashes.start(core)
    crashes.replace(core, reload)
    step = crashes.failure(core, reload=reload)
    step.check(*ALL)
    assert step.observed.state == "offline"
    assert not step.observed.beating
    assert crashes.failed_recovery(core).is_stuck()
    crashes.power_cycle()
    crashes.start(core)
    crashes.bench.stop(core)
    return step


def test_tampered_file_is_refused_in_recovery(crashes, core):
    """One bit of the file is flipped before the crash: recovery authenticates again and refuses it."""
    step = stuck(crashes, core, apply("payload-first", crashes.image("starve", core)))
    assert step.observed.tee_code == Tee.SECURITY


def test_file_with_another_key_is_refused_in_recovery(crashes, core, firmware, signed):
    """The file is replaced by one that is signed with another key: recovery refuses it."""
    stranger = rsa.generate_private_key(65537, signed.key.key_size)
    step = stuck(crashes, core, signed(core, firmware("starve", core), key=stranger))
    assert step.observed.tee_code == Tee.SIGNATURE_INVALID


def test_removed_file_leaves_the_core_stopped(crashes, core):
    """The file was removed when the core crashes: Linux stops the core and starts nothing."""
    step = stuck(crashes, core, None)
    assert step.observed.sequence.endswith("missing")


def test_a_core_that_counts_as_started_is_no_later_tests_affair(crashes, core, firmware, loadable):
    """After a recovery that failed Linux starts nothing and says OK: the next deployment undoes it first."""
    crashes.start(core)
    crashes.replace(core, None)
    crashes.failure(core, reload=None).check("sequence", "state")
    crashes.bench.deploy(core, loadable(firmware("alive", core)), f"alive {core}").check(
        "errno", "state", "beating"
    )


def test_replaced_file_is_what_runs_after_the_crash(crashes, core):
    """Another firmware, signed with the board's key, is accepted in recovery and runs afterwards."""
    crashes.start(core)
    other = crashes.image("alive", core)
    crashes.replace(core, other)
    step = crashes.failure(core, reload=other)
    step.check(*(name for name in ALL if name != "identity"))
    assert step.observed.identity == f"alive {core}"
