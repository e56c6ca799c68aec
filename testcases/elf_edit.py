# SPDX-License-Identifier: MIT
"""Firmware changed after linking: more segments, no resource table, a changed table entry."""

import io

from elftools.elf.elffile import ELFFile

from mpbench import layout
from testcases.peer.elves import Elf, Segment


def segments(elf: bytes) -> list[Segment]:
    """PT_LOAD segments of an ELF file."""
    loads = [s for s in ELFFile(io.BytesIO(elf)).iter_segments() if s["p_type"] == "PT_LOAD"]
    return [Segment(s["p_paddr"], s.data(), s["p_memsz"], layout.PT_LOAD, s["p_flags"]) for s in loads]


def table(elf: bytes) -> tuple[bytes, int]:
    """Resource table of an ELF file, and its device address."""
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".resource_table")
    return section.data(), section["sh_addr"]


def rebuild(elf: bytes, *more: Segment, with_table: bool = True) -> bytes:
    """The firmware with more segments after its own. Without its table it runs, but has no trace buffer."""
    data, da = table(elf)
    return Elf([*segments(elf), *more], data if with_table else None, da).build()


def end_address(elf: bytes) -> int:
    """End address (exclusive) of code and data, without the resource table's segment, up to 16 bytes."""
    _, table_da = table(elf)
    ends = [s.paddr + max(s.memsz, len(s.data)) for s in segments(elf) if s.paddr != table_da]
    return (max(ends) + 15) & -16


def data_only(segment: Segment) -> bytes:
    """An ELF file of one segment, without a resource table."""
    return Elf([segment], None).build()


def patch_table(elf: bytes, at: int, word: int) -> bytes:
    """The firmware with `word` at byte offset `at` of its resource table."""
    old, _ = table(elf)
    new = old[:at] + word.to_bytes(4, "little") + old[at + 4 :]
    assert elf.count(old) == 1
    return elf.replace(old, new)
