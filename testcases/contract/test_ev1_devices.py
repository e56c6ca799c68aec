# SPDX-License-Identifier: MIT
"""Devices of the machine of an STM32MP257F-EV1 that ST's OP-TEE asks for, by registers (QEMU's qtest)."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

from testcases.contract.machine_parts import command
from testcases.contract.registers import Registers, asked
from testcases.contract.test_ev1_board import EV1, parts

pytestmark = pytest.mark.slow

__all__ = ["parts"]

HASH, PWR, SYSCFG, BSEC, I2C7 = 0x42010000, 0x44210000, 0x44230000, 0x44000000, 0x40180000
I2CS = 0x40120000, 0x40130000, 0x40140000, 0x40150000, 0x40160000, 0x40170000, 0x46040000
"""I2C1 to 6, I2C8."""
IWDG1 = 0x44010000
CR, DIN, STR, SR, CSR0, HR0 = (HASH + at for at in (0, 4, 8, 0x24, 0xF8, 0x310))
INIT, HMAC_MODE, SHA256, DCAL, DCIS = 1 << 2, 1 << 6, 3 << 17, 1 << 8, 1 << 1
MESSAGE, KEY = bytes(range(199)), b"a key of 17 bytes"


class Hash(Registers):
    """The machine with its HASH."""

    def feed(self, data: bytes) -> None:
        for at in range(0, len(data), 4):
            self.write(DIN, int.from_bytes(data[at : at + 4].ljust(4, b"\0"), "little"))

    def end(self, data: bytes) -> None:
        self.feed(data)
        self.write(STR, DCAL | 8 * (len(data) % 4))

    def digest(self) -> bytes:
        assert self.read(SR) & DCIS
        return b"".join(self.read(HR0 + 4 * n).to_bytes(4, "big") for n in range(8))


@pytest.fixture
def machine(parts: dict[str, Path]) -> Iterator[Hash]:
    """The machine at reset."""
    words = "-bios", parts["ev1-fip"] / "fip.bin", "-kernel", parts["linux"] / "kernel"
    tree = "-dtb", parts["ev1-device-tree"] / EV1.device_tree
    with asked(command(parts, EV1, *words, *tree)) as ask:
        yield Hash(ask)


def test_a_digest_goes_on_from_a_saved_context(machine: Hash) -> None:
    """SHA-256 of a message in two parts, with that of another one between them."""
    machine.write(CR, SHA256 | INIT)
    machine.feed(MESSAGE[:128])
    saved = machine.read(CSR0)
    machine.write(CR, SHA256 | INIT)
    machine.end(KEY)
    assert machine.digest() == hashlib.sha256(KEY).digest()
    machine.write(CR, SHA256 | INIT)
    machine.write(CSR0, saved)
    machine.end(MESSAGE[128:])
    assert machine.digest() == hashlib.sha256(MESSAGE).digest()


def test_an_hmac_takes_its_key_before_and_after_the_message(machine: Hash) -> None:
    """HMAC-SHA-256."""
    machine.write(CR, SHA256 | HMAC_MODE | INIT)
    for part in (KEY, MESSAGE, KEY):
        machine.end(part)
    assert machine.digest() == hmac.digest(KEY, MESSAGE, "sha256")


def test_supplies_and_compensation_cells_are_ready_once_enabled(machine: Hash) -> None:
    """PWR_CR1 shows what is monitored as ready; a cell of SYSCFG is ready while it is enabled."""
    machine.write(PWR, 0b101)
    assert machine.read(PWR) == 0b101 << 16 | 0b101
    cell = SYSCFG + 0x4020
    machine.write(cell, 1 << 8)
    assert machine.read(cell + 4) == 1 << 8
    machine.write(cell, 0)
    assert machine.read(cell + 4) == 0


def test_fuses_identify_a_closed_chip(machine: Hash) -> None:
    """BSEC: version 1.0, its id, state closed, reset operations done."""
    assert [machine.read(BSEC + at) for at in (0xFF4, 0xFF8, 0xE40, 0xE44)] == [
        0x10,
        0x100033,
        0x34000002,
        0x12,
    ]


def test_the_pmic_is_an_stpmic25(machine: Hash) -> None:
    """PRODUCT_ID over I2C7: register 0 of the chip at 0x33."""
    cr2, isr, rxdr, txdr = (I2C7 + at for at in (0x04, 0x18, 0x24, 0x28))
    machine.write(I2C7, 1)
    one_byte = 1 << 16 | 1 << 13 | 0x33 << 1
    machine.write(cr2, one_byte)
    machine.write(txdr, 0)
    machine.write(cr2, one_byte | 1 << 10 | 1 << 25)
    assert machine.read(isr) & 1 << 2
    assert machine.read(rxdr) == 0x20


@pytest.mark.parametrize("base", I2CS)
def test_nobody_answers_on_another_i2c(machine: Hash, base: int) -> None:
    """I2C1 to 6 and 8: NACKF and STOPF after a start, as without a chip at that address."""
    machine.write(base, 1)
    machine.write(base + 0x04, 1 << 25 | 1 << 16 | 1 << 13 | 0x33 << 1)
    assert machine.read(base + 0x18) & 0b110000 == 0b110000


@pytest.mark.parametrize(("started", "updating"), [(False, 0b010), (True, 0)], ids=["stopped", "running"])
def test_a_watchdog_that_does_not_run_takes_no_value(machine: Hash, started: bool, updating: int) -> None:
    """IWDG1_SR.RVU stays until it is started: OP-TEE's driver knows by it whether a boot loader has done so.

    Ref: OP-TEE core/drivers/stm32_iwdg.c, iwdg_wdt_get_version_and_status()
    """
    if started:
        machine.write(IWDG1, 0xCCCC)
    machine.write(IWDG1, 0x5555)
    machine.write(IWDG1 + 0x8, 0xFFF)
    assert machine.read(IWDG1 + 0xC) & 0b111 == 0b010
    machine.step(50_000_000)
    assert machine.read(IWDG1 + 0xC) & 0b111 == updating
