# SPDX-License-Identifier: MIT
"""Linux' own loader: what it answers to a file for a core that it manages itself, without a TEE.

Positions are absolute in the file. Linux checks fewer bounds than the TEE: where it reads past the file, the
answer is undetermined (errno None). It does not look at the machine that an ELF is for, so neither does this.

The checks are those of 6.12.117; 6.12.107 did not look at where the section headers end.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_elf_loader.c: rproc_elf_sanity_check(), find_table(),
     rproc_elf_load_segments(); remoteproc_core.c: rproc_fw_boot(), rproc_da_to_va(); stm32_rproc.c:
     stm32_rproc_prepare(), stm32_rproc_parse_fw()
"""

import struct
from typing import Final

from attrs import field, frozen

from mpbench import layout
from mpbench.twin import linux
from mpbench.twin.memory import Core, Region
from mpbench.twin.values import Write

EI_DATA: Final = 5
LITTLE_ENDIAN: Final = 1
NOT_LOADABLE: Final = "vdev0buffer"
"""Memory for virtio's buffers, which the driver does not map for segments."""


class Refused(Exception):
    """A check has failed: errno (None: undetermined), the kernel's line."""

    def __init__(self, errno: str | None, line: str) -> None:
        super().__init__(line)
        self.errno, self.line = errno, line


@frozen
class LinuxOutcome:
    """Answer to the write of `start`.

    errno: "OK", an errno's name, None where it is undetermined
    line:  the kernel's line that names the reason, without its prefix; "" without one
    writes, constant: what is loaded, and those of it that the firmware cannot write to
    table: the resource table that Linux handles, b"" without one
    """

    errno: str | None
    line: str = ""
    writes: tuple[Write, ...] = ()
    constant: tuple[Write, ...] = ()
    table: bytes = b""
    image: bytes = field(default=b"", repr=False, eq=False)


@frozen
class ElfClass:
    """Headers of 32 or 64 bits; `program` and `section` say where in a row the fields are that are read."""

    head: struct.Struct
    program_header: struct.Struct
    program: tuple[int, ...]  # p_type, p_offset, p_paddr, p_filesz, p_memsz, p_flags
    section_header: struct.Struct
    section: tuple[int, ...] = (0, 4, 5)  # sh_name, sh_offset, sh_size


CLASSES: Final = {
    1: ElfClass(layout.EHDR, layout.PHDR, (0, 1, 3, 4, 5, 6), layout.SHDR),
    2: ElfClass(
        struct.Struct("<16s2HI3QI6H"), struct.Struct("<2I6Q"), (0, 2, 4, 5, 6, 1), struct.Struct("<2I4Q2I2Q")
    ),
}


@frozen
class Head:
    """What is read from the ELF header."""

    kind: ElfClass
    phoff: int
    shoff: int
    phnum: int
    shnum: int
    shstrndx: int


def start(image: bytes, core: Core) -> LinuxOutcome:
    """Answer to a start of the core, which is offline, with `image` as its firmware. Never raises."""
    table = b""
    try:
        head = sanity_check(image)
        table = find_table(image, head)
        answer = linux.errno(table) if table else "OK"
        if answer != "OK":
            raise Refused(answer, "Failed to process resources")
        writes, constant = load_segments(image, head, core)
    except Refused as refused:
        return LinuxOutcome(refused.errno, refused.line, table=table)
    return LinuxOutcome("OK", "", writes, constant, table, image)


def sanity_check(image: bytes) -> Head:
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
    phoff, shoff, phnum, shnum, shstrndx = row[5], row[6], row[10], row[12], row[13]
    if shoff > len(image):
        raise Refused("EINVAL", "Section header table is out of bounds")
    if shnum and shoff + shnum * kind.section_header.size > len(image):
        raise Refused("EINVAL", "Section headers are out of bounds")
    if shoff + (shstrndx + 1) * kind.section_header.size > len(image):
        raise Refused("EINVAL", "Image is too small")
    if not phnum:
        raise Refused("EINVAL", "No loadable segments")
    if phoff > len(image):
        raise Refused("EINVAL", "Firmware size is too small")
    return Head(kind, phoff, shoff, phnum, shnum, shstrndx)


def _row(image: bytes, shape: struct.Struct, at: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
    if at + shape.size > len(image):
        raise Refused(None, "")  # Linux reads past the file
    row = shape.unpack_from(image, at)
    return tuple(row[index] for index in wanted)


def find_table(image: bytes, head: Head) -> bytes:
    """find_table: the resource table; b"" without one, and for a bad one, without which the core starts."""
    shape = head.kind.section_header
    _, names, _ = _row(image, shape, head.shoff + head.shstrndx * shape.size, head.kind.section)
    wanted = layout.RESOURCE_SECTION + b"\0"
    for index in range(head.shnum):
        name, offset, size = _row(image, shape, head.shoff + index * shape.size, head.kind.section)
        if names + name >= len(image):
            raise Refused(None, "")
        if image[names + name : names + name + len(wanted)] == wanted:
            table = image[offset : offset + size]
            whole = offset + size <= len(image) and len(table) >= layout.RESOURCE_HEAD.size
            return table if whole and linux.is_sound(table) else b""
    return b""


def load_segments(image: bytes, head: Head, core: Core) -> tuple[tuple[Write, ...], tuple[Write, ...]]:
    """rproc_elf_load_segments: writes to memory in order, and those of them that stay as they are."""
    writes, constant = [], []
    for index in range(head.phnum):
        at = head.phoff + index * head.kind.program_header.size
        kind, offset, da, filesz, memsz, flags = _row(image, head.kind.program_header, at, head.kind.program)
        if kind != layout.PT_LOAD or not memsz:
            continue
        if filesz > memsz:
            raise Refused("EINVAL", f"bad phdr filesz {filesz:#x} memsz {memsz:#x}")
        if offset + filesz > len(image):
            raise Refused("EINVAL", f"truncated fw: need {offset + filesz:#x} avail {len(image):#x}")
        if memsz >> 32:
            raise Refused("EOVERFLOW", f"size ({memsz:x}) does not fit in size_t type")
        region = _region_of(core, da, memsz)
        if region is None:
            raise Refused("EINVAL", f"bad phdr da {da:#x} mem {memsz:#x}")
        pa = da - region.da + region.pa
        if filesz:
            writes.append(Write(pa, filesz, offset))
            constant += writes[-1:] if not flags & layout.PF_W else []
        if memsz > filesz:
            writes.append(Write(pa + filesz, memsz - filesz))
    return tuple(writes), tuple(constant)


def _region_of(core: Core, da: int, size: int) -> Region | None:
    """rproc_da_to_va: the first carveout that holds all of it."""
    for region in core.regions:
        if region.name != NOT_LOADABLE and region.da <= da and da + size <= region.da + region.size:
            return region
    return None
