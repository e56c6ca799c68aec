# SPDX-License-Identifier: MIT
"""A program of one's own on the machine of an STM32MP157C-DK2, in place of OP-TEE: what a Cortex-A7 does.

The program is straight-line A32 code that runs in the secure world with caches and MMU off, and later, if it
wants to, in the non-secure one. What it reads it stores as words; a data abort gives ABORT in place of what
is read, and goes on. The DDR is a file that the host reads past the firewall.
Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406) A8.8 (encodings), B1.9 (exceptions), B4.1.129 (SCR)
"""

import io
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mpbench_virtual import card
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import qmp
from mpbench_virtual.recipes_machine import QEMU
from testcases.contract.machine_parts import await_monitor, qemu_of

KIND = KINDS["mp15-debian"]
DDR, DDR_SIZE = 0xC000_0000, 0x2000_0000
SYSRAM, RETRAM, ROM = 0x2FFC_0000, 0x3800_0000, 0
FSBL = SYSRAM + 0x2500
"""Where a first loader goes that an SD card has."""
KERNEL = 0xC200_0000
"""Where the machine puts -kernel: here the non-secure part of the program, then files that it copies."""
FILES = KERNEL + 0x10_0000
SECURE_WORDS, NONSECURE_WORDS = 0xC800_0000, 0xC900_0000
DONE, ABORT = 0x646F_6E65, 0x6162_7274
DEADLINE_S = 60.0
ETZPC, TZC, RCC = 0x5C00_7000, 0x5C00_6000, 0x5000_0000
SVC = 0x1D3
"""CPSR: supervisor mode, all interrupts and asynchronous aborts masked."""


class Program:
    """Steps in the order in which they are asked for; `read` returns the number of its word."""

    def __init__(self, base: int = SYSRAM, words: int = SECURE_WORDS) -> None:
        self._code = bytearray()
        self._secure = b""
        self._words = words
        self._n = 0
        self.files = b""
        self._begin(base)

    def _emit(self, *instructions: int) -> None:
        self._code += struct.pack(f"<{len(instructions)}I", *instructions)

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

    def write(self, address: int, value: int) -> None:
        self._load(1, address)
        self._load(2, value)
        self._emit(0xE581_2000)  # str r2, [r1]

    def read(self, address: int) -> int:
        self._load(1, address)
        self._emit(0xE591_2000)  # ldr r2, [r1]
        return self._store(2)

    def aborts(self) -> int:
        """How many accesses have ended in a data abort; those of this world."""
        return self._store(4)

    def _store(self, register: int) -> int:
        self._load(1, self._words + 4 * self._n)
        self._emit(0xE581_0000 | register << 12)
        self._n += 1
        return self._n - 1

    def until(self, address: int, value: int) -> None:
        """Waits until a word has this value."""
        self._load(1, address)
        self._load(3, value)
        self._emit(0xE591_2000, 0xE152_0003, 0x1AFF_FFFC)  # ldr r2, [r1]; cmp r2, r3; bne .-8

    def copy(self, data: bytes, address: int) -> None:
        """Puts data, which comes with the program, into memory."""
        data += bytes(-len(data) % 4)
        self._load(0, FILES + len(self.files))
        self._load(1, address)
        self._load(3, len(data) // 4)
        # ldr r2, [r0], #4; str r2, [r1], #4; subs r3, r3, #1; bne .-12
        self._emit(0xE490_2004, 0xE481_2004, 0xE253_3001, 0x1AFF_FFFB)
        self.files += data

    def firmware(self, elf: bytes) -> None:
        """Puts an M4's firmware where it runs, and its vectors into RETRAM, which the M4 sees at 0."""
        for segment in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD"):
            if segment.data():
                at = segment["p_paddr"]
                self.copy(segment.data(), at if at >= 0x1000_0000 else RETRAM + at)

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
        self._secure, self._code, self._words, self._n = bytes(self._code), bytearray(), NONSECURE_WORDS, 0
        self._begin(KERNEL)

    def _finish(self) -> None:
        """The words are there."""
        self.write(self._words + 0xFFC, DONE)

    def images(self) -> tuple[bytes, bytes]:
        """What is at SYSRAM, and what is at KERNEL."""
        self._finish()
        self._emit(0xEAFF_FFFE)  # b .
        if not self._secure:
            return bytes(self._code), bytes(FILES - KERNEL) + self.files
        return self._secure, bytes(self._code).ljust(FILES - KERNEL, b"\0") + self.files


DEVICE_TREE = """/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>; compatible = "st,stm32mp157";
    interrupt-controller@a0021000 { phandle = <1>; }; };
"""


class Run:
    """The machine as the program runs on it."""

    def __init__(self, directory: Path) -> None:
        self._ddr, self._monitor, self._log = (directory / name for name in ("ddr", "qmp.sock", "qemu.log"))

    def ddr(self, address: int, size: int) -> bytes:
        """Memory, past the firewall."""
        with self._ddr.open("rb") as file:
            file.seek(address - DDR)
            return file.read(size)

    def memory(self, address: int, size: int) -> bytes:
        """Memory as the non-secure Cortex-A7 sees it."""
        file = self._ddr.with_name("memory")
        qmp(self._monitor, "pmemsave", val=address, size=size, filename=str(file))
        return file.read_bytes()

    def words(self, base: int = SECURE_WORDS) -> tuple[int, ...]:
        """What the program has read, once all of it is there."""
        read = self.ddr if base >= DDR else self.memory
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            found: tuple[int, ...] = struct.unpack("<1024I", read(base, 0x1000))
            if found[-1] == DONE:
                return found[:-1]
        raise AssertionError("the program does not come to its end")

    def text(self, address: int, wanted: str) -> str:
        """A trace buffer, once it has `wanted`."""
        return _awaited(wanted, lambda: self.memory(address, 0x1000).split(b"\0")[0])

    def log(self, wanted: str, times: int = 1) -> str:
        """What QEMU says, once it has said `wanted` so often."""
        return _awaited(wanted, self._log.read_bytes, times)


def _awaited(wanted: str, read: Callable[[], bytes], times: int = 1) -> str:
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        seen = read().decode(errors="replace")
        if seen.count(wanted) >= times:
            return seen
    raise AssertionError(f"no {wanted!r}: {seen!r}")


@contextmanager
def _machine(directory: Path, *words: str | Path) -> Iterator[Run]:
    """The machine, from power on, whose DDR is a file."""
    ddr, monitor = directory / "ddr", directory / "qmp.sock"
    argv: list[str | Path] = [qemu_of(KIND) / QEMU, "-M", f"{KIND.machine},memory-backend=ddr"]
    argv += ["-object", f"memory-backend-file,id=ddr,size={DDR_SIZE},share=on,mem-path={ddr}"]
    argv += ["-m", f"{DDR_SIZE >> 20}M", "-nodefaults", "-display", "none", "-d", "guest_errors,cpu_reset"]
    argv += ["-qmp", f"unix:{monitor},server=on,wait=off", *words]
    with (directory / "qemu.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            await_monitor(monitor, process)
            yield Run(directory)
        finally:
            process.kill()


@contextmanager
def running(program: Program, directory: Path) -> Iterator[Run]:
    """The machine with this program in place of OP-TEE, after a boot loader that leaves everything open."""
    secure, kernel = program.images()
    header = struct.pack("<4sBBH5I", b"OPTE", 1, 0, 0, len(secure), 0, SYSRAM, len(secure), 0)
    (directory / "tee.bin").write_bytes(header + secure)
    (directory / "kernel").write_bytes(kernel)
    (directory / "tree.dts").write_text(DEVICE_TREE)
    tree = directory / "tree.dtb"
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tree, directory / "tree.dts"], check=True)
    with _machine(
        directory, "-bios", directory / "tee.bin", "-kernel", directory / "kernel", "-dtb", tree
    ) as run:
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
    with _machine(directory, "-drive", f"if=sd,format=raw,file={directory / 'card.img'}") as run:
        yield run
