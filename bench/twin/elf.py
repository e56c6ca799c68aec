# SPDX-License-Identifier: MIT
"""The ELF half of LOAD_FW: hash table, images, segments, resource table.

Ref: OP-TEE 4.10 ta/remoteproc/src/elf_parser.c and remoteproc_core.c (remoteproc_load_elf and what it calls).
A position is absolute in the file. C compares addresses; the buffer itself is aligned, so the alignment of an
address is that of its position. Where an address wraps in a 32-bit build, the code says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import layout
from bench.layout import Tlv
from bench.twin.image import Stop, View
from bench.twin.values import NO_TABLE, Table

if TYPE_CHECKING:
    from bench.twin.loader import Load

HashEntry = tuple[int, int, int, int, bytes]
"""p_type, p_filesz, p_memsz, p_flags, SHA-256 of the first entry at a p_paddr."""

_ADDRESS_SIGN = 1 << 31
_HASHTABLE, _NUM_IMG, _IMGTYPE, _IMGSIZE = Tlv.HASHTABLE, Tlv.NUM_IMG, Tlv.IMGTYPE, Tlv.IMGSIZE
_TABLE_NAME = layout.RESOURCE_SECTION + b"\0"
_PARSE = "Failed to parse firmware, res = 0xffff0005"


def load(run: Load) -> None:
    """remoteproc_load_elf."""
    parse_header(run.view, run.images_at, run.img_len, run.profile.word_bits)
    entries = hash_table(run)
    count = image_count(run)
    offset = 0
    for index in range(count):
        image_type(run, count, index)
        size = image_size(run, count, index)
        at = run.images_at + offset
        load_segments(run, at, size, entries)
        resource_table(run, at, size)
        offset = (offset + size + _ADDRESS_SIGN) % (1 << 32) - _ADDRESS_SIGN  # int32_t offset
    loaded = {call.da for call in run.platform.calls if call.command is layout.PtaCommand.LOAD_SEGMENT_SHA256}
    run.complete = all(e[0] != layout.PT_LOAD or not e[1] or paddr in loaded for paddr, e in entries.items())


def parse_header(view: View, at: int, size: int, word_bits: int) -> None:
    """e32_parse_ehdr, with the length that the header gives for all images."""
    if size < layout.EHDR.size:
        raise Stop("elf-too-small", f"{size} bytes", _PARSE)
    ident, *_, shoff, _, _, phentsize, phnum, shentsize, _, _ = layout.EHDR.unpack_from(view.data, at)
    sections = shoff + layout.SHDR.size
    if size < (sections if word_bits == 64 else sections % (1 << 32)):
        raise Stop("elf-sections-outside", f"they would end at {sections:#x} of {size:#x}", _PARSE)
    good = ident[:4] == layout.ELF_MAGIC and ident[layout.EI_VERSION] == layout.EV_CURRENT
    good = good and ident[layout.EI_CLASS] == layout.ELFCLASS32
    if not good or phentsize != layout.PHDR.size or shentsize != layout.SHDR.size:
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
    for kind, _, _, paddr, filesz, memsz, flags, _, digest in layout.HASH_ENTRY.iter_unpack(table):
        if paddr not in entries:
            entries[paddr] = (kind, filesz, memsz, flags, digest)
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
            raise Stop("encrypted-without-key", f"image {index + 1}")
        raise Stop("imgtype-not-elf", f"image {index + 1} is of type {value[index]}")


def image_size(run: Load, count: int, index: int) -> int:
    """get_tlv_images_size."""
    value = run.value(_IMGSIZE)
    if not value:
        raise Stop("no-imgsize")
    if len(value) != 4 * count:
        raise Stop("imgsize-length", f"{len(value)} bytes for {count} images")
    return int.from_bytes(value[4 * index : 4 * index + 4], "little")


def load_segments(run: Load, at: int, size: int, entries: dict[int, HashEntry]) -> None:
    """e32_parser_load_elf_image: `size` bytes from `at`."""
    view = run.view
    headers = at + view.u32(at + 28)
    if size == 0 or (run.profile.word_bits == 32 and size >= _ADDRESS_SIGN):
        raise Stop("imgsize-zero", f"{size:#x}")
    if headers % 4:
        raise Stop("phdr-unaligned", f"offset {headers - at:#x}")
    end = at + size
    for index in range(view.u16(at + 44)):
        here = headers + index * layout.PHDR.size
        if here < at or here + layout.PHDR.size > end:
            read_too_early(run, here)
            raise Stop("phdr-outside", f"header {index} at {here - at:#x} of {size:#x}")
        if 0 <= here <= view.size - layout.PHDR.size:
            kind, offset, _, paddr, filesz, memsz, _, _ = layout.PHDR.unpack_from(view.data, here)
        else:
            kind, offset, paddr, filesz, memsz = header_at_the_edge(view, here, end - at)
        if kind != layout.PT_LOAD:
            continue
        if at + offset + filesz > end:
            raise Stop("segment-outside-image", f"{filesz:#x} bytes at {offset:#x} of {size:#x}")
        load_segment(run, at + offset, (paddr, filesz, memsz), entries.get(paddr))


def header_at_the_edge(view: View, here: int, size: int) -> tuple[int, int, int, int, int]:
    """A program header that leaves the file: only the words that the loader reads have to be there.

    p_type, p_offset, p_paddr, p_filesz, p_memsz; p_memsz is read last, once the data are known to be inside.
    """
    paddr, kind = view.u32(here + 12), view.u32(here)
    if kind != layout.PT_LOAD:
        return kind, 0, paddr, 0, 0
    offset, filesz = view.u32(here + 4), view.u32(here + 16)
    return kind, offset, paddr, filesz, view.u32(here + 20) if offset + filesz <= size else 0


def read_too_early(run: Load, header: int) -> None:
    """`uint32_t dst = phdr->p_paddr` stands before the check of phdr, and compilers leave it there.

    Where a header lies outside its image but this word inside the file, nothing happens; else the TA dies
    or goes on, depending on what is mapped there. In 32 bits a large e_phoff is a small negative one.
    """
    wraps = run.profile.word_bits == 32 and header - run.images_at >= _ADDRESS_SIGN
    run.view.inside(header - ((1 << 32) if wraps else 0) + 12, 4)


def load_segment(run: Load, at: int, segment: tuple[int, int, int], entry: HashEntry | None) -> None:
    """remoteproc_load_segment with get_segment_hash; segment: device address, size, size in memory."""
    da, size, mem_size = segment
    if entry is None:
        raise Stop("segment-not-signed", f"p_paddr {da:#x}")
    kind, filesz, memsz, flags, digest = entry
    if kind != layout.PT_LOAD:
        raise Stop("hash-entry-not-load", f"p_paddr {da:#x}, p_type {kind:#x}")
    if (filesz, memsz) != (size, mem_size):
        raise Stop(
            "segment-sizes-differ", f"{size:#x}/{mem_size:#x}, signed {filesz:#x}/{memsz:#x} at {da:#x}"
        )
    images_end = run.images_at + run.img_len
    if at < run.images_at or at > images_end or at + size > images_end:
        raise Stop("segment-outside-images", f"{size:#x} bytes at {at:#x}, images end at {images_end:#x}")
    if size:
        run.platform.load_segment(run.view, at, (da, size), digest)
        if not flags & layout.PF_W:
            run.constant.append(run.platform.writes[-1])
    if size < mem_size:
        run.platform.set_memory((da + size) % (1 << 32), mem_size - size)
    run.segments += 1


def resource_table(run: Load, at: int, size: int) -> None:
    """remoteproc_parse_rsc_table, and that only one image has a table."""
    found = find_table(run.view, at, size, run.profile.word_bits)
    if found is None:
        return
    da, length, offset = found
    pa = run.platform.translate(da, length)
    if run.table != NO_TABLE:
        raise Stop("second-table", f"at {da:#x}", "More than one resource table found")
    run.table, run.table_offset = Table(pa, length), offset


def find_table(view: View, at: int, size: int, word_bits: int) -> tuple[int, int, int] | None:
    """e32_parser_find_rsc_table: device address, size, position; None when the image has none."""
    section_offset = view.u32(at + 32)
    if word_bits == 32 and section_offset >= _ADDRESS_SIGN:
        raise Stop("sections-wrap", f"e_shoff {section_offset:#x}")
    headers = at + section_offset
    if headers % 4:
        raise Stop("sections-unaligned", f"e_shoff {section_offset:#x}")
    count = view.u16(at + 48)
    if section_offset + count * layout.SHDR.size > size:
        raise Stop("sections-outside", f"{count} headers at {section_offset:#x} of {size:#x}")
    names_index = view.u16(at + 50)
    if names_index >= count:
        raise Stop("no-section-names", f"index {names_index} of {count} sections")
    names = headers + names_index * layout.SHDR.size
    names_size, names_offset = view.u32(names + 20), view.u32(names + 16)
    if names_offset + names_size > size:
        raise Stop("names-outside", f"{names_size:#x} bytes at {names_offset:#x} of {size:#x}")
    index = section_called_table(view, (headers, count), at + names_offset, names_size)
    return None if index is None else check_table(view, at, size, headers + index * layout.SHDR.size)


def section_called_table(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """Index of the first section that strncmp takes for `.resource_table`: equal, or cut by the bound."""
    headers, count = table
    outside = names < 0 or headers < 0 or headers + count * layout.SHDR.size > view.size
    if outside or names + names_size > view.size:
        return _at_the_edge(view, table, names, names_size)
    text = bytes(view.data[names : names + names_size])
    for index, row in enumerate(
        layout.SHDR.iter_unpack(view.data[headers : headers + count * layout.SHDR.size])
    ):
        if row[0] >= names_size:
            raise Stop("name-outside", f"section {index}: {row[0]:#x} of {names_size:#x}")
        if _TABLE_NAME.startswith(text[row[0] : row[0] + len(_TABLE_NAME)]):
            return index
    return None


def _at_the_edge(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """The same where names or headers leave the file: every byte counts."""
    headers, count = table
    for index in range(count):
        name = view.u32(headers + index * layout.SHDR.size)
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if view.starts(names + name, _TABLE_NAME[: names_size - name]):
            return index
    return None


def check_table(view: View, at: int, size: int, header: int) -> tuple[int, int, int] | None:
    """The checks behind the name: size, bounds, alignment, version, reserved words, number of entries."""
    da, offset, length = view.u32(header + 12), view.u32(header + 16), view.u32(header + 20)
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
    version = view.u32(at + offset)
    if version != layout.RESOURCE_VERSION:
        signed = version - (1 << 32) if version >> 31 else version
        raise Stop("table-version", f"{version}", f"Unsupported firmware version {signed}")
    if view.u32(at + offset + 8) or view.u32(at + offset + 12):
        raise Stop("table-reserved", "", "Non zero reserved bytes")
    entries = view.u32(at + offset + 4)
    if layout.RESOURCE_HEAD.size + 4 * entries > length:
        raise Stop("table-incomplete", f"{entries} entries in {length} bytes", "Resource table incomplete")
    return da, length, at + offset
