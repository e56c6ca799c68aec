# SPDX-License-Identifier: MIT
"""The firewalls of an STM32MP157C-DK2, by registers: who is refused what, and what answers.

Ref: OP-TEE core/drivers/firewall/stm32_etzpc.c, core/drivers/tzc400.c (registers); core/include/dt-bindings/
firewall/stm32mp15-etzpc.h (ids); core/arch/arm/plat-stm32mp1/platform_config.h (NSAIDs); Arm TZC-400 TRM (DDI
0504) 3.3
"""

from pathlib import Path

import pytest

from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from testcases.contract.dk2_program import (
    ABORT,
    ETZPC,
    FSBL,
    NONSECURE_WORDS,
    RCC,
    RETRAM,
    ROM,
    SYSRAM,
    TZC,
    Program,
    running,
    running_from_card,
)

pytestmark = pytest.mark.slow

MARK = 0x1234_5678
SECRET = 0xD000_0000
SRAM1, SRAM4 = 0x1000_0000, 0x1005_0000
TZMA0, TZMA1, DECPROT, LOCK = ETZPC, ETZPC + 4, ETZPC + 0x10, ETZPC + 0x30
ACTION, GATE_KEEPER, INT_STATUS, INT_CLEAR, FAIL_ADDRESS = (TZC + at for at in (4, 8, 0x10, 0x14, 0x20))
FAIL_CONTROL, FAIL_ID = TZC + 0x28, TZC + 0x2C
ERROR, INTERRUPT = 1, 2
NONSECURE, PRIVILEGED, WRITE = 1 << 21, 1 << 20, 1 << 24
SECURE, WRITE_SECURE, ISOLATED, FREE = range(4)
UART4, UART4_ID = 0x4001_0000, 32
RNG1, RNG1_ID = 0x5400_3000, 7
SRAM1_ID, SRAM4_ID, RETRAM_ID = 80, 83, 84
M4, A7_FAIL_ID = 1, 0x480
TRACE = 0x1004_0000
ADDRESS, TAG = 2, 0x4D42_0000
TZEN, MCKPROT = 1, 2
"""Of RCC_TZCR. Ref: TF-A include/drivers/st/stm32mp15_rcc.h (offsets)"""
TZEN_SETS = tuple(RCC + at for at in (0x00C, 0x02C, 0x0D8, 0x10C, 0x140, 0x188, 0x208, 0x210, 0x308))
OPEN_SET = RCC + 0xA00
MCU_CLOCKS = tuple(RCC + at for at in (0x048, 0x820, 0x830, 0x884))
GICD_ISPENDR1, SPI_TZC = 0xA002_1204, 4


def protect(program: Program, ident: int, rights: int) -> None:
    """DECPROT of an id, whose neighbours become everybody's."""
    field = 2 * (ident % 16)
    program.write(DECPROT + 4 * (ident // 16), 0xFFFF_FFFF & ~(3 << field) | rights << field)


@pytest.mark.parametrize(
    ("rights", "secure", "nonsecure", "aborts"),
    [
        (SECURE, MARK, ABORT, 2),
        (WRITE_SECURE, MARK, MARK, 1),
        (ISOLATED, ABORT, ABORT, 2),
        (FREE, MARK, MARK ^ 1, 0),
    ],
)
def test_a_peripheral_is_whose_etzpc_says(
    tmp_path: Path, rights: int, secure: int, nonsecure: int, aborts: int
) -> None:
    """UART4's BRR from both worlds: read, and written and read again; what is refused is a bus error."""
    at = UART4 + 0xC
    program = Program()
    program.write(at, MARK & 0xFFFF)
    protect(program, UART4_ID, rights)
    program.read(at)
    program.nonsecure()
    program.write(at, MARK & 0xFFFF ^ 1)
    program.read(at)
    program.aborts()
    with running(program, tmp_path) as run:
        assert run.words()[0] == (secure if secure == ABORT else secure & 0xFFFF)
        read, counted = run.words(NONSECURE_WORDS)[:2]
    assert read == (nonsecure if nonsecure == ABORT else nonsecure & 0xFFFF)
    assert counted == aborts


@pytest.mark.parametrize(("address", "ident"), [(SRAM1, SRAM1_ID), (SRAM4, SRAM4_ID), (RETRAM, RETRAM_ID)])
@pytest.mark.parametrize(
    ("rights", "words"),
    [(SECURE, (ABORT, ABORT)), (WRITE_SECURE, (MARK, MARK)), (FREE, (MARK, MARK ^ 1))],
)
def test_a_ram_is_whose_etzpc_says(
    tmp_path: Path, address: int, ident: int, rights: int, words: tuple[int, ...]
) -> None:
    """From the non-secure world: read, written, read; the secure one reads it all the same."""
    program = Program()
    program.write(address, MARK)
    protect(program, ident, rights)
    program.read(address)
    program.nonsecure()
    program.read(address)
    program.write(address, MARK ^ 1)
    program.read(address)
    with running(program, tmp_path) as run:
        assert run.words()[0] == MARK
        assert run.words(NONSECURE_WORDS)[:2] == words


def test_mcusram_has_its_rights_at_both_addresses(tmp_path: Path) -> None:
    """SRAM1 at 0x10000000 is refused at 0x30000000 as well; SRAM2, after it, is not."""
    program = Program()
    protect(program, SRAM1_ID, SECURE)
    program.nonsecure()
    for address in (SRAM1 + 0x1_FFFC, 0x3000_0000, SRAM1 + 0x2_0000):
        program.read(address)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:3] == (ABORT, ABORT, 0)


@pytest.mark.parametrize(("register", "base"), [(TZMA1, SYSRAM), (TZMA0, ROM)])
def test_the_first_pages_of_sysram_and_rom_are_the_secure_world_s(
    tmp_path: Path, register: int, base: int
) -> None:
    """TZMA: two of them, the third is open."""
    program = Program()
    program.write(register, 2)
    program.read(base + 0x1FFC)
    program.nonsecure()
    for at in (0, 0x1FFC, 0x2000):
        program.read(base + at)
    with running(program, tmp_path) as run:
        assert run.words()[0] != ABORT
        first, second, third = run.words(NONSECURE_WORDS)[:3]
    assert (first, second) == (ABORT, ABORT)
    assert third != ABORT


def test_what_is_locked_stays_as_it_is(tmp_path: Path) -> None:
    """A field of DECPROT, whose neighbour changes, and TZMA1."""
    program = Program()
    protect(program, RNG1_ID, WRITE_SECURE)
    program.write(LOCK, 1 << RNG1_ID)
    program.write(LOCK, 0)
    program.write(DECPROT, 0)
    program.write(TZMA1, 1 << 31 | 3)
    program.write(TZMA1, 0)
    for address in (DECPROT, LOCK, TZMA1):
        program.read(address)
    with running(program, tmp_path) as run:
        assert run.words()[:3] == (WRITE_SECURE << 2 * RNG1_ID, 1 << RNG1_ID, 1 << 31 | 3)


def test_the_non_secure_world_reads_etzpc_and_changes_nothing(tmp_path: Path) -> None:
    """Linux' bus driver reads it to know what it may use. The TZC-400 shows it nothing."""
    program = Program()
    protect(program, UART4_ID, WRITE_SECURE)
    program.read(DECPROT + 8)
    program.nonsecure()
    program.write(DECPROT + 8, 0xFFFF_FFFF)
    program.read(DECPROT + 8)
    program.read(TZC)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:2] == (run.words()[0], 0)


def region_of_the_secure_world(action: int, attributes: int = 0b11, ids: int = 0) -> Program:
    """A page of the DDR with a mark in it, in a region of its own."""
    program = Program()
    program.write(SECRET, MARK)
    program.write(ACTION, action)
    program.region(1, SECRET, SECRET + 0xFFF, attributes, ids)
    return program


@pytest.mark.parametrize(
    ("action", "value"), [(0, 0), (ERROR, ABORT), (INTERRUPT, 0), (ERROR | INTERRUPT, ABORT)]
)
def test_action_says_what_answers_a_refused_access_to_the_ddr(
    tmp_path: Path, action: int, value: int
) -> None:
    """Zeros or a bus error, with or without an interrupt; a write changes nothing; the next page is open."""
    program = region_of_the_secure_world(action)
    program.read(SECRET)
    program.nonsecure()
    program.read(SECRET)
    program.write(SECRET, 0)
    program.read(SECRET + 0x1000)
    with running(program, tmp_path) as run:
        assert run.words()[0] == MARK
        words = run.words(NONSECURE_WORDS)
        assert run.ddr(SECRET, 4) == MARK.to_bytes(4, "little")
        assert "refuses non-secure read of CID 1" in (tmp_path / "qemu.log").read_text()
    assert words[:2] == (value, 0)


def test_the_first_refused_access_is_recorded_until_it_is_cleared(tmp_path: Path) -> None:
    """A secure read of what is the others': address, direction, world, master; the second is an overrun."""
    program = region_of_the_secure_world(INTERRUPT, attributes=0, ids=0xFFFF_FFFF)
    program.read(SECRET + 4)
    program.write(SECRET + 8, 0)
    for address in (INT_STATUS, FAIL_ADDRESS, FAIL_CONTROL, FAIL_ID, GICD_ISPENDR1):
        program.read(address)
    program.write(INT_CLEAR, 1)
    program.read(INT_STATUS)
    program.write(SECRET + 8, 0)
    for address in (INT_STATUS, FAIL_ADDRESS, FAIL_CONTROL):
        program.read(address)
    with running(program, tmp_path) as run:
        read, status, address, control, ident, pending, cleared, *after = run.words()
    assert (read, status, address, control, ident) == (0, 1 << 8 | 1, SECRET + 4, PRIVILEGED, A7_FAIL_ID)
    assert pending >> SPI_TZC & 1
    assert cleared == 0
    assert after[:3] == [1, SECRET + 8, PRIVILEGED | WRITE]


@pytest.mark.parametrize(
    ("attributes", "secure"),
    [(0b01, (MARK, MARK)), (0b10, (ABORT, ABORT)), (0b11, (MARK, 1)), (0, (ABORT, ABORT))],
)
def test_a_region_says_what_the_secure_world_does(
    tmp_path: Path, attributes: int, secure: tuple[int, int]
) -> None:
    """Reads, writes, both, neither."""
    program = region_of_the_secure_world(ERROR, attributes)
    program.read(SECRET)
    program.write(SECRET, 1)
    program.read(SECRET)
    with running(program, tmp_path) as run:
        assert run.words()[:2] == secure
        stored = int.from_bytes(run.ddr(SECRET, 4), "little")
    assert stored == (1 if attributes & 0b10 else MARK)


@pytest.mark.parametrize(
    ("ids", "words"),
    [(1, (MARK, MARK)), (1 << 16, (ABORT, ABORT)), (1 << 16 | 1, (MARK, 1)), (2 << 16 | 2, (ABORT, ABORT))],
)
def test_a_region_says_which_masters_read_and_write(tmp_path: Path, ids: int, words: tuple[int, int]) -> None:
    """NSAID 0 is the Cortex-A7's, 1 the M4's."""
    program = region_of_the_secure_world(ERROR, 0, ids)
    program.nonsecure()
    program.read(SECRET)
    program.write(SECRET, 1)
    program.read(SECRET)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:2] == words


def test_regions_that_overlap_are_nobody_s(tmp_path: Path) -> None:
    """What two of them have is refused and said to overlap; the rest of each is as it says."""
    program = region_of_the_secure_world(INTERRUPT)
    program.region(2, SECRET, SECRET + 0x1FFF, 0b11, 0)
    program.read(SECRET)
    program.write(SECRET + 0x1000, MARK)
    program.read(SECRET + 0x1000)
    program.read(INT_STATUS)
    with running(program, tmp_path) as run:
        assert run.words()[:3] == (0, MARK, 1 << 16 | 1)


def test_the_ddr_again_has_the_rights_of_the_ddr(tmp_path: Path) -> None:
    """512 MiB on, where the board has no more memory."""
    program = region_of_the_secure_world(ERROR)
    program.nonsecure()
    program.read(SECRET + 0x2000_0000)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[0] == ABORT


@pytest.fixture(scope="module")
def reach() -> bytes:
    """The firmware that reads what a parameter says."""
    return (make() / "m4" / "reach.elf").read_bytes()


def reaching(reach: bytes, address: int) -> bytes:
    return configured(reach, "m4", words={ADDRESS: TAG | address >> 16})


def test_the_m4_is_refused_memory_of_the_secure_world(tmp_path: Path, reach: bytes) -> None:
    """It reads 0 and goes on; the TZC-400 has the M4's access."""
    program = region_of_the_secure_world(INTERRUPT)
    program.firmware(reaching(reach, SECRET))
    program.start_m4()
    program.until(INT_STATUS, 1)
    for address in (FAIL_ADDRESS, FAIL_CONTROL, FAIL_ID):
        program.read(address)
    with running(program, tmp_path) as run:
        assert run.words()[:3] == (SECRET, NONSECURE | PRIVILEGED, M4)
        assert "read 00000000" in run.text(TRACE, "read")


def test_the_m4_has_no_ddr_where_its_own_peripherals_are(tmp_path: Path, reach: bytes) -> None:
    """The Cortex-A7 has the DDR again at 0xf0000000: for the M4 a bus error, no access of the TZC-400's."""
    program = region_of_the_secure_world(INTERRUPT)
    program.firmware(reaching(reach, SECRET + 0x2000_0000))
    program.start_m4()
    program.until(TRACE + 48, int.from_bytes(b"ault", "little"))  # a line after two of 47 characters
    program.read(INT_STATUS)
    with running(program, tmp_path) as run:
        assert run.words()[0] == 0
        assert "\nfault 00000003" in run.text(TRACE, "fault")


@pytest.mark.parametrize(("rights", "reads"), [(ISOLATED, True), (FREE, True), (SECURE, False)])
def test_a_peripheral_may_be_the_m4_s_own(tmp_path: Path, reach: bytes, rights: int, reads: bool) -> None:
    """UART4, of which it reads the first register; a refused access is a fault, and it does not beat."""
    program = Program()
    program.write(UART4, 0xD)
    protect(program, UART4_ID, rights)
    program.firmware(reaching(reach, UART4))
    program.start_m4()
    with running(program, tmp_path) as run:
        run.words()
        if reads:
            assert "read 0000000d" in run.text(TRACE, "read")
        else:
            run.log("peripheral 32 refuses non-secure read")
            assert "read" not in run.text(TRACE, "reach m4")


def test_the_m4_runs_in_memory_that_is_its_own(tmp_path: Path, reach: bytes) -> None:
    """RETRAM, SRAM1 and SRAM2 are isolated, its trace is not: it beats, and the Cortex-A7 cannot look in."""
    program = Program()
    program.firmware(reach)
    program.write(DECPROT + 4 * (SRAM1_ID // 16), 0xFFFF_FFFF & ~0x30F | 0x20A)  # SRAM1, SRAM2, RETRAM
    program.read(SRAM1)
    program.read(RETRAM)
    program.start_m4()
    with running(program, tmp_path) as run:
        assert run.words()[:2] == (ABORT, ABORT)
        run.text(TRACE, "boot 00000001 beat")


def test_tzen_gives_the_secure_world_registers_of_rcc(tmp_path: Path) -> None:
    """Oscillators, the M4's boot, clocks of secure peripherals; others, and all while it is 0, are open."""
    program = Program()
    program.write(RCC, TZEN)
    program.nonsecure()
    for register in (*TZEN_SETS, OPEN_SET):
        program.write(register, 1 << 9)
        program.read(register)
    program.write(RCC, 0)
    program.read(RCC)
    with running(program, tmp_path) as run:
        run.words()
        *secure, free, tzcr = run.words(NONSECURE_WORDS)[: len(TZEN_SETS) + 2]
        log = (tmp_path / "qemu.log").read_text()
    assert [value >> 9 & 1 for value in secure] == [0] * len(TZEN_SETS)
    assert free >> 9 & 1
    assert tzcr == TZEN
    assert log.count("refuses non-secure write of") == len(TZEN_SETS) + 1


def test_without_tzen_rcc_is_open(tmp_path: Path) -> None:
    """As Debian's device tree wants it; MCKPROT alone does nothing."""
    program = Program()
    program.write(RCC, MCKPROT)
    program.nonsecure()
    for register in (*TZEN_SETS, *MCU_CLOCKS):
        program.write(register, 1 << 9)
        program.read(register)
    with running(program, tmp_path) as run:
        run.words()
        words = run.words(NONSECURE_WORDS)[: len(TZEN_SETS) + len(MCU_CLOCKS)]
    assert [value >> 9 & 1 for value in words] == [1] * len(words)


@pytest.mark.parametrize(("tzcr", "written"), [(TZEN, 1), (TZEN | MCKPROT, 0)])
def test_mckprot_protects_the_m4_s_clock(tmp_path: Path, tzcr: int, written: int) -> None:
    """Its source and divider, and PLL3; the secure world writes them all the same."""
    program = Program()
    program.write(RCC, tzcr)
    for register in MCU_CLOCKS:
        program.write(register, 1 << 9)
        program.read(register)
    program.nonsecure()
    for register in MCU_CLOCKS:
        program.write(register, 1 << 8)
        program.read(register)
    with running(program, tmp_path) as run:
        secure = run.words()[: len(MCU_CLOCKS)]
        words = run.words(NONSECURE_WORDS)[: len(MCU_CLOCKS)]
    assert [value >> 9 & 1 for value in secure] == [1] * len(MCU_CLOCKS)
    assert [value >> 8 & 1 for value in words] == [written] * len(MCU_CLOCKS)


def test_after_a_reset_all_is_the_secure_world_s_that_can_be(tmp_path: Path) -> None:
    """From a card: boot ROM, SYSRAM and the first peripherals; nobody reaches the DDR."""
    program = Program(FSBL, SYSRAM + 0x3_0000)
    for address in (TZMA0, TZMA1, DECPROT, DECPROT + 4, GATE_KEEPER, TZC + 0x110, 0xC000_0000, RCC):
        program.read(address)
    program.write(ACTION, ERROR)
    program.read(0xC000_0000)
    program.write(TZMA1, 0)  # for the host, which looks in as the non-secure world does
    with running_from_card(program, tmp_path) as run:
        words = run.words(SYSRAM + 0x3_0000)
    assert words[:2] == (0x3FF, 0x3FF)
    assert words[2] & 0x3FF_FFFF == 0
    assert words[3:8] == (0xFFFF_FFFF, 0, 3, 0, TZEN | MCKPROT)
    assert words[8] == ABORT
