# SPDX-License-Identifier: MIT
"""Linux' handling of the resource table in memory after the TEE has loaded an image.

The TEE checks the table in the file, at a place that an unsigned section header names; Linux reads what lies
at the address that another field of the same header gives.
Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c, rproc_handle_resources(), rproc_handle_trace();
     firmware/linux/mpbench_remoteproc.c, is_sound().
"""

import struct

from mpbench import layout
from mpbench.twin.values import Outcome, flatten

CARVEOUT, DEVMEM, TRACE, VDEV = range(4)
VENDOR = range(128, 513)
TRACE_BYTES = 44
"""Of struct fw_rsc_trace: da, len, reserved, 32 characters of name."""

_U32 = struct.Struct("<I")


def table_in_memory(outcome: Outcome) -> bytes:
    """The bytes at GET_RSC_TABLE's address: loaded ones, else zeros, as RELEASE has cleared the memory."""
    pa, size = outcome.table.pa, outcome.table.size
    found = bytearray(size)
    for write in flatten(outcome.writes):
        start, end = max(pa, write.pa), min(pa + size, write.pa + write.size)
        if start < end and write.offset is not None:
            offset = write.offset + start - write.pa
            found[start - pa : end - pa] = outcome.image[offset : offset + end - start]
    return bytes(found)


def is_sound(table: bytes) -> bool:
    """Whether it has version 1, reserved words of 0, and space for its number of offsets."""
    if len(table) < layout.RESOURCE_HEAD.size:
        return False
    version, count, *reserved = layout.RESOURCE_HEAD.unpack_from(table)
    room = len(table) - layout.RESOURCE_HEAD.size
    return version == layout.RESOURCE_VERSION and not any(reserved) and count <= room // 4


def errno(table: bytes) -> str | None:
    """Answer to the resources of a sound table: OK, EINVAL, or None where more than it decides.

    A vendor's resource that no driver takes is skipped, but if it is the last that a handler is asked about,
    rproc_handle_resources() returns RSC_IGNORED, 1: the start fails, sysfs takes the 1 for a short write,
    and the write of the rest ("tart") gets EINVAL.
    """
    ignored = False
    for at in _offsets(table):
        answer = _resource(table, at)
        if answer not in ("OK", "ignored", "unknown"):
            return answer
        ignored = ignored if answer == "unknown" else answer == "ignored"
    return "EINVAL" if ignored else "OK"


def has_trace(table: bytes) -> bool:
    """Whether a sound table, or none, names a trace buffer, which a firmware needs to be observed."""
    return bool(table) and any(
        at + 4 <= len(table) and _U32.unpack_from(table, at)[0] == TRACE for at in _offsets(table)
    )


def _offsets(table: bytes) -> tuple[int, ...]:
    count = _U32.unpack_from(table, 4)[0]
    return struct.unpack_from(f"<{count}I", table, layout.RESOURCE_HEAD.size)


def _resource(table: bytes, at: int) -> str | None:
    if at >> 31:
        return None  # a negative offset: read outside of the copy
    left = len(table) - at - 4
    if left < 0:
        return "EINVAL"
    kind = _U32.unpack_from(table, at)[0]
    if kind == TRACE:
        return "OK" if left >= TRACE_BYTES and not _U32.unpack_from(table, at + 12)[0] else "EINVAL"
    if kind == DEVMEM:
        return "EINVAL"  # there is no IOMMU
    if kind in (CARVEOUT, VDEV):
        return None
    return "ignored" if kind in VENDOR else "unknown"
