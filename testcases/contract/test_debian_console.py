# SPDX-License-Identifier: MIT
"""The bench on a board without a network, with Debian's kernel: board cases over its serial console alone."""

import pytest

from mpbench_virtual.models import KINDS
from testcases.contract import labs
from testcases.contract.machine_parts import require_qemu

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

TARGET = labs.CHECKOUT / "targets/virtual-mp15-debian-console.yaml"


def test_board_cases_pass_over_the_serial_console(tmp_path):
    """Deploy, a refusal and crashes: every command, file and line of the kernel's log goes by UART."""
    require_qemu(KINDS["mp15-debian-console"])
    bench = labs.Bench(TARGET, tmp_path, {})
    done = bench.run("testcases/test_plain_elf.py", "-k", "elf_runs or signed or watchdog")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS" in done.stdout
