# SPDX-License-Identifier: MIT
"""The M33 and M0 of an STM32MP257F-EV1's machine without Linux: a program on the Cortex-A35 releases them."""

import struct
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from testcases.contract.bare_program import DEADLINE_S
from testcases.contract.ev1_program import (
    A35SSC,
    GIC,
    IAC,
    RCC,
    RISAB1,
    RISAF4,
    Program,
    flags,
    running,
)

pytestmark = pytest.mark.slow

BEATS = 2
"""Word of a parameter, whose value has PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""
TAG = 0x4D42_0000
TRACE = {"m33": 0x8120_0000, "m0": 0x200C_6000}
IPCC1, IPCC2 = 0x4049_0000, 0x4625_0000
RISAB3 = RISAB1 + 0x2_0000
SECURE_MEMORY = [
    (0x8010_0000, 0x8016_FFFF, True),
    (0x8018_0000, 0x8018_FFFF, False),
    (0x8120_0000, 0x813F_FFFF, True),
]
"""Of the M33: its two worlds, and what it shares. Ref: firmware/coprocessor/m33/secure.c"""
STOPS = 200
COUNTER = 0x0E04_0000
"""SRAM1, which after a reset is not secure."""
COUNTS = struct.pack(
    "<2I6HI", 0x8010_1000, 0x8010_0009, 0x4802, 0x6801, 0x3101, 0x6001, 0xE7FB, 0xBF00, 0x0A04_0000
)
"""Vectors, then `ldr r0, =COUNTER; 1: ldr r1, [r0]; adds r1, #1; str r1, [r0]; b 1b` (DDI 0553, C2.4)."""


def released(core: str, name: str, watchdog: str = "", words: Mapping[int, int] | None = None) -> Program:
    """A program that starts a core with this firmware."""
    program = Program()
    program.firmware(configured((make() / core / f"{name}.elf").read_bytes(), core, watchdog, words))
    if core == "m33":
        program.region(1, 0x8010_0000, 0x813F_FFFF, 1 << 2)
        program.write(A35SSC + 0x20A0, 0)
        program.write(A35SSC + 0x20A8, 0x8010_0000)
        program.write(RCC + 0x434, 1)
    else:
        program.write(RCC + 0x490, 2)
    return program


@pytest.mark.parametrize(("core", "checks"), [("m33", 17), ("m0", 9)])
def test_instructions_and_exceptions(tmp_path: Path, core: str, checks: int) -> None:
    """Interrupts, priorities, faults, events, as firmware checks them; on the M33 MPU, FPU, stack limit."""
    with running(released(core, "exceptions"), tmp_path) as run:
        seen = run.text(TRACE[core], "done")
    results = [line for line in seen.splitlines() if line.startswith(("ok ", "bad "))]
    assert [line for line in results if line.startswith("bad")] == []
    assert len(results) == checks


def test_the_secure_state_of_the_m33(tmp_path: Path) -> None:
    """Attribution, calls, faults, stack limit and interrupts of two worlds, as firmware checks them.

    The firewall sees the world of each access: a wrong one reads 0, and the IAC has it.
    """
    program = Program()
    program.firmware(configured((make() / "m33" / "secure.elf").read_bytes(), "m33", ""))
    for number, (start, end, secure) in enumerate(SECURE_MEMORY, 1):
        program.region(number, start, end, 1 << 2, secure=secure)
    program.write(A35SSC + 0x20A0, 1)  # M33_TZEN_CR
    program.write(A35SSC + 0x20A4, 0x8010_0000)  # M33_INITSVTOR_CR
    program.write(RCC + 0x434, 1)
    program.until(IAC + 0x80 + 4 * 4, 1 << (137 - 128))
    program.read(RISAF4 + 0x20)
    program.read(RISAF4 + 0x24)
    with running(program, tmp_path) as run:
        seen = run.text(TRACE["m33"], "done")
        access, address, *_ = run.words()
    results = [line for line in seen.splitlines() if line.startswith(("ok ", "bad "))]
    assert [line for line in results if line.startswith("bad")] == []
    assert len(results) == 11
    assert (access, address) == (2 | 1 << 4 | 1 << 5, 0x18_5000)  # CID 2, privileged, secure, a read


@pytest.mark.parametrize("core", ["m33", "m0"])
def test_sysresetreq_resets_the_core(tmp_path: Path, core: str) -> None:
    """Its firmware starts again, with a higher boot counter; the Cortex-A35 runs on."""
    with running(released(core, "exceptions", words={BEATS: TAG | 1}), tmp_path) as run:
        run.text(TRACE[core], "boot 00000003")
        assert run.words()


@pytest.mark.parametrize(
    ("core", "watchdog", "spi"),
    [("m33", "iwdg3", 4), ("m33", "iwdg4", 6), ("m33", "wwdg1", 10), ("m0", "iwdg5", 7)],
)
def test_a_watchdog_that_runs_out_resets_its_core(tmp_path: Path, core: str, watchdog: str, spi: int) -> None:
    """A firmware that does not refresh its watchdog is reset; the M33, which nobody holds, starts again.

    The Cortex-A35 has an interrupt of it until the core's next reset.
    """
    log = tmp_path / "qemu.log"
    program = released(core, "starve", watchdog)
    program.until(GIC + 0x204, 1 << spi)  # GICD_ISPENDR1
    with running(program, tmp_path) as run:
        run.words()
        run.text(TRACE[core], "boot 00000003" if core == "m33" else "boot 00000001")
        until = time.monotonic() + DEADLINE_S
        while f"{watchdog} expired" not in log.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)


def test_the_m33_s_own_watchdogs(tmp_path: Path) -> None:
    """IWDG4 and WWDG1: early interrupts, refreshes outside of the window, an expiry, as firmware checks them.

    Time is that of the instructions: from WWDG1's early interrupt to its reset there are 2.6 ms.
    """
    with running(released("m33", "watchdogs"), tmp_path, "-icount", "shift=3,sleep=off") as run:
        seen = run.text(TRACE["m33"], "done")
    assert "boot 00000004" in seen
    results = [line for line in seen.splitlines() if line.startswith(("ok ", "bad "))]
    assert [line for line in results if line.startswith("bad")] == []
    assert len(results) == 6


@pytest.mark.parametrize(
    ("core", "send", "occupied", "answer"),
    [
        ("m33", IPCC1 + 0x08, IPCC1 + 0x0C, IPCC1 + 0x1C),  # C1SCR, C1TOC2SR, C2TOC1SR
        ("m0", IPCC2 + 0x18, IPCC2 + 0x1C, IPCC2 + 0x0C),  # the Cortex-A35 is processor 2
    ],
)
def test_a_mailbox_interrupts_the_core(
    tmp_path: Path, core: str, send: int, occupied: int, answer: int
) -> None:
    """IPCC1 and the M33, IPCC2 and the M0: a message's channel is freed, and one comes back, each time."""
    program = released(core, "doorbell")
    for _ in range(2):
        program.write(send, 1 << 16)
        program.until(occupied, 0)
        program.until(answer, 1 << 1)
        program.write(send, 1 << 1)
    with running(program, tmp_path) as run:
        run.words()
        assert run.text(TRACE[core], "message 00000002")


def test_a_core_executes_nothing_after_its_reset_was_written(tmp_path: Path) -> None:
    """The M33 counts in memory as fast as it can: the instruction after the write to RCC sees it stand still.

    Its memory is then closed: it is refused nothing.
    """
    program = Program()
    program.copy(COUNTS, 0x8010_0000)
    program.write(RISAB3, 1 << 31)  # RISAB_CR.SRWIAD: the secure world reads what is not its own
    program.write(A35SSC + 0x20A0, 0)  # M33_TZEN_CR
    program.write(A35SSC + 0x20A8, 0x8010_0000)  # M33_INITNSVTOR_CR
    for _ in range(STOPS):
        program.region(1, 0x8010_0000, 0x813F_FFFF, 1 << 2)
        program.write(COUNTER, 0)
        program.write(RCC + 0x434, 1)  # CPUBOOTCR
        program.write(RCC + 0x434, 0)
        program.until_not(COUNTER, 0)
        program.write(RCC + 0x40C, 1)  # C2RSTCSETR
        for _ in range(2):
            program.read(COUNTER)
        program.region(1, 0x8010_0000, 0x813F_FFFF, 1 << 1)
        program.read(COUNTER)
    for n in range(6):
        program.read(IAC + 0x80 + 4 * n)
    with running(program, tmp_path) as run:
        words = run.words()
    counts = [words[3 * n : 3 * n + 3] for n in range(STOPS)]
    assert [seen for seen in counts if len(set(seen)) > 1] == []
    assert flags(words[3 * STOPS : 3 * STOPS + 6]) == []
