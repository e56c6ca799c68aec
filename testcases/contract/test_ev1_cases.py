# SPDX-License-Identifier: MIT
"""Board cases on the machine of an STM32MP257F-EV1: OP-TEE on its own platform loads the cores."""

import pytest

from testcases.contract import labs
from testcases.contract.test_ev1_board import parts

pytestmark = pytest.mark.slow

__all__ = ["parts"]
TARGET = labs.CHECKOUT / "targets/virtual-mp25-ev1.yaml"
CASES = "testcases/test_deploy.py", "testcases/test_recovery.py", "testcases/test_rpmsg.py"
FEW = "signed_firmware or watchdog_expiry or every_length"


def test_board_cases_pass_on_st_s_machine(parts, tmp_path):
    """A deployment, a crash by the core's own watchdog; on the M33 messages of every length."""
    assert parts
    bench = labs.Bench(TARGET, tmp_path, {})
    done = bench.run(*CASES, "-k", FEW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS" in done.stdout
