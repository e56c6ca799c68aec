# SPDX-License-Identifier: MIT
"""`mpbench doctor` on a virtual board, as a user runs it."""

import subprocess

import pytest

from mpbench.commands import doctor_board
from testcases.contract import labs

pytestmark = pytest.mark.slow


def test_a_virtual_board_passes_all_checks():
    """All checks of host and board pass; the board ends with the command."""
    target = labs.CHECKOUT / "targets" / "virtual-mp25.yaml"
    command = [str(labs.program("mpbench")), "doctor", "--lg-env", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=labs.RUN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    for check in doctor_board.BoardCheck("").checks():
        assert f"  ok    {check.name}: " in done.stdout
    assert "m33 by TEE, m0 by TEE" in done.stdout
