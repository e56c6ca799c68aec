# SPDX-License-Identifier: MIT
"""The firewall of an STM32MP257F-EV1, by registers: who is refused what, and which exception the IAC has.

Ref: OP-TEE core/drivers/firewall/stm32_risaf.c, stm32_risab.c, stm32_rifsc.c (registers); ST's wiki, RIFSC,
RISAB, RISAF and IAC internal peripheral (who reads and writes them); STM32CubeMP2 stm32mp2xx_hal_rif.h (ids)
"""

from pathlib import Path

import pytest

from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from testcases.contract.ev1_program import (
    A35SSC,
    EL0,
    EL1,
    IAC,
    KERNEL,
    NONSECURE_WORDS,
    RCC,
    RIFSC,
    RISAB1,
    RISAF4,
    SECURE_WORDS,
    Program,
    flags,
    read_flags,
    running,
)

pytestmark = pytest.mark.slow

SYSRAM, SRAM1, RETRAM = 0x0E00_0000, 0x0E04_0000, 0x0E08_0000
RISAB3, RISAB5 = RISAB1 + 0x2_0000, RISAB1 + 0x4_0000
SRWIAD = 1 << 31
MARK = 0x1234_5678
M33_ONLY = 0x8010_0000
I2C8, I2C8_ID = 0x4604_0000, 48
LPSRAM1, RISAL1 = 0x200C_0000, RIFSC + 0x900


def refused(program: Program, directory: Path) -> tuple[list[int], tuple[int, ...]]:
    """Ids that the IAC has, read before by read_flags(), and the words after them."""
    with running(program, directory) as run:
        words = run.words()
    return flags(words[:6]), words[6:]


def test_nothing_is_refused_at_reset_to_the_secure_world(tmp_path: Path) -> None:
    """SYSRAM and RETRAM are the secure world's; the DDR is the trusted domain's."""
    program = Program()
    for address in (SYSRAM + 0x2_0000, RETRAM, M33_ONLY):
        program.write(address, MARK)
    read_flags(program)
    for address in (SYSRAM + 0x2_0000, RETRAM, M33_ONLY):
        program.read(address)
    ids, words = refused(program, tmp_path)
    assert ids == []
    assert words[:3] == (MARK, MARK, MARK)


def test_memory_of_the_m33_is_refused_to_the_cortex_a35(tmp_path: Path) -> None:
    """RISAF4: a read gives 0, a write changes nothing, its register has the first address and who it was."""
    program = Program()
    program.write(M33_ONLY, MARK)
    program.region(1, M33_ONLY, M33_ONLY + 0xFFF, 1 << 2)
    program.nonsecure()
    program.read(M33_ONLY)
    program.write(M33_ONLY + 4, MARK)
    program.read(RISAF4 + 0x8)
    program.read(RISAF4 + 0x20)
    program.read(RISAF4 + 0x24)
    with running(program, tmp_path) as run:
        value, status, access, address, *_ = run.words(NONSECURE_WORDS)
        assert run.ddr(M33_ONLY, 8) == MARK.to_bytes(4, "little") + bytes(4)
    assert (value, status & 0b10, address) == (0, 0b10, M33_ONLY - 0x8000_0000)
    assert access == 1 | 1 << 4  # CID 1, privileged, not secure, a read


@pytest.mark.parametrize(("level", "value"), [(EL0, 0), (EL1, MARK)])
def test_a_region_may_be_for_privileged_software_alone(tmp_path: Path, level: int, value: int) -> None:
    """RISAF_REGx_CFGR.PRIVC of the compartment."""
    program = Program()
    program.write(M33_ONLY, MARK)
    program.region(1, M33_ONLY, M33_ONLY + 0xFFF, 1 << 1)
    program.write(RISAF4 + 0x40, 1 | 1 << (16 + 1))
    program.nonsecure(level)
    program.read(M33_ONLY)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[0] == value


def test_a_page_of_internal_ram_filters_compartments(tmp_path: Path) -> None:
    """RISAB3: a page that CID 1 may read and not write; the next one is not filtered."""
    program = Program()
    program.write(RISAB3, SRWIAD)
    for page in (0, 1):
        program.write(SRAM1 + 0x1000 * page, MARK)
    program.write(RISAB3 + 0x808 + 0x20, 1)  # CID1RDCFGR
    program.write(RISAB3 + 0xA00, 1)  # PG0_CIDCFGR.CFEN
    for page in (0, 1):
        program.write(SRAM1 + 0x1000 * page, 0)
    read_flags(program)
    for page in (0, 1):
        program.read(SRAM1 + 0x1000 * page)
    for at in (0x8, 0x20, 0x24):
        program.read(RISAB3 + at)
    ids, words = refused(program, tmp_path)
    assert ids == [130]
    assert words[:5] == (MARK, 0, 0b10, 1 | 1 << 4 | 1 << 5 | 1 << 7, 0x0A04_0000)


def test_a_block_of_internal_ram_is_of_one_world(tmp_path: Path) -> None:
    """RISAB5 without SRWIAD: the secure world may not read what is the other's; 512 bytes on it may."""
    program = Program()
    for block in (0, 1):
        program.write(RETRAM + 0x200 * block, MARK)
    program.write(RISAB5 + 0x100, 0xFE)  # PG0_SECCFGR
    for block in (0, 1):
        program.read(RETRAM + 0x200 * block)
    program.write(RISAB5, SRWIAD)
    program.read(RETRAM)
    read_flags(program)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[:3] == (0, MARK, MARK)
    assert flags(words[3:9]) == [132]


def test_blocks_of_both_worlds_in_a_page(tmp_path: Path) -> None:
    """The non-secure world reads its own block, and 0 of the next."""
    program = Program()
    for block in (0, 1):
        program.write(RETRAM + 0x200 * block, MARK)
    program.write(RISAB5 + 0x100, 0xFE)
    program.nonsecure()
    for block in (0, 1):
        program.read(RETRAM + 0x200 * block)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:2] == (MARK, 0)


@pytest.mark.parametrize(
    ("address", "value"),
    [
        (RIFSC + 0x10, 1 << 3),  # RISC_SECCFGR0
        (RIFSC + 0x100, 1),  # PER0_CIDCFGR
        (RIFSC + 0xC00, 2 << 4),  # RIMC_CR
        (RISAF4 + 0x40 * 3, 1),
        (RISAB1 + 0x100, 0),  # PG0_SECCFGR: its page filters nothing, and wants a secure hand all the same
        (RISAB3 + 0xA00, 1),
        (RCC + 0x4, 1),  # SECCFGR1
        (RCC + 0x30, 1),  # R0CIDCFGR
    ],
)
def test_the_non_secure_world_reads_the_firewalls_and_changes_nothing(
    tmp_path: Path, address: int, value: int
) -> None:
    """Linux' bus driver reads them to know what it may use."""
    program = Program()
    program.read(address)
    program.nonsecure()
    program.write(address, value)
    program.read(address)
    with running(program, tmp_path) as run:
        before, after = run.words()[0], run.words(NONSECURE_WORDS)[0]
        log = (tmp_path / "qemu.log").read_text()
    assert after == before
    assert "refuses non-secure write of CID 1 of register" in log


def test_the_iac_is_the_trusted_domain_s(tmp_path: Path) -> None:
    """Its flags read 0 elsewhere, and are not cleared."""
    program = Program()
    program.region(1, M33_ONLY, M33_ONLY + 0xFFF, 1 << 2)
    program.read(M33_ONLY)
    program.read(IAC + 0x80 + 4 * 4)
    program.nonsecure()
    program.write(IAC + 0x100 + 4 * 4, 0xFFFF_FFFF)
    program.read(IAC + 0x80 + 4 * 4)
    with running(program, tmp_path) as run:
        assert run.words()[1] == 1 << (137 - 128)
        assert run.words(NONSECURE_WORDS)[0] == 0


def test_a_generator_of_rcc_follows_its_resource(tmp_path: Path) -> None:
    """XBAR5CFGR is secure by RCC_SECCFGR0: the other world reads 0 and changes nothing; XBAR6CFGR is open."""
    program = Program()
    program.write(RCC + 0x1018 + 4 * 5, 0x41)
    program.write(RCC, 1 << 5)
    program.nonsecure()
    for generator in (5, 6):
        program.write(RCC + 0x1018 + 4 * generator, 0x42)
        program.read(RCC + 0x1018 + 4 * generator)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:2] == (0, 0x42)


def test_the_m0_is_refused_what_is_the_m33_s(tmp_path: Path, reach: bytes) -> None:
    """A peripheral of its own domain that RIFSC gives compartment 2."""
    program = Program()
    program.firmware(reach)
    program.write(RIFSC + 0x100 + 8 * I2C8_ID, 1 | 2 << 4)
    program.write(0x200C_7000 + 4 * 2, 0x4D42_0000 | I2C8 >> 16)
    program.write(RCC + 0x490, 2)
    program.until(IAC + 0x80 + 4, 1 << (I2C8_ID - 32))
    read_flags(program)
    ids, _ = refused(program, tmp_path)
    assert ids == [I2C8_ID]


@pytest.mark.parametrize(
    ("watchdog", "at", "number"), [("iwdg4", 0x4404_0000, 101), ("wwdg1", 0x4405_0000, 103)]
)
def test_a_watchdog_of_the_m33_is_its_own(tmp_path: Path, watchdog: str, at: int, number: int) -> None:
    """RIFSC gives compartment 2 the watchdog: the Cortex-A35 is refused it, and the M33 once it is secure."""
    program = Program()
    program.write(RIFSC + 0x100 + 8 * number, 1 | 2 << 4)
    program.read(at + 0x08)
    read_flags(program)
    program.write(IAC + 0x100 + 4 * 3, 0xFFFF_FFFF)  # IAC_ICR3
    program.write(RIFSC + 0x10 + 4 * 3, 1 << (number - 96))  # RISC_SECCFGR3
    program.firmware(configured((make() / "m33" / "starve.elf").read_bytes(), "m33", watchdog))
    program.region(1, M33_ONLY, 0x813F_FFFF, 1 << 2)
    program.write(A35SSC + 0x20A0, 0)  # M33_TZEN_CR
    program.write(A35SSC + 0x20A8, M33_ONLY)  # M33_INITNSVTOR_CR
    program.write(RCC + 0x434, 1)  # CPUBOOTCR
    program.until(IAC + 0x80 + 4 * 3, 1 << (number - 96))
    with running(program, tmp_path) as run:
        value, *found = run.words()[:7]
        assert "watchdog does not start: access refused?" in run.text(0x8120_0000, "refused")
    assert value == 0
    assert flags(found) == [number]


def test_a_low_power_ram_lets_compartments_in(tmp_path: Path) -> None:
    """RISAL1 is open until a subregion is enabled; each lets in one compartment, and a world."""
    program = Program()
    program.write(LPSRAM1, MARK)
    program.write(RISAL1 + 8, 1 | 3 << 4)  # CFGRB: compartment 3
    program.read(LPSRAM1)
    program.write(LPSRAM1, 0)
    program.write(RISAL1, 1 | 1 << 4)  # CFGRA
    program.read(LPSRAM1)
    program.read(LPSRAM1 + 0x2000)  # LPSRAM2, RISAL2's
    read_flags(program)
    program.write(RISAL1, 1 | 1 << 4 | 1 << 8)  # SEC
    program.nonsecure()
    program.read(LPSRAM1)
    program.write(RISAL1, 0)
    program.read(RISAL1)
    with running(program, tmp_path) as run:
        words = run.words()
        assert run.words(NONSECURE_WORDS)[:2] == (0, 1 | 1 << 4 | 1 << 8)
    assert words[:3] == (0, MARK, 0)
    assert flags(words[3:9]) == [139]


def test_the_m0_is_refused_a_low_power_ram_of_another(tmp_path: Path, reach: bytes) -> None:
    """LPSRAM3, where its parameters are: RISAL3 lets in compartment 1 alone."""
    program = Program()
    program.firmware(reach)
    program.write(RISAL1 + 0x20, 1 | 1 << 4)
    program.write(RCC + 0x490, 2)
    program.until(IAC + 0x80 + 4 * 4, 1 << (141 - 128))
    read_flags(program)
    ids, _ = refused(program, tmp_path)
    assert ids == [141]


@pytest.fixture
def reach() -> bytes:
    """The firmware that reads what a parameter says."""
    return (make() / "m0" / "reach.elf").read_bytes()


def test_words_are_apart() -> None:
    """What the two worlds read is stored where they may write."""
    assert SECURE_WORDS > 0x87FF_FFFF >= NONSECURE_WORDS > KERNEL
