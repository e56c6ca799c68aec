# SPDX-License-Identifier: MIT
"""Linux' console on the machine of an STM32MP257F-EV1: USART6, with Linux' own driver."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attrs import evolve

from mpbench_virtual import boards
from mpbench_virtual.boards import StartedBoard
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.parts import build_parts
from mpbench_virtual.qemu import MONITOR, qmp
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import require_built
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

EV1 = KINDS["mp25"]
PROMPT = b":~# "


@contextmanager
def powered(monkeypatch, tmp_path, more: str = "") -> Iterator[tuple[StartedBoard, socket.socket]]:
    """A board that is just switched on, and its console; more: words for Linux' command line."""
    require_built(EV1)
    parts = build_parts(EV1.name, quiet)
    parts = evolve(parts, append=f"{parts.append} {more}".strip())
    monkeypatch.setattr(boards, "build_parts", lambda *_: parts)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = boards.start(EV1.name, "board", quiet, lifeline=True)
    try:
        with socket.create_connection((board.address, board.ports["console"])) as console:
            power(board, True)
            yield board, console
    finally:
        boards.stop(board)


def test_the_console_is_a_usart(monkeypatch, tmp_path):
    """stm32-usart has USART6 alone; a shell there prints all of a long output, in order; a break is SysRq."""
    with powered(monkeypatch, tmp_path) as (board, console):
        read_until(console, b" login: ")
        execute = over_ssh(board)
        assert execute("cd /sys/bus/platform/drivers/stm32-usart; ls -d *.serial") == "40220000.serial\n"
        assert execute("cat /proc/consoles").split()[0] == "ttySTM1"
        console.sendall(b"root\n")
        read_until(console, PROMPT)
        console.sendall(b"seq 1 5000\n")
        printed = read_until(console, PROMPT).split(b"\r\n")
        assert [int(line) for line in printed[1:-1]] == [*range(1, 5001)]
        qmp(board.directory / MONITOR, "chardev-send-break", id="console")
        console.sendall(b"h")
        read_until(console, b"sysrq: HELP :")


def test_linux_prints_there_from_the_first_line(monkeypatch, tmp_path):
    """earlycon, without an address: the device tree's stdout-path is Linux' console."""
    with powered(monkeypatch, tmp_path, "loglevel=7 earlycon") as (_, console):
        printed = read_until(console, rb"legacy console \[ttySTM1\] enabled")
    assert b"Booting Linux on physical CPU" in printed
    assert b"earlycon: stm32" in printed
