# SPDX-License-Identifier: MIT
"""The bytes of an image as the loader's C code sees them: bounded reads, TLV look-up."""

import struct

from bench import layout

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")

UNROUNDABLE = 0xFFFFFFF9
"""From this length on ROUNDUP_64 of a uint32_t wraps to 0 (lib/libutils/ext/include/util.h, ROUNDUP)."""


class Stop(Exception):
    """The loader stops here: name of the reason, numbers of the case, lines printed on the way.

    code: TEE result where the reason leaves it open.
    """

    def __init__(self, name: str, detail: str = "", *console: str, code: int | None = None) -> None:
        super().__init__(name)
        self.name, self.detail, self.console, self.code = name, detail, console, code


class View:
    """Bytes of the shared buffer; a read outside is where the C code's behaviour ends."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        self.size = len(self.data)

    def inside(self, at: int, size: int) -> None:
        """Stop(reads-outside) unless the buffer holds these bytes."""
        if at < 0 or at + size > self.size:
            raise Stop("reads-outside", f"{size} bytes at {at:#x} of a file of {self.size:#x} bytes")

    def starts(self, at: int, wanted: bytes) -> bool:
        """Whether these bytes stand there, read one by one; Stop(reads-outside) if that leaves the buffer."""
        for i, byte in enumerate(wanted):
            self.inside(at + i, 1)
            if self.data[at + i] != byte:
                return False
        return True

    def u32(self, at: int) -> int:
        """Word at a position."""
        if at < 0 or at + 4 > self.size:
            self.inside(at, 4)
        value: int = _U32.unpack_from(self.data, at)[0]
        return value

    def u16(self, at: int) -> int:
        """Half word at a position."""
        if at < 0 or at + 2 > self.size:
            self.inside(at, 2)
        value: int = _U16.unpack_from(self.data, at)[0]
        return value


def tlv_index(data: memoryview, start: int, size: int, word_bits: int) -> dict[int, tuple[int, int]]:
    """Position and length of the record that a look-up of each type finds, as remoteproc_get_tlv walks.

    The first record of a type that ends inside the area wins. One that doesn't is skipped, and in 64-bit
    builds a length so large that its rounding wraps to 0 is skipped by nothing at all.
    """
    found: dict[int, tuple[int, int]] = {}
    at, end, unpack = start, start + size, layout.TLV_HEAD.unpack_from
    while at + 8 <= end:
        kind, length = unpack(data, at)
        at += 8
        if at + length <= end:
            if kind not in found and kind <= layout.TLV_LOOKUP_MAX:
                found[kind] = (at, length)
        elif length < UNROUNDABLE or word_bits == 32:
            break
        else:
            continue
        at += layout.pad8(length)
    return found
