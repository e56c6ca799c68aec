# SPDX-License-Identifier: MIT
"""The resource table that Linux finds in memory after the TEE has loaded an image.

The TEE checks the table in the file, at a place that an unsigned section header names; Linux reads what lies
at the address that another field of the same header gives. What it makes of that: linux_table.handle().
Ref: firmware/linux/mpbench_remoteproc.c, is_sound().
"""

from mpbench import layout
from mpbench.twin.linux_table import trace_buffer
from mpbench.twin.values import Outcome, flatten


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


def has_trace(table: bytes) -> bool:
    """Whether a sound table, or none, names a trace buffer, which a firmware needs to be observed."""
    return bool(table) and trace_buffer(table) is not None
