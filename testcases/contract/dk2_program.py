# SPDX-License-Identifier: MIT
"""A program of one's own on the machine of an STM32MP157C-DK2, in place of OP-TEE: what a Cortex-A7 does.

Code is A32. A data abort gives ABORT in place of what is read, and goes on.
Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406) A8.8 (encodings), B1.9 (exceptions), B4.1.129 (SCR)
"""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from attrs import frozen

from mpbench_virtual import card
from mpbench_virtual.models import KINDS
from testcases.contract.bare_program import BareProgram, Codes, Layout, Run, machine, started_by

KIND = KINDS["mp15-debian"]
DDR, KERNEL = 0xC000_0000, 0xC200_0000
SYSRAM, RETRAM, ROM = 0x2FFC_0000, 0x3800_0000, 0
FSBL = SYSRAM + 0x2500
"""Where a first loader goes that an SD card has."""
SECURE_WORDS, NONSECURE_WORDS = 0xC800_0000, 0xC900_0000
LAYOUT = Layout(KIND, DDR, 0x2000_0000, KERNEL, SECURE_WORDS, NONSECURE_WORDS)
ABORT = 0x6162_7274
ETZPC, TZC, RCC = 0x5C00_7000, 0x5C00_6000, 0x5000_0000
SVC = 0x1D3
"""CPSR: supervisor mode, all interrupts and asynchronous aborts masked."""


class Images(Protocol):
    """What starts on the machine: a Program, or one that was assembled elsewhere."""

    def images(self) -> tuple[bytes, bytes]:
        """Its secure part, and what is in place of a kernel."""
        ...


@frozen
class Assembled:
    """A program that is one file, in place of OP-TEE."""

    code: bytes

    def images(self) -> tuple[bytes, bytes]:
        """The program, and no kernel."""
        return self.code, b""


def assembled(source: Path, directory: Path, **symbols: int) -> Assembled:
    """The program with these constants; what programs share is in dk2.inc."""
    elf, binary = directory / "program.elf", directory / "program.bin"
    given = [f"-Wa,-I,{source.parent}", *(f"-Wa,--defsym,{name}={value}" for name, value in symbols.items())]
    link = ["-nostdlib", "-Wl,-e,0", f"-Wl,-Ttext={SYSRAM:#x}"]
    subprocess.run(["arm-none-eabi-gcc", *link, *given, "-o", elf, source], check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", elf, binary], check=True)
    return Assembled(binary.read_bytes())


class Program(BareProgram):
    """On a Cortex-A7."""

    layout = LAYOUT
    codes = Codes(
        store=0xE581_2000,  # str r2, [r1]
        load=0xE591_2000,  # ldr r2, [r1]
        compare=0xE152_0003,  # cmp r2, r3
        while_other=0x1AFF_FFFC,  # bne .-8
        # ldr r2, [r0], #4; str r2, [r1], #4; subs r3, r3, #1; bne .-12
        copy=(0xE490_2004, 0xE481_2004, 0xE253_3001, 0x1AFF_FFFB),
        stay=(0xE320_F003, 0xEAFF_FFFD),  # wfi; b .-4
    )

    def __init__(self, base: int = SYSRAM, words: int = SECURE_WORDS) -> None:
        super().__init__(words)
        self._begin(base)

    def _load(self, register: int, value: int) -> None:
        for opcode, part in ((0xE300_0000, value & 0xFFFF), (0xE340_0000, value >> 16)):  # movw, movt
            self._emit(opcode | (part >> 12) << 16 | register << 12 | part & 0xFFF)

    def _begin(self, base: int) -> None:
        """Vectors, of which a data abort's alone returns: it leaves ABORT in r2, and counts in r4."""
        self._emit(0xEA00_0010, *[0xE320_F000] * 7)  # b begin; nop to the vectors
        self._emit(*[0xEAFF_FFFE] * 4, 0xEA00_0000, *[0xEAFF_FFFE])  # b . but at +0x10: b handler
        self._load(2, ABORT)
        self._emit(0xE284_4001, 0xE25E_F004)  # handler's end: add r4, r4, #1; subs pc, lr, #4
        self._load(0, base + 0x20)
        self._emit(0xEE0C_0F10, 0xE3A0_4000)  # mcr VBAR; mov r4, #0

    def aborts(self) -> int:
        """How many accesses have ended in a data abort; those of this world."""
        return self._store_read(0xE581_4000)  # str r4, [r1]

    def _seen_at(self, address: int) -> int:
        """An M4's vectors are in RETRAM, which the M4 sees at 0."""
        return address if address >= 0x1000_0000 else RETRAM + address

    def start_m4(self) -> None:
        """Lets the M4 go."""
        self.write(RCC + 0x10C, 1)  # MP_BOOTCR

    def region(self, number: int, start: int, end: int, attributes: int, ids: int) -> None:
        """A region of the TZC-400, end included; `attributes`: bit 0 for secure reads, bit 1 for writes."""
        at = TZC + 0x100 + 0x20 * number
        for offset, value in ((0, start), (8, end), (0x14, ids), (0x10, attributes << 30 | 1)):
            self.write(at + offset, value)

    def nonsecure(self) -> None:
        """Goes on in the non-secure world."""
        self._finish()
        self._emit(
            0xF102_0016, 0xEE11_0F11, 0xE380_0001, 0xEE01_0F11, 0xF57F_F06F
        )  # cps monitor; SCR.NS; isb
        self._load(0, SVC)
        self._emit(0xE16F_F000)  # msr spsr_cxsf, r0
        self._load(14, KERNEL)
        self._emit(0xE1B0_F00E)  # movs pc, lr
        self._other_world()
        self._begin(KERNEL)


DEVICE_TREE = """/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>; compatible = "st,stm32mp157";
    interrupt-controller@a0021000 { phandle = <1>; }; };
"""


@contextmanager
def running(program: Images, directory: Path) -> Iterator[Run]:
    """The machine with this program in place of OP-TEE, after a boot loader that leaves everything open."""
    secure, kernel = program.images()
    header = struct.pack("<4sBBH5I", b"OPTE", 1, 0, 0, len(secure), 0, SYSRAM, len(secure), 0)
    with machine(LAYOUT, directory, *started_by(header + secure, kernel, DEVICE_TREE, directory)) as run:
        yield run


@contextmanager
def running_from_card(program: Program, directory: Path) -> Iterator[Run]:
    """The machine with this program, whose base is FSBL, in place of the first loader on an SD card."""
    image, _ = program.images()
    header = struct.pack("<4s64xI4xII4xI163xB", b"STM2", sum(image), len(image), FSBL, FSBL, 0)
    table, copy = card.gpt(card.PARTITIONS)
    with (directory / "card.img").open("wb") as file:
        file.write(table)
        file.seek(card.PARTITIONS[0].first * card.BLOCK)
        file.write(header + image)
        file.seek(card.SIZE - len(copy))
        file.write(copy)
    with machine(LAYOUT, directory, "-drive", f"if=sd,format=raw,file={directory / 'card.img'}") as run:
        yield run
