# SPDX-License-Identifier: MIT
"""P14: instructions per second of an emulated core: the Cortex-M33 of kind mp25's machine, without Linux.

It runs a loop of eight instructions, a load, a store and a branch among them, in memory that RISAF4 gives
it. The seconds are those of the host's CPU that the core's thread has had: what else runs hardly matters.
"""

import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testcases.contract.bare_program import Run
from testcases.contract.ev1_program import A35SSC, KIND, RCC, RISAB1, Program, running
from testcases.contract.machine_parts import require_qemu
from testcases.performance.rows import Board, Row

NUMBERS = ("P14",)
RATE = 500e6
WINDOW_S = 5.0
"""In which the counter does not come round."""
MEMORY, COUNTER = 0x8010_0000, 0x0E04_0000
"""Of the M33; SRAM1, where it counts its turns."""
LOOP = struct.pack(
    "<2I10HI",
    *(MEMORY + 0x1000, MEMORY + 9),
    *(0x4804, 0x6801, 0x3101, 0x6001, 0x1852, 0x4053, 0x08DC, 0x1B1D, 0xE7F7, 0xBF00, 0x0A04_0000),
)
"""Vectors, then: ldr r0, =COUNTER; 1: ldr r1, [r0]; adds r1, #1; str r1, [r0]; adds r2, r2, r1; eors r3, r2;
lsrs r4, r3, #3; subs r5, r3, r4; b 1b. Ref: Armv8-M Architecture Reference Manual (DDI 0553), C2.4
"""
INSTRUCTIONS = 8


def benchmarks(_: Board | None) -> Iterator[Row]:
    """No board is needed, but its QEMU."""
    target = f"≥ {RATE / 1e6:.0f} million"
    try:
        require_qemu(KIND)
    except pytest.skip.Exception as skipped:
        yield Row("P14", str(skipped), "", None, None, target, None)
        return
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as directory:
        rate = _rate(Path(directory))
    what = f"Cortex-M33: {rate / 1e6:.0f} million instructions a second; a million of them"
    yield Row("P14", what, "", None, 1e6 / rate, target, rate >= RATE)


def _rate(directory: Path) -> float:
    """Instructions per second of the core's thread."""
    with running(_counting(), directory) as run:
        run.words()
        turns, used_ns = _turns(run), _used_ns(run.pid)
        time.sleep(WINDOW_S)
        turns, after_ns = (_turns(run) - turns) & 0xFFFF_FFFF, _used_ns(run.pid)
    busiest_ns = max(after_ns[task] - used for task, used in used_ns.items())
    return INSTRUCTIONS * turns / (busiest_ns / 1e9)


def _counting() -> Program:
    """Gives the M33 its memory and the loop, and starts it; the Cortex-A35 then waits."""
    program = Program()
    program.copy(LOOP, MEMORY)
    program.region(1, MEMORY, MEMORY + 0xF_FFFF, 1 << 2)
    program.write(RISAB1 + 0x2_0000, 1 << 31)  # RISAB3_CR.SRWIAD: the secure world reads what is not its own
    program.write(A35SSC + 0x20A0, 0)  # M33_TZEN_CR
    program.write(A35SSC + 0x20A8, MEMORY)  # M33_INITNSVTOR_CR
    program.write(COUNTER, 0)
    program.write(RCC + 0x434, 1)  # CPUBOOTCR
    program.until_not(COUNTER, 0)
    return program


def _turns(run: Run) -> int:
    return int.from_bytes(run.memory(COUNTER, 4), "little")


def _used_ns(pid: int) -> dict[str, int]:
    """CPU time of each of QEMU's threads; the M33's has most, as the other cores wait.

    Ref: Linux Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}
