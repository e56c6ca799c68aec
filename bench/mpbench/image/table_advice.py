# SPDX-License-Identifier: MIT
"""Warnings about what a board would run into after it has accepted an image: tables and overlaps.

Ref: Linux drivers/remoteproc/remoteproc_core.c (rproc_handle_trace, rproc_parse_vring),
remoteproc_elf_loader.c (find_table); include/linux/remoteproc.h;
     ST optee_os 4.0.0-stm32mp core/drivers/firewall/stm32_iac.c (panic on an illegal access).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from mpbench import layout
from mpbench.image.resource_table import ANY_ADDRESS, Entry, entries
from mpbench.image.sections import program_rows, sections
from mpbench.image.signing_target import SigningTarget


@frozen
class LoadedSegment:
    """A PT_LOAD: where it is linked (p_vaddr) and loaded (p_paddr), its bytes in memory and in the file."""

    vaddr: int
    paddr: int
    memsz: int
    data: memoryview


def table_warnings(
    elf: bytes, name: str, segments: Sequence[LoadedSegment], target: SigningTarget
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
    if content and not any(lo <= da < lo + s.memsz for s in segments for lo in (s.vaddr, s.paddr)):
        yield (
            f"{name}: .resource_table {da:#x} is in no segment: nothing loads it, and Linux reads there "
            "what the memory happens to hold; place its section in a segment, in memory that both may read"
        )
    if content and (place := closed(target, da, len(content))):
        yield f"{name}: .resource_table {da:#x} is in {place}; put it into memory that both may read"
    for entry in entries(content):
        yield from (f"{name}: resource table: {line}" for line in _entry_warnings(entry, target))


NO_VRING = "`Registered carveout doesn't fit`, then no RPMsg or no start"


def closed(target: SigningTarget, da: int, size: int) -> str:
    """The memory that Linux may not read and what the board shows then, "" if Linux may read these bytes."""
    found = target.holding(da, size)
    if found is None or found.linux:
        return ""
    return (
        f"{found.name}, closed to Linux by the firewall (profile {target.profile}): its access is illegal, "
        "and where OP-TEE handles that event it panics (`IAC exception ID`)"
    )


def _entry_warnings(entry: Entry, target: SigningTarget) -> Iterator[str]:
    if "wrong" in entry:
        yield f"the {entry['type']} entry {entry['wrong']}: `Failed to process resources: -22`"
    if not target.memory:
        return
    for what, da, size in _buffers(entry):
        if da == ANY_ADDRESS:
            continue
        if target.holding(da, size) is None:
            shown = "no trace0" if entry["type"] == "trace" else NO_VRING
            where = f"{what} {da:#x}..{da + size:#x} is outside the core's memory"
            yield f"{where}: Linux cannot map it ({shown})"
        elif place := closed(target, da, size):
            yield f"{what} {da:#x}..{da + size:#x} is in {place}"


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


def loaded(elf: bytes) -> list[LoadedSegment]:
    """The PT_LOADs of an ELF that has been checked."""
    whole = memoryview(elf)
    return [
        LoadedSegment(vaddr, paddr, memsz, whole[offset : offset + filesz])
        for kind, offset, vaddr, paddr, filesz, memsz, _, _ in program_rows(elf)
        if kind == layout.PT_LOAD
    ]
