# SPDX-License-Identifier: MIT
"""Devices of an STM32MP157C-DK2 that no driver of Debian's kernel uses: semaphores and the secure watchdog.

Debian's kernel is built without stm32_hwspinlock, and no device tree of it has the HSEM or IWDG1.
Ref: RM0436, HSEM, IWDG, RCC; Linux drivers/hwspinlock/stm32_hwspinlock.c, drivers/watchdog/stm32_iwdg.c
"""

import struct
from pathlib import Path

import pytest

from testcases.contract.dk2_program import ETZPC, NONSECURE_WORDS, RETRAM, Program, running

pytestmark = pytest.mark.slow

HSEM, SRAM1, SRAM2 = 0x4C00_0000, 0x1000_0000, 0x1002_0000
LOCK = 1 << 31
A7_LOCK, M4_LOCK = LOCK | 1 << 8, LOCK | 2 << 8
RLR = 0x80
IWDG1, IWDG1_ID = 0x5C00_3000, 2
UNLOCK, RELOAD, START = 0x5555, 0xAAAA, 0xCCCC
PAGE = 0x1000

M4_READS_TWO_LOCKS = struct.pack(
    "<8H2I",
    *(0x4803, 0x6801, 0x6842),  # ldr r0, =RLR0; ldr r1, [r0]; ldr r2, [r0, #4]
    *(0x4B03, 0x6019, 0x605A),  # ldr r3, =SRAM2; str r1, [r3]; str r2, [r3, #4]
    *(0xE7FE, 0xBF00),  # b .; nop
    HSEM + RLR,
    SRAM2,
)


def test_a_semaphore_is_the_first_core_s(tmp_path: Path) -> None:
    """The Cortex-A7 takes semaphore 0: the M4 reads that core's lock there, and takes semaphore 1 itself."""
    program = Program()
    program.read(HSEM + RLR)
    program.copy(M4_READS_TWO_LOCKS, SRAM1)
    program.copy(struct.pack("<2I", SRAM2 + PAGE, SRAM1 | 1), RETRAM)
    program.start_m4()
    program.until(SRAM2 + 4, M4_LOCK)
    for address in (SRAM2, HSEM + 4, HSEM + RLR + 4):
        program.read(address)
    program.write(HSEM, 2 << 8)  # with the M4's id: it stays
    program.read(HSEM)
    program.write(HSEM, 1 << 8)
    program.read(HSEM)
    with running(program, tmp_path) as run:
        words = run.words()
    assert words[:6] == (A7_LOCK, A7_LOCK, M4_LOCK, M4_LOCK, A7_LOCK, 0)


def test_iwdg1_resets_the_board(tmp_path: Path) -> None:
    """It expires, the board starts again, and so does the program, which starts it again."""
    program = Program()
    for address, value in ((IWDG1, UNLOCK), (IWDG1 + 8, 0x7FF), (IWDG1, START)):
        program.write(address, value)
    program.read(IWDG1 + 8)
    with running(program, tmp_path) as run:
        assert run.words()[0] == 0x7FF
        run.log("iwdg1 expired", times=2)


def test_iwdg1_may_be_the_secure_world_s(tmp_path: Path) -> None:
    """As OP-TEE has it on this board: the non-secure world's reload is refused, and it expires."""
    program = Program()
    program.write(ETZPC + 0x10, 0xFFFF_FFFF & ~(3 << 2 * IWDG1_ID))
    program.write(IWDG1, START)
    program.nonsecure()
    program.write(IWDG1, RELOAD)
    program.aborts()
    with running(program, tmp_path) as run:
        assert run.words(NONSECURE_WORDS)[0] == 1
        run.log("iwdg1 expired")
