# SPDX-License-Identifier: MIT
"""Peripherals of an STM32MP257F-EV1 that RCC holds in reset: a bus error, and what the SERC has of it.

Ref: RM0457, SERC: IERx (0x000), ISRx (0x040), ICRx (0x080), ENABLE (0x100); OP-TEE
core/drivers/firewall/stm32_serc.c; ST's wiki, SERC internal peripheral
"""

from pathlib import Path

import pytest

from mpbench.harness.firmware import make
from testcases.contract.ev1_program import GIC, RCC, Program, flags, read_flags, running

pytestmark = pytest.mark.slow

SERC = 0x4408_0000
IER1, ISR1, ICR1, ENABLE = SERC + 0x4, SERC + 0x44, SERC + 0x84, SERC + 0x100
I2C8, I2C8_ID = 0x4604_0000, 48
I2C8CFGR = RCC + 0x7C0
LINE = 1 << (I2C8_ID - 32)
ISPENDR8 = GIC + 0x200 + 4 * 8
"""Of the distributor: SPI 224 to 255 as interrupts 256 to 287."""
SPI_SERC = 240
PENDING = 1 << (SPI_SERC - 224)


@pytest.fixture
def reach() -> bytes:
    """The firmware that reads what a parameter says."""
    return (make() / "m0" / "reach.elf").read_bytes()


def m0_reads_i2c8(program: Program, reach: bytes) -> None:
    """Starts the M0, which does so as its first."""
    program.firmware(reach)
    program.write(0x200C_7000 + 4 * 2, 0x4D42_0000 | I2C8 >> 16)
    program.write(RCC + 0x490, 2)


def test_an_access_to_a_peripheral_in_reset_is_reported(tmp_path: Path, reach: bytes) -> None:
    """The M0's: its line, the interrupt until the flag is cleared, and no illegal access."""
    program = Program()
    program.write(ENABLE, 1)
    program.write(IER1, LINE)
    program.write(I2C8CFGR, 1)
    m0_reads_i2c8(program, reach)
    program.until(ISR1, LINE)
    program.read(ISPENDR8)
    program.write(ICR1, LINE)
    program.read(ISR1)
    program.read(ISPENDR8)
    read_flags(program)
    with running(program, tmp_path) as run:
        pending, cleared, after, *illegal = run.words()
        run.log("peripheral 48 is in reset: access of CID 3 to 0x46040000")
    assert pending & PENDING
    assert cleared == 0
    assert not after & PENDING
    assert flags(illegal[:6]) == []


def test_a_line_that_is_not_enabled_is_a_flag_alone(tmp_path: Path, reach: bytes) -> None:
    """SERC_IER1: no interrupt."""
    program = Program()
    program.write(ENABLE, 1)
    program.write(I2C8CFGR, 1)
    m0_reads_i2c8(program, reach)
    program.until(ISR1, LINE)
    program.read(ISPENDR8)
    with running(program, tmp_path) as run:
        assert not run.words()[0] & PENDING


@pytest.mark.parametrize(("enable", "reset"), [(0, 1), (1, 0)])
def test_without_serf_or_out_of_reset_nothing_is_reported(
    tmp_path: Path, reach: bytes, enable: int, reset: int
) -> None:
    """SERC_ENABLE.SERFEN is 0, or the peripheral has left its reset: the M0 reads it, and beats."""
    program = Program()
    program.write(ENABLE, enable)
    program.write(I2C8CFGR, 1)
    program.write(I2C8CFGR, reset)
    m0_reads_i2c8(program, reach)
    with running(program, tmp_path) as run:
        run.words()
        run.text(0x200C_6000, "read 00000000")
        assert "is in reset" not in (tmp_path / "qemu.log").read_text()


def test_flags_are_written_by_hardware_alone(tmp_path: Path) -> None:
    """ISR is not written, and SERC has lines for RIFSC's ids."""
    program = Program()
    program.write(ISR1, LINE)
    program.read(ISR1)
    program.read(SERC + 0x3F0)
    with running(program, tmp_path) as run:
        assert run.words()[:2] == (0, 128)
