# SPDX-License-Identifier: MIT
"""Resource tables put together by hand: every entry that Linux knows, sound and odd.

Ref: Linux include/linux/remoteproc.h, struct resource_table and struct fw_rsc_*
"""

import struct
from collections.abc import Sequence

from mpbench.twin.linux_table import CARVEOUT, DEVMEM, TRACE, VDEV

ANY = 0xFFFF_FFFF

Vring = tuple[int, int, int]
"""da, align, number of buffers."""


def entry(kind: int, *words: int, name: bytes = b"") -> bytes:
    """An entry of 32-bit words, and a name of 32 bytes if there is one."""
    return struct.pack(f"<{1 + len(words)}I", kind, *words) + (name.ljust(32, b"\0") if name else b"")


def trace(da: int = 0x8120_0000, size: int = 0x1000, reserved: int = 0) -> bytes:
    """A trace buffer."""
    return entry(TRACE, da, size, reserved, name=b"trace")


def carveout(name: bytes, da: int, size: int, *, reserved: int = 0) -> bytes:
    """A request for memory."""
    return entry(CARVEOUT, da, ANY, size, 0, reserved, name=name or bytes(32))


def devmem(da: int, pa: int, size: int) -> bytes:
    """A request for the mapping of a peripheral."""
    return entry(DEVMEM, da, pa, size, 0, 0, name=b"regs")


def vdev(
    rings: Sequence[Vring],
    *,
    device: int = 7,
    config: bytes = b"",
    count: int | None = None,
    reserved: int = 0,
    config_len: int | None = None,
) -> bytes:
    """A virtio device; count, config_len: if they are not those of what follows."""
    numbers = len(rings) if count is None else count, len(config) if config_len is None else config_len
    head = struct.pack("<6I2BH", VDEV, device, 0, 1, 0, numbers[1], 0, numbers[0], reserved)
    return head + b"".join(struct.pack("<5I", da, align, num, 0xFF, 0) for da, align, num in rings) + config


RPMSG = vdev([(ANY, 16, 16), (ANY, 16, 16)])
"""As ST's firmware for RPMsg has it: two vrings at addresses that Linux chooses."""


def table(*entries: bytes, offsets: Sequence[int] | None = None) -> bytes:
    """A sound table, unless `offsets` gives other offsets of its entries."""
    begin, places = 16 + 4 * len(entries), []
    for one in entries:
        places.append(begin)
        begin += len(one)
    head = struct.pack(f"<{4 + len(entries)}I", 1, len(entries), 0, 0, *(offsets or places))
    return head + b"".join(entries)
