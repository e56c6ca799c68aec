# SPDX-License-Identifier: MIT
"""Where a core takes its vectors after an image was loaded: BOOTADDR, or the core's own address.

Ref: ST optee_os 4.0.0-stm32mp core/drivers/remoteproc/stm32_remoteproc.c, stm32mp2_rproc_start, which refuses
to start without a boot address; Arm v7-M and v8-M Architecture Reference Manuals, vector table.
"""

from mpbench import layout
from mpbench.layout import Tlv, pad8
from mpbench.twin.memory import Core
from mpbench.twin.values import Outcome, Write, flatten

VECTORS_BYTES = 8
"""Initial stack pointer and reset vector."""


def boot_address(image: bytes | memoryview) -> int | None:
    """Value of the first BOOTADDR record of a signed image, None without one of 4 bytes."""
    if len(image) < layout.HEADER.size:
        return None
    end = min(layout.HEADER.size + layout.HEADER.unpack_from(image)[2], len(image))
    at = layout.HEADER.size
    while at + layout.TLV_HEAD.size <= end:
        kind, length = layout.TLV_HEAD.unpack_from(image, at)
        at += layout.TLV_HEAD.size
        if kind == Tlv.BOOTADDR and length == 4 and at + length <= end:
            return int.from_bytes(image[at : at + length], "little")
        at += pad8(length)
    return None


def vectors_pa(outcome: Outcome, core: Core) -> int | None:
    """Physical address of the core's vectors after this load; None: no BOOTADDR, or outside its memory.

    ST's platform knows it itself: an earlier image's BOOTADDR may be set still, see Outcome.vectors.
    """
    if outcome.vectors is not None:
        return outcome.vectors
    da = core.vectors_of(boot_address(outcome.image))
    return None if da is None else core.pa_of(da)


def vectors(outcome: Outcome, core: Core) -> bytes | None:
    """Initial stack pointer and reset vector that were loaded, 8 bytes; None if nothing was loaded there."""
    pa = vectors_pa(outcome, core)
    return None if pa is None else loaded_at(outcome.writes, outcome.image, pa)


def loaded_at(writes: tuple[Write, ...], image: bytes | memoryview, pa: int) -> bytes | None:
    """The 8 bytes that a load has written at a physical address; None if not all are from the file."""
    for write in flatten(writes):
        if write.offset is not None and write.pa <= pa and pa + VECTORS_BYTES <= write.pa + write.size:
            at = write.offset + pa - write.pa
            return bytes(image[at : at + VECTORS_BYTES])
    return None
