# SPDX-License-Identifier: MIT
"""ST's ELF parser: upstream's before its fixes, so that some headers are read before they are checked.

Ref: OP-TEE 4.0.0-stm32mp-r2, ta/remoteproc/src/elf_parser.c. Upstream mended it in commits 5597ed385 and
07917406b. Where a read leaves the file its result depends on what lies there: Stop(reads-outside).
"""

from collections.abc import Iterator

from mpbench import layout
from mpbench.twin.elf_parser import (
    ADDRESS_SIGN,
    E_PHNUM,
    E_PHOFF,
    E_SHNUM,
    E_SHOFF,
    E_SHSTRNDX,
    HEAD,
    SH_ADDR,
    SH_OFFSET,
    SH_SIZE,
    check_table,
)
from mpbench.twin.image import Members, Stop, View

_PHDR, _SHDR = layout.PHDR, layout.SHDR
_NAME = layout.RESOURCE_SECTION + b"\0"
P_TYPE, P_OFFSET, P_PADDR, P_FILESZ = 0, 1, 3, 4


def segments(view: View, at: int, size: int, word_bits: int) -> Iterator[tuple[int, Members]]:
    """e32_parser_load_elf_image: position of the data and program header of every PT_LOAD, in order."""
    head = view.row(HEAD, at)
    offset, count = head[E_PHOFF], head[E_PHNUM]
    headers = at + offset
    if size == 0 or (word_bits == 32 and size >= ADDRESS_SIGN):
        raise Stop("imgsize-zero", f"{size:#x}")
    if headers % 4:
        raise Stop("phdr-unaligned", f"offset {offset:#x}")
    if offset >= size:
        raise Stop("phdr-outside", f"header at {offset:#x} of {size:#x}")
    for here in range(headers, headers + count * _PHDR.size, _PHDR.size):
        view.inside(here, 16)  # p_type and p_paddr are read before anything is checked
        row = view.row(_PHDR, here)
        if row[P_TYPE] != layout.PT_LOAD:
            continue
        if here + _PHDR.size > at + size:
            raise Stop("phdr-outside", f"header at {here - at:#x} of {size:#x}")
        start, end = row[P_OFFSET], row[P_OFFSET] + row[P_FILESZ]
        if word_bits == 32 and end >> 32 and start < size and end % (1 << 32) < size:
            raise Stop("address-wraps", f"{row[P_FILESZ]:#x} bytes at {start:#x}")
        if start >= size or end >= size:  # data that end with the image are refused as well
            raise Stop("segment-outside-image", f"{row[P_FILESZ]:#x} bytes at {start:#x} of {size:#x}")
        yield at + start, row


def find_table(
    view: View, at: int, size: int, word_bits: int, *, checked: bool
) -> tuple[int, int, int] | None:
    """e32_parser_find_rsc_table: device address, size, position; None when the image has no table.

    checked: whether what the table says of itself is checked; in an encrypted image it cannot be read.
    """
    head = view.row(HEAD, at)
    offset, count = head[E_SHOFF], head[E_SHNUM]
    if word_bits == 32 and offset >= ADDRESS_SIGN:
        raise Stop("sections-wrap", f"e_shoff {offset:#x}")
    headers = at + offset
    if headers % 4:
        raise Stop("sections-unaligned", f"e_shoff {offset:#x}")
    if offset >= size:
        raise Stop("sections-outside", f"{count} headers at {offset:#x} of {size:#x}")
    names = view.row(_SHDR, headers + head[E_SHSTRNDX] * _SHDR.size)[SH_OFFSET]
    if names >= size:
        raise Stop("names-outside", f"offset {names:#x} of {size:#x}")
    for here in range(headers, headers + count * _SHDR.size, _SHDR.size):
        if here >= at + size:  # compiled code checks this before it reads sh_offset and sh_size
            raise Stop("sections-outside", f"header at {here - at:#x} of {size:#x}")
        row = view.row(_SHDR, here)
        if view.starts(name_at(at + names, row[0], word_bits), _NAME):
            section = row[SH_ADDR], row[SH_OFFSET], row[SH_SIZE]
            return check_table(view, (at, size), section, head=checked)
    return None


def name_at(names: int, offset: int, word_bits: int) -> int:
    """Position of a section's name; in 32 bits a large offset is a small negative one."""
    return names + offset - ((1 << 32) if word_bits == 32 and offset >= ADDRESS_SIGN else 0)
