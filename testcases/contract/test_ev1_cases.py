# SPDX-License-Identifier: MIT
"""Board cases on the machine of an STM32MP257F-EV1: OP-TEE on its own platform loads the cores."""

import pytest

from mpbench_virtual.models import MACHINE_KINDS
from testcases.contract import labs
from testcases.contract.machine_parts import require_qemu

pytestmark = pytest.mark.slow

TARGET = labs.CHECKOUT / "targets/virtual-mp25-ev1.yaml"
CASES = "testcases/test_deploy.py", "testcases/test_recovery.py", "testcases/test_rpmsg.py"
FEW = "signed_firmware or watchdog_expiry or every_length"


def test_board_cases_pass_on_st_s_machine(tmp_path):
    """A deployment, a crash by the core's own watchdog, messages of every length: on the M33 and the M0."""
    require_qemu(MACHINE_KINDS["mp25-ev1"])
    bench = labs.Bench(TARGET, tmp_path, {})
    done = bench.run(*CASES, "-k", FEW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS" in done.stdout
