# SPDX-License-Identifier: MIT
"""A program of one's own on the machine of an STM32MP257F-EV1, in place of BL31: what a Cortex-A35 does.

The program is straight-line A64 code that runs at EL3 with caches and MMU off, and later, if it wants to, in
the non-secure world. What it reads it stores as words; the DDR is a file that the host reads past the
firewall.
Ref: Arm Architecture Reference Manual (DDI 0487) C6.2 (encodings), D19.2 (SCR_EL3, HCR_EL2, SPSR_EL3)
"""

import io
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import qmp
from mpbench_virtual.recipes_machine import QEMU
from testcases.contract.machine_parts import await_monitor, qemu_of

KIND = KINDS["mp25"]
DDR, DDR_SIZE = 0x8000_0000, 0x1000_0000
KERNEL = 0x8400_0000
"""Where the machine puts -kernel: here the non-secure part of the program, then files that it copies."""
FILES = KERNEL + 0x10_0000
SECURE_WORDS, NONSECURE_WORDS = 0x8C00_0000, 0x8700_0000
DONE = 0x646F_6E65
DEADLINE_S = 60.0
RISAF4, RISAB1, RIFSC, IAC, RCC, A35SSC = (
    0x420D_0000,
    0x420F_0000,
    0x4208_0000,
    0x4209_0000,
    0x4420_0000,
    0x4880_0000,
)
EL0, EL1, EL2 = 0x3C0, 0x3C5, 0x3C9
"""SPSR_EL3: AArch64 with its own stack pointer, all interrupts masked."""
FIP = struct.Struct("<16sQQQ")
IMAGES = {
    "bl31": bytes.fromhex("47d4086d4cfe98469b952950cbbd5a00"),
    "soc-fw-config": bytes.fromhex("9979814b0376fb468c8e8d267f7859e0"),
    "bl32": bytes.fromhex("05d0e18953dc13478d2b500a4b7a3e38"),
}
"""Ref: TF-A include/tools_share/firmware_image_package.h"""


class Program:
    """Steps in the order in which they are asked for; `read` returns the number of its word."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._secure = b""
        self._words = SECURE_WORDS
        self._n = 0
        self.files = b""

    def _emit(self, *instructions: int) -> None:
        self._code += struct.pack(f"<{len(instructions)}I", *instructions)

    def _load(self, register: int, value: int) -> None:
        parts = [value >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
        self._emit(0xD280_0000 | parts[0] << 5 | register)  # movz
        for n, part in enumerate(parts[1:], 1):
            if part:
                self._emit(0xF280_0000 | n << 21 | part << 5 | register)  # movk

    def write(self, address: int, value: int) -> None:
        self._load(1, address)
        self._load(2, value)
        self._emit(0xB900_0022)  # str w2, [x1]

    def read(self, address: int) -> int:
        self._load(1, address)
        self._emit(0xB940_0022)  # ldr w2, [x1]
        self._load(1, self._words + 4 * self._n)
        self._emit(0xB900_0022)
        self._n += 1
        return self._n - 1

    def until(self, address: int, value: int) -> None:
        """Waits until a word has this value."""
        self._wait(address, value, 0x54FF_FFC1)  # b.ne .-8

    def until_not(self, address: int, value: int) -> None:
        """Waits until a word has another value."""
        self._wait(address, value, 0x54FF_FFC0)  # b.eq .-8

    def _wait(self, address: int, value: int, branch: int) -> None:
        self._load(1, address)
        self._load(3, value)
        self._emit(0xB940_0022, 0x6B03_005F, branch)  # ldr w2, [x1]; cmp w2, w3

    def copy(self, data: bytes, address: int) -> None:
        """Puts data, which comes with the program, into memory."""
        data += bytes(-len(data) % 4)
        self._load(0, FILES + len(self.files))
        self._load(1, address)
        self._load(3, len(data) // 4)
        # ldr w2, [x0], #4; str w2, [x1], #4; subs x3, x3, #1; b.ne .-12
        self._emit(0xB840_4402, 0xB800_4422, 0xF100_0463, 0x54FF_FFA1)
        self.files += data

    def firmware(self, elf: bytes) -> None:
        """Puts a firmware's segments where it runs."""
        for segment in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD"):
            if segment.data():
                self.copy(segment.data(), segment["p_paddr"])

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
        self._secure, self._code, self._words, self._n = bytes(self._code), bytearray(), NONSECURE_WORDS, 0

    def _finish(self) -> None:
        """The words are there."""
        self.write(self._words + 0xFFC, DONE)

    def images(self) -> tuple[bytes, bytes]:
        """BL31, and what is at KERNEL."""
        self._finish()
        self._emit(0x1400_0000)  # b .
        if not self._secure:
            return bytes(self._code), bytes(FILES - KERNEL) + self.files
        return self._secure, bytes(self._code).ljust(FILES - KERNEL, b"\0") + self.files


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


class Run:
    """The machine as the program runs on it."""

    def __init__(self, ddr: Path, monitor: Path) -> None:
        self._ddr, self._monitor = ddr, monitor

    def ddr(self, address: int, size: int) -> bytes:
        """Memory, past the firewall."""
        with self._ddr.open("rb") as file:
            file.seek(address - DDR)
            return file.read(size)

    def memory(self, address: int, size: int) -> bytes:
        """Memory as the non-secure Cortex-A35 sees it."""
        file = self._ddr.with_name("memory")
        qmp(self._monitor, "pmemsave", val=address, size=size, filename=str(file))
        return file.read_bytes()

    def words(self, base: int = SECURE_WORDS) -> tuple[int, ...]:
        """What the program has read, once all of it is there."""
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            found: tuple[int, ...] = struct.unpack("<1024I", self.ddr(base, 0x1000))
            if found[-1] == DONE:
                return found[:-1]
        raise AssertionError("the program does not come to its end")

    def text(self, address: int, wanted: str) -> str:
        """A trace buffer, once it has `wanted`; in the DDR, else in LPSRAM."""
        read = self.ddr if address >= DDR else self.memory
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            seen = read(address, 0x1000).split(b"\0")[0].decode(errors="replace")
            if wanted in seen:
                return seen
        raise AssertionError(f"no {wanted!r}: {seen!r}")


@contextmanager
def running(program: Program, directory: Path) -> Iterator[Run]:
    """The machine, from power on, with this program."""
    bl31, kernel = program.images()
    files = {
        "fip.bin": package({"bl31": bl31, "soc-fw-config": b"none", "bl32": b"none"}),
        "kernel": kernel,
        "tree.dts": DEVICE_TREE.encode(),
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    tree, ddr, monitor = directory / "tree.dtb", directory / "ddr", directory / "qmp.sock"
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tree, directory / "tree.dts"], check=True)
    argv: list[str | Path] = [qemu_of(KIND) / QEMU, "-M", f"{KIND.machine},memory-backend=ddr"]
    argv += ["-object", f"memory-backend-file,id=ddr,size={DDR_SIZE},share=on,mem-path={ddr}"]
    argv += ["-m", f"{DDR_SIZE >> 20}M", "-nodefaults", "-display", "none", "-d", "guest_errors,cpu_reset"]
    argv += ["-bios", directory / "fip.bin", "-kernel", directory / "kernel", "-dtb", tree]
    argv += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    with (directory / "qemu.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            await_monitor(monitor, process)
            yield Run(ddr, monitor)
        finally:
            process.kill()


def flags(words: Iterable[int]) -> list[int]:
    """Ids of illegal accesses: those of the words of IAC_ISR0 to 5."""
    return [32 * n + bit for n, word in enumerate(words) for bit in range(32) if word >> bit & 1]
