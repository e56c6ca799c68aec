# SPDX-License-Identifier: MIT
"""The machine of an STM32MP257F-EV1 with upstream's U-Boot, which starts Linux from an SD card."""

import socket

import pytest

from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import require_built
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

KIND = KINDS["mp25-uboot"]
PROMPT = b"STM32MP> "


@pytest.fixture
def board(monkeypatch, tmp_path):
    """A board that is just switched on, and its console."""
    require_built(KIND)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    found = boards.start(KIND.name, "board", quiet, lifeline=True)
    with socket.create_connection((found.address, found.ports["console"])) as console:
        power(found, True)
        yield found, console
    boards.stop(found)


def test_u_boot_starts_linux_from_its_card(board):
    """Banner, model, memory and the card at U-Boot's prompt; then extlinux.conf, kernel and login."""
    found, console = board
    banner = read_until(console, b"Hit any key")
    assert b"U-Boot 2025.01" in banner
    assert b"Model: STMicroelectronics STM32MP257F-EV1" in banner
    assert b"DRAM:  1 GiB" in banner
    console.sendall(b" ")
    read_until(console, PROMPT)
    console.sendall(b"mmc info\n")
    card = read_until(console, PROMPT)
    assert b"Device: STM32 SD/MMC" in card
    assert b"Capacity: 64 MiB" in card
    console.sendall(b"boot\n")
    started = read_until(console, b" login: ")
    assert b"Retrieving file: /vmlinuz" in started
    execute = over_ssh(found)
    assert execute("cat /sys/class/remoteproc/*/name | sort").split() == ["m0", "m33"]
    assert execute("cat /proc/consoles").split()[0] == "ttySTM1"
    assert execute("dmesg").count("optee: initialized driver") == 1
