# SPDX-License-Identifier: MIT
"""The isolation that blocks of an STM32MP257F-EV1 have in themselves: of channels, pins, events, functions.

Ref: OP-TEE core/drivers/stm32_ipcc.c, stm32_gpio.c, stm32_exti.c, stm32_hpdma.c, stm32_hsem.c, stm32_rtc.c,
stm32_tamp.c; STM32CubeMP2 stm32mp2xx_hal_rif.h (ids)
"""

from pathlib import Path

import pytest

from testcases.contract.ev1_program import (
    EL0,
    EL1,
    NONSECURE_WORDS,
    RCC,
    RIFSC,
    Program,
    flags,
    read_flags,
    running,
)

pytestmark = pytest.mark.slow

IPCC1, EXTI1, GPIOA = 0x4049_0000, 0x4422_0000, 0x4424_0000
RTC, TAMP, PWR, HSEM = 0x4600_0000, 0x4601_0000, 0x4421_0000, 0x4624_0000
HPDMA1, HPDMA3 = 0x4040_0000, 0x4042_0000
OF_M33 = 1 | 2 << 4
"""CIDCFGR: compartment 2 alone."""
MARK = 0x1234_5678


def test_a_processor_s_side_of_a_mailbox_is_its_compartment_s(tmp_path: Path) -> None:
    """IPCC_C2CIDCFGR: the other side reads 0, changes nothing, and sees its flags all the same."""
    program = Program()
    program.write(IPCC1 + 0x10, 1)  # C2CR
    program.write(IPCC1 + 0x18, 1 << 16)  # C2SCR: flag of channel 1
    program.write(IPCC1 + 0x98, 1 | 2 << 4)
    program.read(IPCC1 + 0x10)
    program.write(IPCC1 + 0x10, 0)
    program.read(IPCC1 + 0x1C)  # C2TOC1SR
    read_flags(program)
    program.write(IPCC1 + 0x98, 0)
    program.read(IPCC1 + 0x10)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[:2] == (0, 1)
    assert flags(words[2:8]) == [144]
    assert words[8] == 1


def test_a_channel_of_a_mailbox_is_of_a_world(tmp_path: Path) -> None:
    """IPCC_C1SECCFGR: the bits of a secure channel read 0 in the other world, and stay."""
    program = Program()
    program.write(IPCC1 + 0x04, 0x1_0001)  # C1MR
    program.write(IPCC1 + 0x80, 1)
    program.nonsecure()
    program.read(IPCC1 + 0x04)
    program.write(IPCC1 + 0x04, 0x2_0002)
    program.read(IPCC1 + 0x04)
    program.write(IPCC1 + 0x80, 0)
    program.read(IPCC1 + 0x80)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:3] == (0, 0x2_0002, 1)
        assert "ipcc1: refuses non-secure write" in (tmp_path / "qemu.log").read_text()


def test_pins_are_of_a_world_and_a_compartment(tmp_path: Path) -> None:
    """GPIOA: pin 0 is secure, pin 2 the M33's: both read 0 and are not changed; pin 1 is free."""
    program = Program()
    program.write(GPIOA + 0x14, 0b111)  # ODR
    program.write(GPIOA + 0x30, 0b001)  # SECCFGR
    program.write(GPIOA + 0x50 + 8 * 2, 1 | 2 << 4)  # CIDCFGR2
    program.read(GPIOA + 0x14)
    program.nonsecure()
    program.read(GPIOA + 0x14)
    program.write(GPIOA + 0x18, 0b111 << 16)  # BSRR
    program.write(GPIOA, 0)  # MODER
    program.read(GPIOA)
    program.write(GPIOA + 0x50 + 8 * 2, 0)
    program.read(GPIOA + 0x50 + 8 * 2)
    with running(program, tmp_path) as run:
        assert run.words()[0] == 0b011
        odr, moder, cid = run.words(NONSECURE_WORDS)[:3]
        assert "gpioa: refuses non-secure write" in (tmp_path / "qemu.log").read_text()
    assert (odr, moder, cid) == (0b010, 0, 1 | 2 << 4)


def test_a_pin_with_a_semaphore_is_whose_who_has_it(tmp_path: Path) -> None:
    """GPIOA_CIDCFGR0.SEM_EN: nobody's, until a compartment takes SEMCR0."""
    program = Program()
    program.write(GPIOA + 0x14, 1)
    program.write(GPIOA + 0x50, 0b11)
    program.read(GPIOA + 0x14)
    program.write(GPIOA + 0x54, 1)
    program.read(GPIOA + 0x14)
    with running(program, tmp_path) as run:
        assert run.words()[:2] == (0, 1)


def test_events_are_of_a_world_and_masks_of_a_compartment(tmp_path: Path) -> None:
    """EXTI1: event 0 is secure, the masks of CPU 2 are compartment 2's."""
    program = Program()
    program.write(EXTI1, 0b11)  # RTSR1
    program.write(EXTI1 + 0xC0, 1)  # C2IMR1
    program.write(EXTI1 + 0x14, 1)  # SECCFGR1
    program.write(EXTI1 + 0x304, 1 | 2 << 4)  # C2CIDCFGR
    program.read(EXTI1 + 0xC0)
    read_flags(program)
    program.nonsecure()
    program.read(EXTI1)
    program.write(EXTI1, 0b100)
    program.read(EXTI1)
    program.read(EXTI1 + 0x14)
    with running(program, tmp_path) as run:
        words = run.words()
        assert run.words(NONSECURE_WORDS)[:3] == (0b10, 0b100, 1)
    assert words[0] == 0
    assert flags(words[1:7]) == [153]


@pytest.mark.parametrize(
    ("register", "cidcfgr", "ident"),
    [
        (HPDMA1 + 0x60 + 0x80 * 3, HPDMA1 + 0x54 + 0x80 * 3, 147),  # C3SR
        (HPDMA3 + 0x50 + 0x80 * 15, HPDMA3 + 0x54 + 0x80 * 15, 149),
        (HSEM + 0x110, HSEM + 0x224, 146),  # C2IER
        (PWR + 0x74, PWR + 0x188 + 8 * 5, 155),  # WKUPCR6
        (RTC + 0x48, RTC + 0x84, 151),  # ALRMBR
        (RTC + 0x14, RTC + 0x88, 151),  # WUTR
        (RTC + 0x30, RTC + 0x8C, 151),  # TSTR
        (TAMP, TAMP + 0x80, 152),  # CR1
        (TAMP + 0x44, TAMP + 0x88, 152),  # COUNT2R
    ],
)
def test_a_block_s_function_is_a_compartment_s(
    tmp_path: Path, register: int, cidcfgr: int, ident: int
) -> None:
    """Where it is the M33's, the secure Cortex-A35 reads 0 and writes nothing, and the IAC has both."""
    program = Program()
    program.write(register, MARK)
    program.write(cidcfgr, OF_M33)
    program.read(register)
    program.write(register, MARK ^ 1)
    read_flags(program)
    program.write(cidcfgr, 0)
    program.read(register)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[0] == 0
    assert flags(words[1:7]) == [ident]
    assert words[7] == MARK


@pytest.mark.parametrize(
    ("register", "seccfgr", "bit"),
    [
        (HPDMA1 + 0x60, HPDMA1, 0),
        (HSEM + 0x3C, HSEM + 0x200, 15),  # R15
        (HSEM + 0x80 + 0x3C, HSEM + 0x200, 15),  # RLR15
        (PWR + 0x60, PWR + 0x180, 0),  # WKUPCR1
        (RTC + 0x40, RTC + 0x20, 0),  # ALRMAR
        (RTC + 0x40, RTC + 0x20, 15),  # all of the RTC
        (TAMP + 0x04, TAMP + 0x20, 31),
        (TAMP + 0x40, TAMP + 0x20, 15),  # COUNTR
    ],
)
def test_a_block_s_function_is_a_world_s(tmp_path: Path, register: int, seccfgr: int, bit: int) -> None:
    """SECCFGR, which the other world reads and does not write; the function it neither reads nor writes."""
    program = Program()
    program.write(register, MARK)
    program.write(seccfgr, 1 << bit)
    program.nonsecure()
    program.read(register)
    program.write(register, 0)
    program.write(seccfgr, 0)
    program.read(seccfgr)
    with running(program, tmp_path) as run:
        run.words()
        assert run.words(NONSECURE_WORDS)[:2] == (0, 1 << bit)
        log = (tmp_path / "qemu.log").read_text()
    assert log.count("refuses non-secure read of CID 1") == 1
    assert log.count("refuses non-secure write of CID 1") == 2


@pytest.mark.parametrize(("level", "value"), [(EL0, 0), (EL1, MARK)])
def test_a_block_s_function_is_for_privileged_software(tmp_path: Path, level: int, value: int) -> None:
    """HPDMA1_PRIVCFGR, as upstream's device tree has it for every channel."""
    program = Program()
    program.write(HPDMA1 + 0x60, MARK)
    program.write(HPDMA1 + 0x4, 1)
    program.nonsecure(level)
    program.read(HPDMA1 + 0x60)
    with running(program, tmp_path) as run:
        run.words()
        assert run.words(NONSECURE_WORDS)[0] == value


@pytest.mark.parametrize(
    ("lock", "seccfgr", "privcfgr", "cidcfgr"),
    [
        (HPDMA1 + 0x8, HPDMA1, HPDMA1 + 0x4, HPDMA1 + 0x54),
        (GPIOA + 0x38, GPIOA + 0x30, GPIOA + 0x34, GPIOA + 0x50),
        (RIFSC + 0x50, RIFSC + 0x10, RIFSC + 0x30, RIFSC + 0x100),
        (RCC + 0x20, RCC, RCC + 0x10, RCC + 0x30),
    ],
)
def test_an_isolation_that_is_locked_stays(
    tmp_path: Path, lock: int, seccfgr: int, privcfgr: int, cidcfgr: int
) -> None:
    """RCFGLOCKR of the first of two resources: its world, privilege, compartment, and the lock itself."""
    program = Program()
    program.write(seccfgr, 1)
    program.write(cidcfgr, 1 | 1 << 4)
    program.write(lock, 1)
    for register, value in ((lock, 0), (seccfgr, 2), (privcfgr, 3), (cidcfgr, 0)):
        program.write(register, value)
    for register in (lock, seccfgr, privcfgr, cidcfgr):
        program.read(register)
    with running(program, tmp_path) as run:
        assert run.words()[:4] == (1, 0b11, 0b10, 1 | 1 << 4)


def test_a_wake_up_pin_with_a_semaphore_is_whose_who_has_it(tmp_path: Path) -> None:
    """PWR_WIO1CIDCFGR.SEM_EN and WIO1SEMCR."""
    program = Program()
    program.write(PWR + 0x60, 1 << 8)
    program.write(PWR + 0x188, 0b11)
    program.read(PWR + 0x60)
    program.write(PWR + 0x18C, 1)
    program.read(PWR + 0x60)
    program.read(PWR + 0x18C)
    with running(program, tmp_path) as run:
        assert run.words()[:3] == (0, 1 << 8, 1 | 1 << 4)


def test_a_group_of_hardware_semaphores_lists_its_processors(tmp_path: Path) -> None:
    """HSEM_G1CIDCFGR: semaphores 4 to 7 are processor 2's, then of both; 3 is free."""
    program = Program()
    for processor in (1, 2):
        program.write(HSEM + 0x21C + 4 * processor, 1 | processor << 4)
    program.write(HSEM + 0x244, 1 | 0b010 << 16)
    for semaphore in (3, 4, 7):
        program.write(HSEM + 4 * semaphore, MARK)
        program.read(HSEM + 4 * semaphore)
    read_flags(program)
    program.write(HSEM + 0x244, 1 | 0b011 << 16)
    program.read(HSEM + 4 * 4)
    program.write(HSEM + 4 * 4, MARK)
    program.read(HSEM + 4 * 4)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[:3] == (MARK, 0, 0)
    assert flags(words[3:9]) == [146]
    assert words[9:11] == (0, MARK)


def test_bits_of_a_shared_register_of_the_rtc_are_a_function_s(tmp_path: Path) -> None:
    """RTC_CR: alarm A is secure, alarm B is not; time and date are everybody's to read."""
    program = Program()
    program.write(RTC + 0x18, 0x1100 | 0x2200)
    program.write(RTC + 0x20, 1 | 1 << 14)
    program.nonsecure()
    program.read(RTC + 0x18)
    program.write(RTC + 0x18, 0)
    program.read(RTC + 0x18)
    program.write(RTC + 0x0C, 1 << 7)  # ICSR.INIT
    program.read(RTC + 0x0C)
    program.read(RTC + 0x04)
    with running(program, tmp_path) as run:
        run.words()
        first, second, icsr, date = run.words(NONSECURE_WORDS)[:4]
        assert "rtc: refuses" not in (tmp_path / "qemu.log").read_text()
    assert (first, second) == (0x2200, 0)
    assert icsr & 1 << 6 == 0
    assert date != 0


def test_a_compartment_s_filter_ends_a_secure_rtc(tmp_path: Path) -> None:
    """RTC_SECCFGR.SEC and PRIVCFGR.PRIV are cleared; what each function is stays."""
    program = Program()
    program.write(RTC + 0x20, 1 << 15 | 1)
    program.write(RTC + 0x1C, 1 << 15 | 2)
    program.write(RTC + 0x84, OF_M33)
    program.read(RTC + 0x20)
    program.read(RTC + 0x1C)
    with running(program, tmp_path) as run:
        assert run.words()[:2] == (1, 2)


def test_backup_registers_are_in_zones(tmp_path: Path) -> None:
    """Four each: the secure world's; written by it alone; everybody's. Of each the M33 has a part."""
    backup = [TAMP + 0x100 + 4 * n for n in range(13)]
    program = Program()
    for address in backup:
        program.write(address, MARK)
    program.write(TAMP + 0x20, 4 | 8 << 16)
    program.write(TAMP + 0x70, 2)
    program.write(TAMP + 0x74, 6)
    program.write(TAMP + 0x78, 10 | 12 << 16)
    program.write(TAMP + 0x84, 1 | 1 << 4)
    program.write(TAMP + 0x88, OF_M33)
    for address in backup:
        program.read(address)
    read_flags(program)
    program.nonsecure()
    for address in backup:
        program.read(address)
        program.write(address, 1)
        program.read(address)
    program.write(TAMP + 0x70, 0)
    program.read(TAMP + 0x70)
    with running(program, tmp_path) as run:
        words, others = run.words(), run.words(NONSECURE_WORDS)
    first, second = [MARK, MARK, 0, 0], [MARK, MARK, 0, 0]
    assert list(words[:13]) == [*first, *second, MARK, MARK, MARK, MARK, 0]
    assert flags(words[13:19]) == [152]
    assert list(others[0:26:2]) == [0, 0, 0, 0, *second, MARK, MARK, MARK, MARK, 0]
    assert list(others[1:26:2]) == [0, 0, 0, 0, *second, 1, 1, 1, 1, 0]
    assert others[26] == 2
