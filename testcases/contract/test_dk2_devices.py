# SPDX-License-Identifier: MIT
"""Devices of an STM32MP157C-DK2 that firmware of an M4 asks for, by registers (QEMU's qtest)."""

import binascii
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import command, parts_of
from testcases.contract.registers import Registers, asked

pytestmark = pytest.mark.slow

DK2 = KINDS["mp15-debian"]
CRCS = 0x58009000, 0x4C004000
"""CRC1, of the Cortex-A7, and CRC2, of the Cortex-M4."""
DR, CR, INIT, POL = 0x00, 0x08, 0x10, 0x14
RESET, REV_IN_BYTE, REV_OUT = 1 << 0, 1 << 5, 1 << 7
WIDTHS = {16: 1 << 3, 8: 2 << 3, 7: 3 << 3}
"""CRC_CR.POLYSIZE"""
MESSAGE = b"123456789"


@pytest.fixture(scope="module")
def parts() -> Mapping[str, Path]:
    """Of the board with Debian's kernel."""
    return parts_of(DK2)


@pytest.fixture
def machine(parts: Mapping[str, Path]) -> Iterator[Registers]:
    """The machine at reset."""
    kernel = parts["debian-kernel"]
    words = "-kernel", kernel / "kernel", "-dtb", kernel / DK2.device_tree
    with asked(command(parts, DK2, *words)) as ask:
        yield Registers(ask)


def crc(machine: Registers, base: int, control: int, polynomial: int, initial: int) -> int:
    """Of MESSAGE."""
    machine.write(base + INIT, initial)
    machine.write(base + POL, polynomial)
    machine.write(base + CR, control | RESET)
    for byte in MESSAGE:
        machine.write_byte(base + DR, byte)
    return machine.read(base + DR)


@pytest.mark.parametrize("base", CRCS)
def test_a_crc_of_32_bits_is_zlib_s(machine: Registers, base: int) -> None:
    """With reversed bits, as Ethernet's."""
    found = crc(machine, base, REV_IN_BYTE | REV_OUT, 0x04C11DB7, 0xFFFFFFFF)
    assert found ^ 0xFFFFFFFF == zlib.crc32(MESSAGE)


@pytest.mark.parametrize("base", CRCS)
def test_a_crc_of_16_bits_is_the_ccitt_s(machine: Registers, base: int) -> None:
    """As Python's, from 0; what is above 16 bits of the initial value does not count."""
    found = crc(machine, base, WIDTHS[16], 0x1021, 0x5A5A0000)
    assert found == binascii.crc_hqx(MESSAGE, 0)


@pytest.mark.parametrize(
    ("width", "polynomial", "check"),
    [
        (8, 0x07, 0xF4),
        (7, 0x09, 0x75),
    ],  # CRC-8/SMBUS, CRC-7/MMC of the catalogue of parametrised CRC algorithms
)
def test_polynomials_of_7_and_8_bits(machine: Registers, width: int, polynomial: int, check: int) -> None:
    """Of the digits 1 to 9 each has its known check value."""
    assert crc(machine, CRCS[1], WIDTHS[width], polynomial, 0) == check


I2C4_CR2, APB5RSTSETR, I2C4RST, AUTOEND = 0x5C002004, 0x50000188, 1 << 2, 1 << 25
"""Ref: RM0436, I2C_CR2, RCC_APB5RSTSETR"""


def test_rcc_resets_i2c4(machine: Registers) -> None:
    """What OP-TEE's driver leaves in CR2 is gone; with it U-Boot's would wait for ends that never come."""
    machine.write(I2C4_CR2, AUTOEND)
    machine.write(APB5RSTSETR, I2C4RST << 1)
    assert machine.read(I2C4_CR2) == AUTOEND
    machine.write(APB5RSTSETR, I2C4RST)
    assert machine.read(I2C4_CR2) == 0
