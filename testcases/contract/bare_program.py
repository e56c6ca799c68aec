# SPDX-License-Identifier: MIT
"""A program of one's own on a machine of ours, in place of its first secure software.

The program is straight-line code that runs in the secure world with caches and MMU off, and later, if it
wants to, in the non-secure one. What it reads it stores as words. The DDR is a file that the host reads past
the firewall. A subclass has the instructions.
"""

import io
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from attrs import frozen
from elftools.elf.elffile import ELFFile

from mpbench_virtual.models import BoardKind
from mpbench_virtual.qemu import qmp
from mpbench_virtual.recipes_machine import QEMU
from testcases.contract.machine_parts import await_monitor, qemu_of

DONE = 0x646F_6E65
DEADLINE_S = 60.0


@frozen
class Layout:
    """Where things are on a machine, in bytes.

    kernel: where it puts -kernel: here the non-secure part of the program, then files that it copies
    secure_words, nonsecure_words: what the program has read in each world
    """

    kind: BoardKind
    ddr: int
    ddr_size: int
    kernel: int
    secure_words: int
    nonsecure_words: int

    @property
    def files(self) -> int:
        """Where the files are that the program copies."""
        return self.kernel + 0x10_0000


@frozen
class Codes:
    """Instructions. Register 1 has an address, 2 a word that is read or written, 3 one to compare.

    copy: of register 3's number of words from register 0's address
    stay: at the program's end the CPU waits, so that QEMU's thread of it does
    """

    store: int
    load: int
    compare: int
    while_other: int
    copy: tuple[int, ...]
    stay: tuple[int, ...]


class BareProgram:
    """Steps in the order in which they are asked for; `read` returns the number of its word."""

    layout: ClassVar[Layout]
    codes: ClassVar[Codes]

    def __init__(self, words: int | None = None) -> None:
        self._code = bytearray()
        self._secure = b""
        self._words = self.layout.secure_words if words is None else words
        self._n = 0
        self.files = b""

    def _emit(self, *instructions: int) -> None:
        self._code += struct.pack(f"<{len(instructions)}I", *instructions)

    def _load(self, register: int, value: int) -> None:
        """A constant into a register."""
        raise NotImplementedError

    def _store_read(self, store: int) -> int:
        """What `store` writes to register 1's address is the next word; its number."""
        self._load(1, self._words + 4 * self._n)
        self._emit(store)
        self._n += 1
        return self._n - 1

    def write(self, address: int, value: int) -> None:
        self._load(1, address)
        self._load(2, value)
        self._emit(self.codes.store)

    def read(self, address: int) -> int:
        self._load(1, address)
        self._emit(self.codes.load)
        return self._store_read(self.codes.store)

    def until(self, address: int, value: int) -> None:
        """Waits until a word has this value."""
        self._wait(address, value, self.codes.while_other)

    def _wait(self, address: int, value: int, branch: int) -> None:
        self._load(1, address)
        self._load(3, value)
        self._emit(self.codes.load, self.codes.compare, branch)

    def copy(self, data: bytes, address: int) -> None:
        """Puts data, which comes with the program, into memory."""
        data += bytes(-len(data) % 4)
        self._load(0, self.layout.files + len(self.files))
        self._load(1, address)
        self._load(3, len(data) // 4)
        self._emit(*self.codes.copy)
        self.files += data

    def firmware(self, elf: bytes) -> None:
        """Puts a firmware's segments where it runs."""
        for segment in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD"):
            if segment.data():
                self.copy(segment.data(), self._seen_at(segment["p_paddr"]))

    def _seen_at(self, address: int) -> int:
        """A coprocessor's address, as the Cortex-A has it."""
        return address

    def _other_world(self) -> None:
        """What follows is the non-secure part."""
        self._secure, self._code = bytes(self._code), bytearray()
        self._words, self._n = self.layout.nonsecure_words, 0

    def _finish(self) -> None:
        """The words are there."""
        self.write(self._words + 0xFFC, DONE)

    def images(self) -> tuple[bytes, bytes]:
        """The secure part, and what is at KERNEL."""
        self._finish()
        self._emit(*self.codes.stay)
        room = self.layout.files - self.layout.kernel
        if not self._secure:
            return bytes(self._code), bytes(room) + self.files
        return self._secure, bytes(self._code).ljust(room, b"\0") + self.files


class Run:
    """The machine as the program runs on it; pid: QEMU's."""

    def __init__(self, layout: Layout, directory: Path, pid: int) -> None:
        self._layout, self.pid = layout, pid
        self._ddr, self._monitor, self._log = (directory / name for name in ("ddr", "qmp.sock", "qemu.log"))

    def ddr(self, address: int, size: int) -> bytes:
        """Memory, past the firewall."""
        with self._ddr.open("rb") as file:
            file.seek(address - self._layout.ddr)
            return file.read(size)

    def memory(self, address: int, size: int) -> bytes:
        """Memory as the non-secure Cortex-A sees it."""
        file = self._ddr.with_name("memory")
        qmp(self._monitor, "pmemsave", val=address, size=size, filename=str(file))
        return file.read_bytes()

    def _page(self, address: int) -> bytes:
        """4 KiB: in the DDR, else where nothing hides them."""
        return (self.ddr if address >= self._layout.ddr else self.memory)(address, 0x1000)

    def words(self, base: int | None = None) -> tuple[int, ...]:
        """What the program has read, once all of it is there; in the secure world, if no place is given."""
        at = self._layout.secure_words if base is None else base
        until_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < until_s:
            found: tuple[int, ...] = struct.unpack("<1024I", self._page(at))
            if found[-1] == DONE:
                return found[:-1]
        raise AssertionError("the program does not come to its end")

    def text(self, address: int, wanted: str) -> str:
        """A trace buffer, once it has `wanted`."""
        return _awaited(wanted, lambda: self._page(address).split(b"\0")[0])

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
def machine(layout: Layout, directory: Path, *words: str | Path) -> Iterator[Run]:
    """The machine, from power on, whose DDR is a file."""
    kind, monitor = layout.kind, directory / "qmp.sock"
    backend = f"memory-backend-file,id=ddr,size={layout.ddr_size},share=on,mem-path={directory / 'ddr'}"
    argv: list[str | Path] = [qemu_of(kind) / QEMU, "-M", f"{kind.machine},memory-backend=ddr"]
    argv += ["-object", backend, "-m", f"{layout.ddr_size >> 20}M"]
    argv += ["-nodefaults", "-display", "none", "-d", "guest_errors,cpu_reset"]
    argv += ["-qmp", f"unix:{monitor},server=on,wait=off", *words]
    with (directory / "qemu.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            await_monitor(monitor, process)
            yield Run(layout, directory, process.pid)
        finally:
            process.kill()


def started_by(firmware: bytes, kernel: bytes, tree: str, directory: Path) -> tuple[str | Path, ...]:
    """QEMU's arguments for a start from memory; the files that they name."""
    for name, data in {"firmware": firmware, "kernel": kernel, "tree.dts": tree.encode()}.items():
        (directory / name).write_bytes(data)
    blob = directory / "tree.dtb"
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", blob, directory / "tree.dts"], check=True)
    return "-bios", directory / "firmware", "-kernel", directory / "kernel", "-dtb", blob
