# SPDX-License-Identifier: MIT
"""Warnings about what a board would run into after it has accepted an image: tables, vectors, overlaps.

Ref: Linux drivers/remoteproc/remoteproc_core.c (rproc_handle_trace, rproc_parse_vring),
remoteproc_elf_loader.c (find_table); include/linux/remoteproc.h; Armv7-M and Armv8-M Architecture
     Reference Manuals, vector table.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from mpbench import layout
from mpbench.image.resource_table import ANY_ADDRESS, Entry, entries
from mpbench.image.sections import program_rows, sections
from mpbench.layout import Tlv


@frozen
class LoadableMemory:
    """A range of the core's memory: name, device address, bytes."""

    name: str
    da: int
    size: int

    def holds(self, da: int, size: int) -> bool:
        """Whether the whole range is inside."""
        return self.da <= da and da + size <= self.da + self.size


@frozen
class LoadedSegment:
    """A PT_LOAD: where it is linked (p_vaddr) and loaded (p_paddr), its bytes in memory and in the file."""

    vaddr: int
    paddr: int
    memsz: int
    data: memoryview


def table_warnings(
    elf: bytes, name: str, segments: Sequence[LoadedSegment], memory: Sequence[LoadableMemory]
) -> Iterator[str]:
    """About the resource table and the buffers that it names."""
    found = next((row for section, row in sections(elf) if section == layout.RESOURCE_SECTION), None)
    if found is None:
        return
    da, content = found[3], elf[found[4] : found[4] + found[5]]
    if len(content) >= 4 and content[:4] == bytes(4):
        yield (
            f"{name}: .resource_table is zeros: OP-TEE refuses it (`Unsupported firmware version 0`), "
            "Linux' loader too (`unsupported fw ver: 0`); initialise it, in a section that is loaded"
        )
    for segment in segments:
        if segment.vaddr <= da < segment.vaddr + segment.memsz and segment.vaddr != segment.paddr:
            yield (
                f"{name}: .resource_table is linked at {da:#x} and loaded at "
                f"{da - segment.vaddr + segment.paddr:#x}: Linux reads it where it is linked; "
                "no trace buffer, or `Failed to process resources`"
            )
    for entry in entries(content):
        yield from (f"{name}: resource table: {line}" for line in _entry_warnings(entry, memory))


def _entry_warnings(entry: Entry, memory: Sequence[LoadableMemory]) -> Iterator[str]:
    if "wrong" in entry:
        yield f"the {entry['type']} entry {entry['wrong']}: `Failed to process resources: -22`"
    if not memory:
        return
    for what, da, size in _buffers(entry):
        if da != ANY_ADDRESS and not any(m.holds(da, size) for m in memory):
            yield (
                f"{what} {da:#x}..{da + size:#x} is outside the core's memory: "
                "Linux cannot map it (no trace0, or `Registered carveout doesn't fit da request`)"
            )


def _buffers(entry: Entry) -> Iterator[tuple[str, int, int]]:
    """(what, device address, bytes) that the core and Linux share."""
    if entry["type"] == "trace" and "da" in entry:
        yield f"trace buffer {entry['name']!r}", entry["da"], entry["len"]
    for number, ring in enumerate(entry.get("vrings", ())):
        yield f"vring {number}", ring["da"], _vring_bytes(ring["num"], ring["align"])


def _vring_bytes(num: int, align: int) -> int:
    """Ref: include/uapi/linux/virtio_ring.h, vring_size()."""
    first = 16 * num + 2 * (3 + num)
    return -(-first // max(align, 1)) * max(align, 1) + 2 * 3 + 8 * num


def overlaps(segments: Sequence[LoadedSegment], name: str) -> Iterator[str]:
    """PT_LOADs that are loaded over one another."""
    found = sorted((s for s in segments if s.memsz), key=lambda s: s.paddr)
    for one, other in pairwise(found):
        if one.paddr + one.memsz > other.paddr:
            yield (
                f"{name}: segments {one.paddr:#x}..{one.paddr + one.memsz:#x} and "
                f"{other.paddr:#x}..{other.paddr + other.memsz:#x} overlap: the later one in the file wins"
            )


def vector_warnings(
    segments: Sequence[LoadedSegment],
    name: str,
    memory: Sequence[LoadableMemory],
    plat_tlvs: Mapping[int, bytes],
) -> Iterator[str]:
    """About the vector table at BOOTADDR, if there is a BOOTADDR."""
    given = plat_tlvs.get(int(Tlv.BOOTADDR))
    if given is None or len(given) != 4:
        return
    at = int.from_bytes(given, "little")
    found = next((s for s in segments if s.paddr <= at and at + 8 <= s.paddr + len(s.data)), None)
    if found is None:
        yield (
            f"{name}: BOOTADDR {at:#x} is in no segment of the file: the core takes its vectors there, "
            "and locks up at once"
        )
        return
    stack, reset = struct.unpack_from("<2I", found.data, at - found.paddr)
    if memory and not any(m.da < stack <= m.da + m.size for m in memory):
        yield f"{name}: initial stack pointer {stack:#x} at BOOTADDR is outside the core's memory: it faults"
    code = any(s.vaddr <= reset - 1 < s.vaddr + s.memsz for s in segments)
    if not reset & 1 or not code:
        why = "is no Thumb address" if not reset & 1 else "is in no segment"
        yield f"{name}: reset vector {reset:#x} at BOOTADDR {why}: the core locks up at once"


def loaded(elf: bytes) -> list[LoadedSegment]:
    """The PT_LOADs of an ELF that has been checked."""
    whole = memoryview(elf)
    return [
        LoadedSegment(vaddr, paddr, memsz, whole[offset : offset + filesz])
        for kind, offset, vaddr, paddr, filesz, memsz, _, _ in program_rows(elf)
        if kind == layout.PT_LOAD
    ]
