# SPDX-License-Identifier: MIT
"""Sections and segments of an ELF that the signer has taken, read in one pass: there may be 65,535."""

from mpbench import layout

SectionHeader = tuple[int, ...]
"""Numbers in the order of layout.SHDR_FIELDS."""
_LONGEST = len(layout.RESOURCE_SECTION) + 8


def sections(elf: bytes) -> list[tuple[bytes, SectionHeader]]:
    """(name, header) of each section; none if the headers do not fit the file.

    A name is cut where it is longer than any that is looked for.
    """
    head = dict(zip(layout.EHDR_FIELDS, layout.EHDR.unpack_from(elf), strict=True))
    end = head["e_shoff"] + head["e_shnum"] * layout.SHDR.size
    if end > len(elf) or head["e_shstrndx"] >= head["e_shnum"]:
        return []
    rows = list(layout.SHDR.iter_unpack(elf[head["e_shoff"] : end]))
    at, size = rows[head["e_shstrndx"]][4:6]
    text = elf[at : at + size]
    return [(text[row[0] : row[0] + _LONGEST].partition(b"\0")[0], row) for row in rows]


def program_rows(elf: bytes) -> list[tuple[int, ...]]:
    """Program headers in the order of layout.PHDR_FIELDS, as far as they fit the file."""
    head = dict(zip(layout.EHDR_FIELDS, layout.EHDR.unpack_from(elf), strict=True))
    start, size = head["e_phoff"], layout.PHDR.size
    end = min(start + head["e_phnum"] * size, len(elf))
    return list(layout.PHDR.iter_unpack(elf[start : start + max(0, end - start) // size * size]))
