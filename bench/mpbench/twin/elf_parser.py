# SPDX-License-Identifier: MIT
"""Upstream's ELF parser: the header, and where the resource table is.

Ref: OP-TEE 4.10 ta/remoteproc/src/elf_parser.c; functions name their C functions. A position is absolute in
the file. Comments name what wraps in a 32-bit build.
"""

import struct
from typing import Final

from mpbench import layout
from mpbench.twin.image import Members, Stop, View

SH_ADDR: Final = 3
SH_OFFSET: Final = 4
SH_SIZE: Final = 5

HEAD = struct.Struct("<28x2I8xH2x2H")
E_PHOFF, E_SHOFF, E_PHNUM, E_SHNUM, E_SHSTRNDX = range(5)
"""The only numbers that the loader reads from the ELF header of every image."""

NAME = struct.Struct("<I36x")
"""The name of a section header."""

ADDRESS_SIGN: Final = 1 << 31
_PHDR_SIZE = layout.PHDR.size
_SHDR, _SHDR_SIZE = layout.SHDR, layout.SHDR.size
_TABLE_NAME = layout.RESOURCE_SECTION + b"\0"
_TABLE_NAME_SIZE = len(_TABLE_NAME)
_PARSE = "Failed to parse firmware, res = 0xffff0005"


def parse_header(view: View, at: int, size: int, word_bits: int) -> None:
    """e32_parse_ehdr, with the length that the header gives for all images."""
    if size < layout.EHDR.size:
        raise Stop("elf-too-small", f"{size} bytes", _PARSE)
    ident, _, _, _, _, _, shoff, _, _, phentsize, phnum, shentsize, _, _ = layout.EHDR.unpack(
        view.part(at, at + layout.EHDR.size)
    )
    sections = shoff + _SHDR_SIZE
    if size < (sections if word_bits == 64 else sections % (1 << 32)):
        raise Stop("elf-sections-outside", f"they would end at {sections:#x} of {size:#x}", _PARSE)
    good = ident.startswith(layout.ELF_MAGIC) and ident[layout.EI_VERSION] == layout.EV_CURRENT
    good = good and ident[layout.EI_CLASS] == layout.ELFCLASS32
    if not good or phentsize != _PHDR_SIZE or shentsize != _SHDR_SIZE:
        what = f"e_ident {ident[:8].hex()}, entry sizes {phentsize} and {shentsize}"
        raise Stop("elf-ident", what, "Invalid header", _PARSE)
    if phnum == 0:
        raise Stop("elf-no-segments", "", "No loadable segment found", _PARSE)


def find_table(
    view: View, image: tuple[int, int], head: Members, word_bits: int
) -> tuple[int, int, int] | None:
    """e32_parser_find_rsc_table: device address, size, position; None when the image has none."""
    (at, size), section_offset = image, head[E_SHOFF]
    if word_bits == 32 and section_offset >= ADDRESS_SIGN:
        raise Stop("sections-wrap", f"e_shoff {section_offset:#x}")
    headers = at + section_offset
    if headers % 4:
        raise Stop("sections-unaligned", f"e_shoff {section_offset:#x}")
    count = head[E_SHNUM]
    if section_offset + count * _SHDR_SIZE > size:
        raise Stop("sections-outside", f"{count} headers at {section_offset:#x} of {size:#x}")
    names_index = head[E_SHSTRNDX]
    if names_index >= count:
        raise Stop("no-section-names", f"index {names_index} of {count} sections")
    names = view.row(_SHDR, headers + names_index * _SHDR_SIZE)
    names_size, names_offset = names[SH_SIZE], names[SH_OFFSET]
    if names_offset + names_size > size:
        raise Stop("names-outside", f"{names_size:#x} bytes at {names_offset:#x} of {size:#x}")
    index = section_called_table(view, (headers, count), at + names_offset, names_size)
    if index is None:
        return None
    section = view.row(_SHDR, headers + index * _SHDR_SIZE)
    return check_table(view, image, (section[SH_ADDR], section[SH_OFFSET], section[SH_SIZE]))


def section_called_table(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """Index of the first section that strncmp takes for `.resource_table`: equal, or cut by the bound."""
    headers, count = table
    end = headers + count * _SHDR_SIZE
    if names < 0 or headers < 0 or end > view.size or names + names_size > view.size:
        return _at_the_edge(view, table, names, names_size)
    view.spend(end - headers + names_size)
    text = bytes(view.part(names, names + names_size))
    for index, (name,) in enumerate(NAME.iter_unpack(view.part(headers, end))):
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if _TABLE_NAME.startswith(text[name : name + _TABLE_NAME_SIZE]):
            return index
    return None


def _at_the_edge(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """As section_called_table(), but byte by byte: names or headers leave the file."""
    headers, count = table
    view.spend(min(count * _SHDR_SIZE, view.size))
    for index in range(count):
        name = view.row(NAME, headers + index * _SHDR_SIZE)[0]
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if view.starts(names + name, _TABLE_NAME[: names_size - name]):
            return index
    return None


def check_table(
    view: View, image: tuple[int, int], section: tuple[int, int, int], *, head: bool = True
) -> tuple[int, int, int] | None:
    """The checks after the name: size, bounds, alignment, version, reserved words, number of entries.

    head: whether what the table says of itself is checked
    """
    (at, size), (da, offset, length) = image, section
    if not length:
        return None
    if offset + length > size:
        what = f"{length:#x} bytes at {offset:#x} of {size:#x}"
        raise Stop("table-truncated", what, "Resource table truncated")
    if length < layout.RESOURCE_HEAD.size:
        raise Stop("table-too-small", f"{length} bytes", "No header found in resource table")
    if (at + offset) % 4:
        raise Stop("table-unaligned", f"offset {offset:#x}")
    if head:
        _check_table_head(view, at + offset, length)
    return da, length, at + offset


def _check_table_head(view: View, at: int, length: int) -> None:
    """The last part of e32_parser_find_rsc_table: what the table at this position says of itself."""
    head = view.row(layout.RESOURCE_HEAD, at)
    version = head[0]
    if version != layout.RESOURCE_VERSION:
        signed = version - (1 << 32) if version >> 31 else version
        raise Stop("table-version", f"{version}", f"Unsupported firmware version {signed}")
    if head[2] or head[3]:
        raise Stop("table-reserved", "", "Non zero reserved bytes")
    entries = head[1]
    if layout.RESOURCE_HEAD.size + 4 * entries > length:
        raise Stop("table-incomplete", f"{entries} entries in {length} bytes", "Resource table incomplete")
