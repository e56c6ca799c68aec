# SPDX-License-Identifier: MIT
"""Debian's kernel on the machine of an STM32MP157C-DK2 with device trees of two other boards."""

import hashlib
import socket

import pytest

from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import UNPACKED_S, parts_of, recorded_sums
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_machine_board import M4, TRACE, await_line, start
from testcases.contract.test_virtual_board import read_until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

MODELS = {
    "mp15-debian-ev1": "STMicroelectronics STM32MP157C eval daughter on eval mother",
    "mp15-debian-tac": "Linux Automation Test Automation Controller (TAC) Gen 2",
}


@pytest.mark.parametrize("name", MODELS)
def test_linux_runs_with_the_tree_of_another_board(name, tmp_path, monkeypatch):
    """The tree is the package's own; Linux comes to its login, and runs a firmware on the M4."""
    kind = KINDS[name]
    kernel = parts_of(kind)["debian-kernel"]
    release = (kernel / "release").read_text().strip()
    digest = hashlib.md5((kernel / kind.device_tree).read_bytes()).hexdigest()
    assert digest == recorded_sums(kernel)[f"usr/lib/linux-image-{release}/{kind.device_tree}"]

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = boards.start(name, "board", quiet, lifeline=True)
    try:
        with socket.create_connection((board.address, board.ports["console"])) as console:
            power(board, True)
            read_until(console, b" login: ", UNPACKED_S)
        execute = over_ssh(board)
        assert execute("cat /proc/device-tree/model").rstrip("\0 ") == MODELS[name]
        assert execute(f"nproc; cat {M4}/name {M4}/state") == "2\nm4\noffline\n"
        assert "regulators" in execute("ls /sys/bus/platform/drivers/stpmic1-regulator")
        start(execute, "alive")
        await_line(execute, f"cat {TRACE}", "beat")
        execute(f"echo stop >{M4}/state")
        log = execute(f"cat {M4}/state; dmesg")
        assert log.startswith("offline\n")
        assert "shutdown without ack" not in log
    finally:
        boards.stop(board)
