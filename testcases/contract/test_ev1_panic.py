# SPDX-License-Identifier: MIT
"""An EV1 whose OP-TEE panics after an illegal access, as by default, and what the bench says of it."""

import socket

import pytest

from mpbench.board.tee_panic import tee_panic_in
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import require_built
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

KIND = KINDS["mp25-panic"]


@pytest.fixture
def consoles(tmp_path, monkeypatch):
    """Linux' console at its login prompt, and the secure one."""
    require_built(KIND)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    found = boards.start(KIND.name, "board", quiet, lifeline=True)
    with (
        socket.create_connection((found.address, found.ports["console"])) as console,
        socket.create_connection((found.address, found.ports["secure"])) as secure,
    ):
        power(found, True)
        read_until(console, b" login: ")
        yield console, secure
    boards.stop(found)


@pytest.mark.parametrize(
    ("address", "report"),
    [
        (0x42020008, "IAC exception 92, RNG"),
        (0x80000000, "IAC exception 137, memory behind RISAF4 (DDR)"),
    ],
)
def test_op_tee_s_panic_is_told_from_a_dead_board(consoles, address, report):
    """Linux reaches for the RNG, and for the secure M33's memory: the report has panic and exception."""
    console, secure = consoles
    console.sendall(b"root\n")
    read_until(console, b"# ")
    console.sendall(f"devmem {address:#x}\n".encode())
    found = tee_panic_in(read_until(secure, b"Panic at core/drivers/firewall/stm32_iac.c:182"))
    assert found.stopped
    assert found.text == (
        "OP-TEE panicked at core/drivers/firewall/stm32_iac.c:182: the firewall refused an access: " + report
    )


def test_an_access_to_a_peripheral_in_reset_is_told_from_a_dead_board(consoles):
    """Linux holds USART1 in reset and reads it: SERC reports it, and OP-TEE panics by default."""
    console, secure = consoles
    console.sendall(b"root\n")
    read_until(console, b"# ")
    console.sendall(b"devmem 0x4420077c 32 1; devmem 0x40330000\n")
    found = tee_panic_in(read_until(secure, b"Panic at core/drivers/firewall/stm32_serc.c:187"))
    assert found.stopped
    assert found.text == (
        "OP-TEE panicked at core/drivers/firewall/stm32_serc.c:187: "
        "an access to a peripheral in reset or without a clock: SERC exception 31, USART1"
    )
