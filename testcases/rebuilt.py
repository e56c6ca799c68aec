# SPDX-License-Identifier: MIT
"""Real firmware with further segments, put together anew, as no linker was asked to."""

import io

from elftools.elf.elffile import ELFFile

from mpbench import layout
from testcases.peer.elves import Elf, Segment


def segments(elf: bytes) -> list[Segment]:
    """Its PT_LOADs."""
    loads = [s for s in ELFFile(io.BytesIO(elf)).iter_segments() if s["p_type"] == "PT_LOAD"]
    return [Segment(s["p_paddr"], s.data(), s["p_memsz"], layout.PT_LOAD, s["p_flags"]) for s in loads]


def table(elf: bytes) -> tuple[bytes, int]:
    """Its resource table and where that is."""
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".resource_table")
    return section.data(), section["sh_addr"]


def rebuilt(elf: bytes, *more: Segment, with_table: bool = True) -> bytes:
    """The firmware with more segments behind its own; without a table nobody hears it, but it runs."""
    data, da = table(elf)
    return Elf([*segments(elf), *more], data if with_table else None, da).build()


def end(elf: bytes) -> int:
    """First address behind everything it loads or clears, a multiple of 16."""
    return (max(s.paddr + max(s.memsz, len(s.data)) for s in segments(elf)) + 15) & -16


def data_only(segment: Segment) -> bytes:
    """An ELF of one segment, without a resource table."""
    return Elf([segment], None).build()


def with_table(elf: bytes, at: int, word: int) -> bytes:
    """The firmware with one word of its resource table changed."""
    old, _ = table(elf)
    new = old[:at] + word.to_bytes(4, "little") + old[at + 4 :]
    assert elf.count(old) == 1
    return elf.replace(old, new)
