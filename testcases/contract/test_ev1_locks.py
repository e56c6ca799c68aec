# SPDX-License-Identifier: MIT
"""The firewalls of an STM32MP257F-EV1: locks, subregions of memory, delegation; A35 subsystem.

Ref: ST's SVD file STM32MP25_CM33.svd (RISAF, RISAB, CA35SS); STM32CubeMP2 stm32mp2xx_hal_rif.c; ST's OP-TEE
core/drivers/firewall/stm32_risaf.c, core/drivers/remoteproc/stm32_remoteproc.c
"""

from pathlib import Path

import pytest

from testcases.contract.ev1_program import (
    A35SSC,
    EL0,
    EL1,
    EL2,
    NONSECURE_WORDS,
    RIFSC,
    RISAB1,
    RISAF4,
    Program,
    running,
)

pytestmark = pytest.mark.slow

EXTI1, RISAB3 = 0x4422_0000, RISAB1 + 0x2_0000
RIMC_CR = RIFSC + 0xC00
MARK = 0x1234_5678
M33 = 0x8010_0000
"""Memory of compartment 2, in region 1 of RISAF4."""
REGION, A, B = RISAF4 + 0x40, RISAF4 + 0x50, RISAF4 + 0x60
START, END, NEST = 0x4, 0x8, 0xC
SREN, RLOCK, SEC, PRIV, RDEN, WREN = (1 << bit for bit in (0, 1, 8, 9, 12, 13))
OF_LINUX = SREN | 1 << 4
DELEGATED = 1 << 2 | 1 << 4
"""zNESTR: DCEN, to compartment 1."""


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize(
    ("lock", "at_reset", "offsets"),
    [
        (RIFSC, 0, (0x10, 0x30, 0x100, 0x900, 0x50)),  # the last but one is RISAL1's
        (RIMC_CR, 0x10, (0x10,)),
        (EXTI1 + 0x70, 0, (-0x5C, -0x58, 0x110, 0x290)),
        (RISAF4, 0, (0x44, 0x48, 0x4C, 0x54, 0x5C, 0x40)),
        (RISAB3, 0, (0x100, 0x200, 0x828, 0xA00, 0x10)),
    ],
    ids=["rifsc", "rimc", "exti", "risaf", "risab"],
)
def test_a_global_lock_keeps_what_is_configured(
    tmp_path: Path, lock: int, at_reset: int, offsets: tuple[int, ...], locked: bool
) -> None:
    """GLOCK: nothing is written any more, itself included; without it the same writes are kept."""
    program = Program()
    program.write(lock, at_reset | locked)
    for offset in offsets:
        program.write(lock + offset, 1)
    program.write(lock, at_reset)
    program.read(lock)
    for offset in offsets:
        program.read(lock + offset)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[0] == at_reset | locked
    assert words[1 : 1 + len(offsets)] == (int(not locked),) * len(offsets)


def test_a_page_of_internal_ram_is_locked_alone(tmp_path: Path) -> None:
    """RISAB_RCFGLOCKR: page 0 stays, in the lists of compartments as well; page 1 does not; the lock does."""
    program = Program()
    program.write(RISAB3 + 0x10, 1)
    pages = [register + 4 * page for register in (0x100, 0x200, 0xA00) for page in (0, 1)]
    for register in pages:
        program.write(RISAB3 + register, 1)
    program.write(RISAB3 + 0x828, 0b11)
    program.write(RISAB3 + 0x10, 0)
    for register in (*pages, 0x828, 0x10):
        program.read(RISAB3 + register)
    with running(program, tmp_path) as run:
        assert run.words()[:8] == (0, 1, 0, 1, 0, 1, 0b10, 1)


def test_a_subregion_is_locked_alone(tmp_path: Path) -> None:
    """RISAF_REGx_zCFGR.RLOCK: its four registers; the other subregion's are written."""
    program = Program()
    program.write(A + START, 0x1000)
    program.write(A, RLOCK)
    for z in (A, B):
        for offset, value in ((START, 0x2000), (END, 0x2FFF), (NEST, DELEGATED), (0, SREN)):
            program.write(z + offset, value)
    for z in (A, B):
        for offset in (0, START, END, NEST):
            program.read(z + offset)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[:4] == (RLOCK, 0x1000, 0, 0)
    assert words[4:8] == (SREN, 0x2000, 0x2FFF, DELEGATED)


def region_of_m33(program: Program, *, secure: bool = False) -> None:
    """Four pages with marks, which compartment 2 reads and writes."""
    for page in range(4):
        program.write(M33 + 0x1000 * page, MARK)
    program.region(1, M33, M33 + 0x3FFF, 1 << 2, secure=secure)


def subregion(program: Program, z: int, page: int, cfgr: int) -> None:
    """A page of the region."""
    start = M33 - 0x8000_0000 + 0x1000 * page
    program.write(z + START, start)
    program.write(z + END, start + 0xFFF)
    program.write(z, cfgr)


def test_a_subregion_has_rights_of_its_own(tmp_path: Path) -> None:
    """Linux reads one page of the M33's region and writes another, and that is all."""
    program = Program()
    region_of_m33(program)
    subregion(program, A, 1, OF_LINUX | RDEN)
    subregion(program, B, 2, OF_LINUX | WREN)
    program.nonsecure()
    for page in range(4):
        program.read(M33 + 0x1000 * page)
        program.write(M33 + 0x1000 * page, 0)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:4] == (0, MARK, 0, 0)
        written = [run.ddr(M33 + 0x1000 * page, 4) for page in range(4)]
    kept = MARK.to_bytes(4, "little")
    assert written == [kept, kept, bytes(4), kept]


@pytest.mark.parametrize(
    ("level", "region", "cfgr", "value"),
    [
        (EL0, 1 | 1 << 17, PRIV, 0),
        (EL1, 1 | 1 << 17, PRIV, MARK),
        (EL0, 1, PRIV, MARK),
        (EL0, 1 | 1 << 17, 0, MARK),
        (EL2, 1, SEC, MARK),
        (EL2, 1 | SEC, SEC, 0),
        (EL2, 1 | SEC, 0, MARK),
    ],
)
def test_a_subregion_is_no_more_secure_or_privileged_than_its_region(
    tmp_path: Path, level: int, region: int, cfgr: int, value: int
) -> None:
    """RISAF_REGx_CFGR.SEC and PRIVC, zCFGR.SEC and PRIV."""
    program = Program()
    region_of_m33(program)
    program.write(REGION, region)
    subregion(program, A, 1, OF_LINUX | RDEN | cfgr)
    program.nonsecure(level)
    program.read(M33 + 0x1000)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[0] == value


@pytest.mark.parametrize(("secure", "level"), [(False, EL2), (True, EL2), (False, EL0)])
def test_a_subregion_is_configured_by_whom_it_is_delegated_to(
    tmp_path: Path, secure: bool, level: int
) -> None:
    """zNESTR: Linux, in a region that is not secure; not its users, not SEC, not zNESTR, not B."""
    program = Program()
    region_of_m33(program, secure=secure)
    subregion(program, A, 1, 0)
    program.write(A + NEST, DELEGATED)
    program.nonsecure(level)
    program.write(A, OF_LINUX | RDEN | SEC)
    program.write(A + NEST, 0)
    program.write(B, OF_LINUX)
    for register in (A, A + NEST, B):
        program.read(register)
    program.read(M33 + 0x1000)
    with running(program, tmp_path) as run:
        words = run.words(NONSECURE_WORDS)
    delegated = not secure and level == EL2
    assert words[:3] == (OF_LINUX | RDEN if delegated else 0, DELEGATED, 0)
    assert words[3] == (MARK if delegated else 0)


@pytest.mark.parametrize(
    ("access", "level", "tzen"),
    [(None, EL2, 0), (2, EL2, 1), (2, EL0, 0), (0, EL0, 1)],
)
def test_where_the_m33_starts_is_for_whom_its_register_says(
    tmp_path: Path, access: int | None, level: int, tzen: int
) -> None:
    """CA35SS_SYSCFG_M33_ACCESS_CR: secure and privileged software's at reset, as ST's OP-TEE keeps it."""
    program = Program()
    if access is not None:
        program.write(A35SSC + 0x2088, access)
    program.nonsecure(level)
    program.read(A35SSC + 0x20A0)
    program.write(A35SSC + 0x20A8, MARK)
    program.read(A35SSC + 0x20A8)
    program.write(A35SSC + 0x2088, 0)
    program.read(A35SSC + 0x2088)
    with running(program, tmp_path) as run:
        words = run.words(NONSECURE_WORDS)
    assert words[0] == tzen
    assert words[1] == (MARK if tzen else 0)
    assert words[2] == (0 if tzen else 3 if access is None else access)


@pytest.mark.parametrize(("allowed", "value"), [(0, 0), (1 << 10, 0b11)])
def test_clocks_of_the_cortex_a35_are_the_secure_world_s(tmp_path: Path, allowed: int, value: int) -> None:
    """CA35SS_SSC_NS_E0R has a bit for each register, the PLL's among them; the other world has not itself."""
    program = Program()
    program.write(A35SSC + 0xA0, 1)
    program.write(A35SSC + 0x3C0, allowed)
    program.nonsecure()
    program.read(A35SSC + 0xA0)
    program.write(A35SSC + 0x3C0, 0xFFFF_FFFF)
    program.read(A35SSC)
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[:2] == (value, 0)
