# SPDX-License-Identifier: MIT
"""The ELF half of LOAD_FW: hash table, images, segments, resource table.

Ref: OP-TEE 4.10 ta/remoteproc/src/elf_parser.c and remoteproc_core.c (remoteproc_load_elf and what it calls).
A position is absolute in the file. C compares addresses; the buffer itself is aligned, so the alignment of an
address is that of its position. Where an address wraps in a 32-bit build, the code says so.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mpbench import layout
from mpbench.layout import Tlv
from mpbench.twin import openstlinux
from mpbench.twin.image import Row, Stop, View
from mpbench.twin.values import NO_TABLE, HashEntry, Table

if TYPE_CHECKING:
    from mpbench.twin.loader import Load

# Where in a row of its table a number stands.
P_TYPE: Final = 0
P_OFFSET: Final = 1
P_PADDR: Final = 3
P_FILESZ: Final = 4
P_MEMSZ: Final = 5
P_FLAGS: Final = 6
DIGEST: Final = 8  # behind the words of a program header in a hash entry
SH_ADDR: Final = 3
SH_OFFSET: Final = 4
SH_SIZE: Final = 5

HEAD = struct.Struct("<28x2I8xH2x2H")
E_PHOFF, E_SHOFF, E_PHNUM, E_SHNUM, E_SHSTRNDX = range(5)
"""What the loader reads from the ELF header of every image, and no more of it."""

NAME = struct.Struct("<I36x")
"""Of a section header the name alone."""

# Looked up here once: these are asked for every segment.
_ADDRESS_SIGN = 1 << 31
_HASHTABLE, _NUM_IMG, _IMGTYPE, _IMGSIZE = Tlv.HASHTABLE, Tlv.NUM_IMG, Tlv.IMGTYPE, Tlv.IMGSIZE
_PHDR, _PHDR_SIZE, _PT_LOAD, _PF_W = layout.PHDR, layout.PHDR.size, layout.PT_LOAD, layout.PF_W
_SHDR, _SHDR_SIZE = layout.SHDR, layout.SHDR.size
_TABLE_NAME = layout.RESOURCE_SECTION + b"\0"
_TABLE_NAME_SIZE = len(_TABLE_NAME)
_PARSE = "Failed to parse firmware, res = 0xffff0005"


def load(run: Load) -> None:
    """remoteproc_load_elf."""
    parse_header(run.view, run.images_at, run.img_len, run.profile.word_bits)
    entries = run.signed = hash_table(run)
    count = image_count(run)
    offset = 0
    for index in range(count):
        image_type(run, count, index)
        size = image_size(run, count, index)
        at = run.images_at + offset
        head = run.view.row(HEAD, at)
        load_segments(run, (at, size), head, entries)
        resource_table(run, (at, size), head)
        offset = (offset + size + _ADDRESS_SIGN) % (1 << 32) - _ADDRESS_SIGN  # int32_t offset


def parse_header(view: View, at: int, size: int, word_bits: int) -> None:
    """e32_parse_ehdr, with the length that the header gives for all images."""
    if size < layout.EHDR.size:
        raise Stop("elf-too-small", f"{size} bytes", _PARSE)
    ident, _, _, _, _, _, shoff, _, _, phentsize, phnum, shentsize, _, _ = layout.EHDR.unpack_from(
        view.data, at
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


def hash_table(run: Load) -> dict[int, HashEntry]:
    """get_hash_table: the first entry for each p_paddr."""
    table = run.value(_HASHTABLE)
    if not table:
        raise Stop("no-hashtable")
    if len(table) % layout.HASH_ENTRY.size:
        raise Stop("hashtable-length", f"{len(table)} bytes")
    if not run.heap.take(len(table)):
        raise Stop("heap", f"no room for a copy of the hash table, {len(table)} bytes")
    entries: dict[int, HashEntry] = {}
    for entry in layout.HASH_ENTRY.iter_unpack(table):
        entries.setdefault(entry[P_PADDR], entry)
    return entries


def image_count(run: Load) -> int:
    """NUM_IMG."""
    value = run.value(_NUM_IMG)
    if not value:
        raise Stop("no-num-img")
    if len(value) != 1:
        raise Stop("num-img-length", f"{len(value)} bytes")
    if not value[0]:
        raise Stop("num-img-zero")
    return value[0]


def image_type(run: Load, count: int, index: int) -> None:
    """get_tlv_images_type and the test of its answer."""
    value = run.value(_IMGTYPE)
    if not value:
        raise Stop("no-imgtype")
    if len(value) != count:
        raise Stop("imgtype-length", f"{len(value)} bytes for {count} images")
    if value[index] != layout.IMG_ELF:
        if value[index] in run.profile.image_types:
            raise openstlinux.encrypted(run, index)
        raise Stop("imgtype-not-elf", f"image {index + 1} is of type {value[index]}")


def image_size(run: Load, count: int, index: int) -> int:
    """get_tlv_images_size."""
    value = run.value(_IMGSIZE)
    if not value:
        raise Stop("no-imgsize")
    if len(value) != 4 * count:
        raise Stop("imgsize-length", f"{len(value)} bytes for {count} images")
    return int.from_bytes(value[4 * index : 4 * index + 4], "little")


def load_segments(run: Load, image: tuple[int, int], head: Row, entries: dict[int, HashEntry]) -> None:
    """e32_parser_load_elf_image; image: position and size, head: of its ELF header."""
    view, (at, size) = run.view, image
    headers = at + head[E_PHOFF]
    if size == 0 or (run.profile.word_bits == 32 and size >= _ADDRESS_SIGN):
        raise Stop("imgsize-zero", f"{size:#x}")
    if headers % 4:
        raise Stop("phdr-unaligned", f"offset {headers - at:#x}")
    end = at + size
    for here in range(headers, headers + head[E_PHNUM] * _PHDR_SIZE, _PHDR_SIZE):
        if here + _PHDR_SIZE > end:
            read_too_early(run, here)
            raise Stop("phdr-outside", f"header at {here - at:#x} of {size:#x}")
        row = view.row(_PHDR, here)
        da = row[P_PADDR]
        if row[P_TYPE] == _PT_LOAD:
            start, filesz = at + row[P_OFFSET], row[P_FILESZ]
            if start + filesz > end:
                raise Stop("segment-outside-image", f"{filesz:#x} bytes at {start - at:#x} of {size:#x}")
            load_segment(run, start, row, entries.get(da))


def read_too_early(run: Load, header: int) -> None:
    """`uint32_t dst = phdr->p_paddr` stands before the check of phdr, and compilers leave it there.

    Where a header lies outside its image but this word inside the file, nothing happens; else the TA dies
    or goes on, depending on what is mapped there. In 32 bits a large e_phoff is a small negative one.
    """
    wraps = run.profile.word_bits == 32 and header - run.images_at >= _ADDRESS_SIGN
    run.view.inside(header - ((1 << 32) if wraps else 0) + 12, 4)


def load_segment(run: Load, at: int, row: Row, entry: HashEntry | None) -> None:
    """remoteproc_load_segment with get_segment_hash: a program header, its data at `at`, its hash entry."""
    da, size, mem_size = row[P_PADDR], row[P_FILESZ], row[P_MEMSZ]
    if entry is None:
        raise Stop("segment-not-signed", f"p_paddr {da:#x}")
    if entry[P_TYPE] != _PT_LOAD:
        raise Stop("hash-entry-not-load", f"p_paddr {da:#x}, p_type {entry[P_TYPE]:#x}")
    if entry[P_FILESZ] != size or entry[P_MEMSZ] != mem_size:
        signed = f"{entry[P_FILESZ]:#x}/{entry[P_MEMSZ]:#x}"
        raise Stop("segment-sizes-differ", f"{size:#x}/{mem_size:#x}, signed {signed} at {da:#x}")
    if at < run.images_at or at + size > run.images_end:
        raise Stop("segment-outside-images", f"{size:#x} bytes at {at:#x}, images end at {run.images_end:#x}")
    if size:
        write = run.platform.load_segment(run.view, at, da, size, entry[DIGEST])
        if not entry[P_FLAGS] & _PF_W:
            run.kept.append(write)
    if size < mem_size:
        run.platform.set_memory((da + size) % (1 << 32), mem_size - size)


def resource_table(run: Load, image: tuple[int, int], head: Row) -> None:
    """remoteproc_parse_rsc_table, and that only one image has a table."""
    found = find_table(run.view, image, head, run.profile.word_bits)
    if found is None:
        return
    da, length, offset = found
    pa = run.platform.translate(da, length)
    if run.table is not NO_TABLE:
        raise Stop("second-table", f"at {da:#x}", "More than one resource table found")
    run.table, run.table_offset = Table(pa, length), offset


def find_table(view: View, image: tuple[int, int], head: Row, word_bits: int) -> tuple[int, int, int] | None:
    """e32_parser_find_rsc_table: device address, size, position; None when the image has none."""
    (at, size), section_offset = image, head[E_SHOFF]
    if word_bits == 32 and section_offset >= _ADDRESS_SIGN:
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
    text = bytes(view.data[names : names + names_size])
    for index, (name,) in enumerate(NAME.iter_unpack(view.data[headers:end])):
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if _TABLE_NAME.startswith(text[name : name + _TABLE_NAME_SIZE]):
            return index
    return None


def _at_the_edge(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """The same where names or headers leave the file: every byte counts."""
    headers, count = table
    for index in range(count):
        name = view.row(NAME, headers + index * _SHDR_SIZE)[0]
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if view.starts(names + name, _TABLE_NAME[: names_size - name]):
            return index
    return None


def check_table(
    view: View, image: tuple[int, int], section: tuple[int, int, int]
) -> tuple[int, int, int] | None:
    """The checks behind the name: size, bounds, alignment, version, reserved words, number of entries."""
    (at, size), (da, offset, length) = image, section
    if not length:
        return None
    if offset + length > size:
        raise Stop(
            "table-truncated", f"{length:#x} bytes at {offset:#x} of {size:#x}", "Resource table truncated"
        )
    if length < layout.RESOURCE_HEAD.size:
        raise Stop("table-too-small", f"{length} bytes", "No header found in resource table")
    if (at + offset) % 4:
        raise Stop("table-unaligned", f"offset {offset:#x}")
    head = view.row(layout.RESOURCE_HEAD, at + offset)
    version = head[0]
    if version != layout.RESOURCE_VERSION:
        signed = version - (1 << 32) if version >> 31 else version
        raise Stop("table-version", f"{version}", f"Unsupported firmware version {signed}")
    if head[2] or head[3]:
        raise Stop("table-reserved", "", "Non zero reserved bytes")
    entries = head[1]
    if layout.RESOURCE_HEAD.size + 4 * entries > length:
        raise Stop("table-incomplete", f"{entries} entries in {length} bytes", "Resource table incomplete")
    return da, length, at + offset
