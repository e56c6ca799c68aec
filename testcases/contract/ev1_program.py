# SPDX-License-Identifier: MIT
"""A program of one's own on the machine of an STM32MP257F-EV1, in place of BL31: what a Cortex-A35 does.

Code is A64, at EL3.
Ref: Arm Architecture Reference Manual (DDI 0487) C6.2 (encodings), D19.2 (SCR_EL3, HCR_EL2, SPSR_EL3)
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpbench_virtual.models import KINDS
from testcases.contract.bare_program import BareProgram, Codes, Layout, Run, machine, started_by

KIND = KINDS["mp25"]
DDR, KERNEL = 0x8000_0000, 0x8400_0000
SECURE_WORDS, NONSECURE_WORDS = 0x8C00_0000, 0x8700_0000
LAYOUT = Layout(KIND, DDR, 0x1000_0000, KERNEL, SECURE_WORDS, NONSECURE_WORDS)
RISAF4, RISAB1, RIFSC, IAC, RCC, A35SSC = (
    0x420D_0000,
    0x420F_0000,
    0x4208_0000,
    0x4209_0000,
    0x4420_0000,
    0x4880_0000,
)
GIC = 0x4AC1_0000
"""The distributor."""
EL0, EL1, EL2 = 0x3C0, 0x3C5, 0x3C9
"""SPSR_EL3: AArch64 with its own stack pointer, all interrupts masked."""
FIP = struct.Struct("<16sQQQ")
IMAGES = {
    "bl31": bytes.fromhex("47d4086d4cfe98469b952950cbbd5a00"),
    "soc-fw-config": bytes.fromhex("9979814b0376fb468c8e8d267f7859e0"),
    "bl32": bytes.fromhex("05d0e18953dc13478d2b500a4b7a3e38"),
}
"""Ref: TF-A include/tools_share/firmware_image_package.h"""


class Program(BareProgram):
    """On a Cortex-A35."""

    layout = LAYOUT
    codes = Codes(
        store=0xB900_0022,  # str w2, [x1]
        load=0xB940_0022,  # ldr w2, [x1]
        compare=0x6B03_005F,  # cmp w2, w3
        while_other=0x54FF_FFC1,  # b.ne .-8
        # ldr w2, [x0], #4; str w2, [x1], #4; subs x3, x3, #1; b.ne .-12
        copy=(0xB840_4402, 0xB800_4422, 0xF100_0463, 0x54FF_FFA1),
        stay=(0xD503_207F, 0x17FF_FFFF),  # wfi; b .-4
    )

    def _load(self, register: int, value: int) -> None:
        parts = [value >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
        self._emit(0xD280_0000 | parts[0] << 5 | register)  # movz
        for n, part in enumerate(parts[1:], 1):
            if part:
                self._emit(0xF280_0000 | n << 21 | part << 5 | register)  # movk

    def until_not(self, address: int, value: int) -> None:
        """Waits until a word has another value."""
        self._wait(address, value, 0x54FF_FFC0)  # b.eq .-8

    def region(self, number: int, start: int, end: int, cids: int, *, secure: bool = False) -> None:
        """A region of RISAF4, end included, which these compartments (a bit each) read and write."""
        at = RISAF4 + 0x40 * number
        self.write(at + 0x4, start - DDR)
        self.write(at + 0x8, end - DDR)
        self.write(at + 0xC, cids | cids << 16)
        self.write(at, 1 | secure << 8)

    def nonsecure(self, level: int = EL2) -> None:
        """Goes on in the non-secure world; region 15 of RISAF4 gives it its memory."""
        self._finish()
        self.region(15, KERNEL, 0x87FF_FFFF, 1 << 1)
        for value, to in (
            (0x431, 0xD51E_1100),  # SCR_EL3: NS, RW
            (1 << 31, 0xD51C_1100),  # HCR_EL2: RW
            (KERNEL, 0xD51E_4020),  # ELR_EL3
            (level, 0xD51E_4000),  # SPSR_EL3
        ):
            self._load(0, value)
            self._emit(to)
        self._emit(0xD69F_03E0)  # eret
        self._other_world()


def package(images: dict[str, bytes]) -> bytes:
    """A firmware image package."""
    at = 16 + FIP.size * (len(images) + 1)
    table, data = struct.pack("<IIQ", 0xAA64_0001, 0x1234_5678, 0), b""
    for name, image in images.items():
        table += FIP.pack(IMAGES[name], at + len(data), len(image), 0)
        data += image
    return table + FIP.pack(bytes(16), at + len(data), 0, 0) + data


DEVICE_TREE = """/dts-v1/;
/ { #address-cells = <2>; #size-cells = <2>;
    gic: interrupt-controller@4ac00000 { phandle = <1>; }; };
"""


@contextmanager
def running(program: Program, directory: Path, *words: str) -> Iterator[Run]:
    """The machine, from power on, with this program. words: more arguments of QEMU."""
    bl31, kernel = program.images()
    fip = package({"bl31": bl31, "soc-fw-config": b"none", "bl32": b"none"})
    with machine(LAYOUT, directory, *started_by(fip, kernel, DEVICE_TREE, directory), *words) as run:
        yield run


def read_flags(program: Program) -> None:
    """Reads IAC_ISR0 to 5."""
    for n in range(6):
        program.read(IAC + 0x80 + 4 * n)


def flags(words: Iterable[int]) -> list[int]:
    """Ids of illegal accesses: those of the words of IAC_ISR0 to 5."""
    return [32 * n + bit for n, word in enumerate(words) for bit in range(32) if word >> bit & 1]
