# SPDX-License-Identifier: MIT
"""Warnings about where a core starts: the vector table, BOOTADDR, memory of its secure code.

Ref: Armv7-M and Armv8-M Architecture Reference Manuals, vector table; ST optee_os 4.0.0-stm32mp
     core/drivers/remoteproc/stm32_remoteproc.c, stm32mp2_rproc_start, INITVTOR_MASK.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

from mpbench.image.signing_target import SigningTarget
from mpbench.image.table_advice import LoadedSegment
from mpbench.layout import Tlv

VECTORS_ALIGNMENT = 128
"""Bits 31 to 7 of a boot address are used. Ref: stm32_remoteproc.c, INITVTOR_MASK"""


def secure_memory(
    segments: Sequence[LoadedSegment], name: str, target: SigningTarget, plat_tlvs: Mapping[int, bytes]
) -> Iterator[str]:
    """PT_LOADs in memory of the core's secure code, in an image that does not boot securely."""
    if int.from_bytes(plat_tlvs.get(int(Tlv.BOOTSEC), b""), "little"):
        return
    for segment in segments:
        found = target.holding(segment.paddr, segment.memsz) if segment.memsz else None
        if found is not None and found.secure:
            yield (
                f"{name}: segment {segment.paddr:#x} is in {found.name}, for secure code of the core only: "
                "an access of other code is illegal, and without BOOTSEC=1 the core runs no secure code"
            )


def vector_warnings(
    segments: Sequence[LoadedSegment], name: str, target: SigningTarget, plat_tlvs: Mapping[int, bytes]
) -> Iterator[str]:
    """About the vector table: at BOOTADDR, if there is a BOOTADDR, else where the core has it."""
    given = plat_tlvs.get(int(Tlv.BOOTADDR))
    boot = int.from_bytes(given, "little") if given is not None and len(given) == 4 else None
    if target.vectors is not None:
        yield from _vectors_at(segments, name, target, target.vectors, f"{target.vectors:#x}")
    elif boot is not None:
        yield from _boot_address(boot, name, target)
        yield from _vectors_at(segments, name, target, boot, "BOOTADDR")
    elif target.needs_boot_address:
        yield (
            f"{name}: no BOOTADDR: OP-TEE of profile {target.profile} loads the image and refuses to start "
            "it (0xffff0000); give --plat-tlv BOOTADDR=0x..., the address of the vectors"
        )


def _boot_address(boot: int, name: str, target: SigningTarget) -> Iterator[str]:
    if boot % VECTORS_ALIGNMENT:
        yield (
            f"{name}: BOOTADDR {boot:#x} is no multiple of {VECTORS_ALIGNMENT}: the core takes its vectors "
            f"at {boot - boot % VECTORS_ALIGNMENT:#x}"
        )
    if target.needs_boot_address and target.holding(boot, 1) is None:
        yield f"{name}: BOOTADDR {boot:#x} is outside the core's memory: OP-TEE prints `Invalid boot address`"


def _vectors_at(
    segments: Sequence[LoadedSegment], name: str, target: SigningTarget, at: int, where: str
) -> Iterator[str]:
    """Stack pointer and reset vector at a device address; where: that address in words."""
    found = next((s for s in segments if s.paddr <= at and at + 8 <= s.paddr + len(s.data)), None)
    if found is None:
        place = where if where == f"{at:#x}" else f"{where} {at:#x}"
        yield (
            f"{name}: {place} is in no segment of the file: the core takes its vectors there, "
            "and locks up at once"
        )
        return
    stack, reset = struct.unpack_from("<2I", found.data, at - found.paddr)
    if target.memory and not any(m.da < stack <= m.da + m.size for m in target.memory):
        yield f"{name}: initial stack pointer {stack:#x} at {where} is outside the core's memory: it faults"
    linked = next((s for s in segments if s.vaddr <= reset - 1 < s.vaddr + s.memsz), None)
    there = any(s.paddr <= reset - 1 < s.paddr + s.memsz for s in segments)
    if reset & 1 and linked and not there:
        yield (
            f"{name}: reset vector {reset:#x} at {where} is in a segment linked at {linked.vaddr:#x} and "
            f"loaded at {linked.paddr:#x}: unless both are one memory, the core finds no code and locks up"
        )
    elif not reset & 1 or not there:
        why = "is no Thumb address" if not reset & 1 else "is in no segment"
        yield f"{name}: reset vector {reset:#x} at {where} {why}: the core locks up at once"
