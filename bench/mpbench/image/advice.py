# SPDX-License-Identifier: MIT
"""Warnings about an ELF that the loader would refuse, or whose key is public.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c (get_segment_hash: the first entry with the same p_paddr
counts), elf_parser.c (e32_parser_find_rsc_table: no section headers, no firmware), user_ta.mk (heap).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from mpbench import layout
from mpbench.image.keys import PublicKey, published_as
from mpbench.image.sections import sections
from mpbench.image.sign import program_headers
from mpbench.image.signing_target import ANY_TARGET, LoadableMemory, SigningTarget
from mpbench.image.table_advice import LoadedSegment, loaded, overlaps, table_warnings
from mpbench.image.vector_advice import secure_memory, vector_warnings

SEGMENTS_IN_4_KIB = 24
"""Program headers that fit the TA's default heap of 4 KiB (measured on the virtual board)."""


MOST_LINES = 20
"""Of one kind of warning."""


def warnings(
    elfs: Sequence[bytes],
    names: Sequence[str],
    key: PublicKey,
    target: SigningTarget = ANY_TARGET,
    plat_tlvs: Mapping[int, bytes] | None = None,
) -> list[str]:
    """One line per problem, empty for none; target: what is known of the core."""
    memory, records = target.memory, plat_tlvs or {}
    lines = list(key_warnings(key, target))
    named = list(zip(elfs, names, strict=True))
    headers = [(name, head, elf) for elf, name in named for head in program_headers(elf, name)]
    lines += shortened(hidden(headers))
    lines += shortened([line for name, head, _ in headers for line in outside(name, head, memory)])
    if len(headers) > SEGMENTS_IN_4_KIB:
        lines.append(
            f"{len(headers)} program headers: more than {SEGMENTS_IN_4_KIB} may need a larger heap in the TA "
            "(CFG_REMOTEPROC_TA_HEAP_SIZE)"
        )
    lines += resource_tables(elfs, names)
    segments: Sequence[LoadedSegment] = ()
    for elf, name in named:
        segments = loaded(elf)
        lines += shortened(list(table_warnings(elf, name, segments, target)))
        lines += shortened(list(overlaps(segments, name)))
        lines += shortened(list(secure_memory(segments, name, target, records)))
    return lines + list(vector_warnings(segments, names[-1], target, records))


def key_warnings(key: PublicKey, target: SigningTarget) -> Iterator[str]:
    """A key that everybody has, and one of a kind that the board does not verify."""
    if published := published_as(key):
        yield f"this is {published}: anybody can sign firmware for a board that accepts it"
    if not isinstance(key, ec.EllipticCurvePublicKey) or target.ecdsa:
        return
    if target.profile:
        yield (
            f"an ECDSA key: OP-TEE of profile {target.profile} verifies RSA only and answers 0xffff000a "
            "(TEE_ERROR_NOT_SUPPORTED)"
        )
    else:
        yield (
            "an ECDSA key: upstream's OP-TEE verifies RSA only on STM32MP and answers 0xffff000a; "
            "ST's takes ECDSA with a key in PKEYINFO"
        )


def shortened(lines: list[str]) -> list[str]:
    """The first of many equal complaints, and how many more there are."""
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"and {more} more of these"] if more > 0 else lines


def hidden(headers: Sequence[tuple[str, tuple[int, ...], bytes]]) -> list[str]:
    """PT_LOADs that the loader compares with another program header's hash entry."""
    first: dict[int, tuple[int, int, int, bytes]] = {}
    lines = []
    for name, (kind, offset, _, paddr, filesz, memsz, _, _), elf in headers:
        own = (kind, filesz, memsz, hashlib.sha256(memoryview(elf)[offset : offset + filesz]).digest())
        found = first.setdefault(paddr, own)
        if kind == layout.PT_LOAD and found != own:
            exidx = found[0] == layout.PT_ARM_EXIDX
            what = "PT_ARM_EXIDX" if exidx else f"program header of type {found[0]:#x}"
            lines.append(
                f"{name}: a {what} at {paddr:#x} precedes the PT_LOAD at the same address: "
                "the loader will refuse the image; discard it in the linker script"
            )
    return lines


def outside(name: str, head: tuple[int, ...], memory: Sequence[LoadableMemory]) -> list[str]:
    """A PT_LOAD that is not inside one range of the core's memory."""
    kind, _, _, paddr, filesz, memsz, _, _ = head
    size = max(filesz, memsz)
    if kind != layout.PT_LOAD or not memory or not size:
        return []
    if any(m.holds(paddr, size) for m in memory):
        return []
    known = ", ".join(f"{m.name} {m.da:#x}..{m.da + m.size:#x}" for m in memory)
    return [f"{name}: segment {paddr:#x}..{paddr + size:#x} is outside the core's memory ({known})"]


def resource_tables(elfs: Sequence[bytes], names: Sequence[str]) -> list[str]:
    """No section headers, no resource table, or one too many."""
    lines, found = [], []
    for elf, name in zip(elfs, names, strict=True):
        found_names = [section for section, _ in sections(elf)]
        if not found_names:
            lines.append(f"{name}: no section headers: the loader will refuse the image; do not strip them")
        elif layout.RESOURCE_SECTION in found_names:
            found.append(name)
    if not found:
        lines.append("no .resource_table: the firmware loads, but without trace buffer or rpmsg")
    if len(found) > 1:
        lines.append(f"{' and '.join(found)} each have a .resource_table: the loader takes only one")
    return lines
