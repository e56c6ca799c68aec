# SPDX-License-Identifier: MIT
"""Linux' own loader: what it answers to a file for a core that it manages itself, without a TEE.

Positions are absolute in the file, and wrap as the kernel's addresses do. Linux checks fewer bounds than the
TEE: where it reads past the file, the answer is undetermined (errno None). It does not look at the machine
that an ELF is for, so neither does this.

Ref: Linux drivers/remoteproc/remoteproc_elf_loader.c: rproc_elf_sanity_check(), find_table(),
     rproc_elf_load_segments(), rproc_elf_find_loaded_rsc_table(); remoteproc_core.c: rproc_fw_boot(),
     rproc_start(); stm32_rproc.c: stm32_rproc_parse_fw(); versions as in linux_table.py
"""

import struct
from typing import Final

from attrs import define, field, frozen

from mpbench import layout
from mpbench.twin import linux_table
from mpbench.twin.linux_values import Carveout, LinuxSide, Refused, TableAnswer, linux_side, place_of, signed
from mpbench.twin.memory import Core
from mpbench.twin.profile import Profile
from mpbench.twin.values import Write, part

EI_DATA: Final = 5
LITTLE_ENDIAN: Final = 1
NO_TABLE: Final = "no resource table found for this firmware"
UNREAD: Final = (
    "the core's driver reads no resource table: no trace buffer in debugfs, no RPMsg, no core dump"
)
U64: Final = (1 << 64) - 1


@frozen
class LinuxOutcome:
    """Answer to the write of `start`.

    errno: "OK", an errno's name, None where it is undetermined
    why:   in words, what an undetermined answer depends on
    lines: the kernel's warnings and errors in order, without their prefix
    notes: reasons that no line gives, and what does not work although the core starts
    writes, constant: what is loaded (before a refusal too), and what of it neither the firmware nor Linux
                      writes to
    table: the resource table of the file, b"" without one that Linux takes
    installed: physical address and content of the table that Linux copies to the core, None for none
    boot_address: entry point of the ELF, which Linux gives to drivers that ask for it
    unshown: device address of the trace buffer that the file's table names, where the core's driver does not
             look at it: Linux shows no such buffer, but the firmware writes it; None otherwise
    """

    errno: str | None
    why: str = ""
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()
    constant: tuple[Write, ...] = ()
    table: bytes = b""
    installed: tuple[int, bytes] | None = field(default=None, repr=False)
    boot_address: int = 0
    unshown: int | None = None
    image: bytes = field(default=b"", repr=False, eq=False)


@frozen
class ElfClass:
    """Headers of 32 or 64 bits, and the numbers that are read of a row.

    segment: p_type, p_offset, p_paddr, p_filesz, p_memsz; section: sh_name, sh_addr, sh_offset, sh_size
    flags, offset: where p_flags and sh_offset are, of 4 bytes and of the class's size
    """

    head: struct.Struct
    program_bytes: int
    program: struct.Struct
    flags: int
    section_bytes: int
    section: struct.Struct
    offset: struct.Struct


CLASSES: Final = {
    1: ElfClass(
        layout.EHDR, 32, struct.Struct("<2I4x3I"), 24, 40, struct.Struct("<I8x3I"), struct.Struct("<16xI")
    ),
    2: ElfClass(
        struct.Struct("<16s2HI3QI6H"), 56, struct.Struct("<I4xQ8x3Q"), 4, 64,
        struct.Struct("<I12x3Q"), struct.Struct("<24xQ"),
    ),
}  # fmt: skip


@frozen
class Head:
    """What is read from the ELF header."""

    kind: ElfClass
    entry: int
    phoff: int
    shoff: int
    phnum: int
    shnum: int
    shstrndx: int


@define
class _Boot:
    """One run of rproc_fw_boot."""

    image: bytes
    linux: LinuxSide
    lines: list[str] = field(factory=list)
    writes: list[Write] = field(factory=list)
    constant: list[Write] = field(factory=list)

    def row(self, shape: struct.Struct, at: int) -> tuple[int, ...]:
        """Numbers at an address. Refused(None) outside of the file."""
        at &= self.linux.mask
        if at + shape.size > len(self.image):
            raise self.outside(at)
        return shape.unpack_from(self.image, at)

    def outside(self, at: int) -> Refused:
        """Why a read at an address outside of the file is undetermined: one that has wrapped is in front."""
        where = "in front of" if at > self.linux.mask // 2 else "past"
        return Refused(None, why=f"Linux reads {where} the file")

    def names(self, at: int, wanted: bytes) -> bool:
        """strcmp: whether that string is at an address, read as far as it is equal."""
        for index, byte in enumerate(wanted):
            here = at + index & self.linux.mask
            if here >= len(self.image):
                raise self.outside(here)
            if self.image[here] != byte:
                return False
        return True

    def find_table(self, head: Head) -> tuple[int, bytes] | None:
        """find_table: device address and content; None without one, and for a bad one, which is reported."""
        kind, image = head.kind, self.image
        (names,) = self.row(kind.offset, head.shoff + head.shstrndx * kind.section_bytes)
        for index in range(head.shnum):
            at = head.shoff + index * kind.section_bytes
            name, da, offset, size = self.row(kind.section, at)
            if not self.names(names + name, layout.RESOURCE_SECTION + b"\0"):
                continue
            problem = _table_problem(image, offset, size)
            if problem:
                self.lines.append(problem)
                return None
            return da, image[offset : offset + size]
        return None

    def load_segments(self, head: Head, carveouts: tuple[Carveout, ...]) -> None:
        """rproc_elf_load_segments: writes to memory in order, and those of them that the firmware keeps."""
        kind = head.kind
        for index in range(head.phnum):
            at = head.phoff + index * kind.program_bytes
            p_type, offset, da, filesz, memsz = self.row(kind.program, at)
            if p_type != layout.PT_LOAD or not memsz:
                continue
            end = offset + filesz & U64
            if filesz > memsz:
                raise Refused("EINVAL", f"bad phdr filesz {filesz:#x} memsz {memsz:#x}")
            if end > len(self.image):
                raise Refused("EINVAL", f"truncated fw: need {end:#x} avail {len(self.image):#x}")
            if memsz > self.linux.mask:
                raise Refused("EOVERFLOW", f"size ({memsz:x}) does not fit in size_t type")
            found = place_of(carveouts, da, memsz, self.linux.mask)
            if found is None:
                raise Refused("EINVAL", f"bad phdr da {da:#x} mem {memsz:#x}")
            if offset > end:
                raise Refused(None, why="Linux reads in front of the file")
            flags = (
                self.row(struct.Struct("<I"), at + kind.flags)[0]
                if at + kind.flags + 4 <= len(self.image)
                else 0
            )
            self.write(found, (offset, filesz, memsz), keeps=not flags & layout.PF_W)

    def write(self, found: tuple[Carveout, int], what: tuple[int, int, int], *, keeps: bool) -> None:
        """Data and zeros of a segment; memory that Linux has allocated has no address here."""
        (carveout, at), (offset, filesz, memsz) = found, what
        if carveout.pa is None:
            return
        pa = carveout.pa + at
        if filesz:
            self.writes.append(Write(pa, filesz, offset))
            self.constant += self.writes[-1:] if keeps else []
        if memsz > filesz:
            self.writes.append(Write(pa + filesz, memsz - filesz))


def start(image: bytes, profile: Profile, core: Core | str | int) -> LinuxOutcome:
    """Answer to a start of the core, which is offline, with `image` as its firmware. Never raises."""
    return boot(image, linux_side(profile, core))


def boot(image: bytes, linux: LinuxSide) -> LinuxOutcome:
    """rproc_fw_boot, with stm32_rproc_parse_fw: a bad table is no table, and a core may start without.

    A driver without parse_fw and find_loaded_rsc_table, as ST's for the M0, leaves the table alone.
    """
    run = _Boot(image, linux)
    entry, table, answer, unshown = 0, b"", TableAnswer(None), None
    try:
        head = sanity_check(image, linux)
        entry = head.entry
        if linux.reads_table:
            found = run.find_table(head)
            table = found[1] if found else b""
            run.lines += [] if found else [NO_TABLE]
        else:
            unshown = _trace_of(_Boot(image, linux), head)
        answer = linux_table.handle(table, linux)
        run.lines += answer.lines
        if answer.errno != "OK":
            raise Refused(answer.errno, why=answer.why)
        installed = _loaded(run, head, answer)
        notes = answer.notes if linux.reads_table else (*answer.notes, UNREAD)
        run.lines += answer.started
    except Refused as refused:
        lines = (*run.lines, refused.line) if refused.line else tuple(run.lines)
        return LinuxOutcome(
            refused.errno, refused.why, lines, answer.notes, tuple(run.writes), (), table, None, entry,
            None, image,
        )  # fmt: skip
    untouched = _untouched(run.constant, installed, table)
    return LinuxOutcome(
        "OK", "", tuple(run.lines), notes, tuple(run.writes), untouched, table, installed, entry,
        unshown, image,
    )  # fmt: skip


def _trace_of(run: _Boot, head: Head) -> int | None:
    """Device address of the first trace buffer in the file's table, None without one that is sound."""
    try:
        found = run.find_table(head)
    except Refused:
        return None
    return linux_table.trace_buffer(found[1]) if found else None


def _loaded(run: _Boot, head: Head, answer: TableAnswer) -> tuple[int, bytes] | None:
    """rproc_start up to the start: segments, then the table at its address if that is memory of the core."""
    try:
        run.load_segments(head, answer.carveouts)
    except Refused as refused:
        number = {"EINVAL": -22, "EOVERFLOW": -75}.get(refused.errno or "")
        if number is None:
            raise
        run.lines.append(refused.line)
        oops = linux_table.OOPS if linux_table.OOPS in answer.notes else ""
        line = f"Failed to load program segments: {number}"
        raise Refused(None if oops else refused.errno, line, oops) from refused
    found = run.find_table(head) if run.linux.reads_table else None
    place = found and place_of(answer.carveouts, found[0], len(found[1]), run.linux.mask)
    if not place or place[0].pa is None:
        return None
    return place[0].pa + place[1], answer.table


def _untouched(constant: list[Write], installed: tuple[int, bytes] | None, table: bytes) -> tuple[Write, ...]:
    """What stays constant although Linux writes to the table that it has installed."""
    if installed is None or installed[1] == table:
        return tuple(constant)
    return tuple(cut(constant, installed[0], len(table)))


def cut(writes: list[Write] | tuple[Write, ...], pa: int, size: int) -> list[Write]:
    """The writes without what is in a range of physical addresses."""
    found = []
    for write in writes:
        end = write.pa + write.size
        found += part(write, write.pa, min(end, pa)) + part(write, max(write.pa, pa + size), end)
    return found


def sanity_check(image: bytes, linux: LinuxSide) -> Head:
    """rproc_elf_sanity_check."""
    if len(image) < layout.EHDR.size:
        raise Refused("EINVAL", "Image is too small")
    if not image.startswith(layout.ELF_MAGIC):
        raise Refused("EINVAL", "Image is corrupted (bad magic)")
    number = image[layout.EI_CLASS]
    if number not in CLASSES:
        raise Refused("EINVAL", f"Unsupported class: {number}")
    kind = CLASSES[number]
    if len(image) < kind.head.size:
        raise Refused("EINVAL", "elf64 header is too small")
    if image[EI_DATA] != LITTLE_ENDIAN:
        raise Refused("EINVAL", "Unsupported firmware endianness")
    row = kind.head.unpack_from(image)
    head = Head(kind, row[4], row[5], row[6], row[10], row[12], row[13])
    _check_sections(head, len(image), linux)
    if not head.phnum:
        raise Refused("EINVAL", "No loadable segments")
    if head.phoff > len(image):
        raise Refused("EINVAL", "Firmware size is too small")
    return head


def _check_sections(head: Head, size: int, linux: LinuxSide) -> None:
    """The bounds of the section headers; older kernels look at the first one only."""
    shoff, one = head.shoff, head.kind.section_bytes
    if not linux.kernel.bounds:
        if size < (shoff + one & U64):
            raise Refused("EINVAL", "Image is too small")
        return
    if shoff > size:
        raise Refused("EINVAL", "Section header table is out of bounds")
    if head.shnum and shoff + head.shnum * one > size:
        raise Refused("EINVAL", "Section headers are out of bounds")
    if shoff + (head.shstrndx + 1) * one > size:
        raise Refused("EINVAL", "Image is too small")


def _table_problem(image: bytes, offset: int, size: int) -> str:
    """What find_table reports of a section with the table's name, "" for nothing."""
    if not size <= (offset + size & U64) <= len(image):
        return "resource table truncated"
    if size < layout.RESOURCE_HEAD.size:
        return "header-less resource table"
    version, count, *reserved = layout.RESOURCE_HEAD.unpack_from(image, offset)
    if version != layout.RESOURCE_VERSION:
        return f"unsupported fw ver: {signed(version)}"
    if any(reserved):
        return "non zero reserved bytes"
    return "resource table incomplete" if layout.RESOURCE_HEAD.size + 4 * count > size else ""
