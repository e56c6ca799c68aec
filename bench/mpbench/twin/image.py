# SPDX-License-Identifier: MIT
"""The bytes of an image as the loader's C code reads them: bounded reads, TLV look-up."""

import struct
from typing import Any

from mpbench import layout

UNROUNDABLE = 0xFFFFFFF9
"""From this length on ROUNDUP_64 of a uint32_t wraps to 0 (lib/libutils/ext/include/util.h, ROUNDUP)."""

WORK_FACTOR = 16
"""Bytes looked at per byte of image before the twin gives up: overlapping parts have no bound otherwise."""


class Stop(Exception):
    """The loader stops here: name of the reason, numbers of the case, lines printed on the way.

    code: TEE result where the reason leaves it open.
    """

    def __init__(self, name: str, detail: str = "", *console: str, code: int | None = None) -> None:
        super().__init__(name)
        self.name, self.detail, self.console, self.code = name, detail, console, code


class View:
    """Bytes of the shared buffer; a read outside is where the C code's behaviour ends.

    work: how many bytes of them may still be looked at.
    """

    __slots__ = ("data", "size", "work")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        self.size = len(self.data)
        self.work = WORK_FACTOR * self.size

    def inside(self, at: int, size: int) -> None:
        """Stop(reads-outside) unless the buffer holds these bytes."""
        if at < 0 or at + size > self.size:
            raise Stop("reads-outside", f"{size} bytes at {at:#x} of a file of {self.size:#x} bytes")

    def spend(self, size: int) -> None:
        """Stop(work-limit) if these bytes are more than may still be looked at."""
        self.work -= size
        if self.work < 0:
            raise Stop("work-limit", f"more than {WORK_FACTOR} times {self.size:#x} bytes")

    def part(self, start: int, end: int) -> memoryview:
        """Bytes `start` .. `end` (exclusive)."""
        return self.data[start:end]

    def starts(self, at: int, wanted: bytes) -> bool:
        """Whether `wanted` is at `at`, read byte by byte; Stop(reads-outside) if that leaves the buffer."""
        for i, byte in enumerate(wanted):
            self.inside(at + i, 1)
            if self.data[at + i] != byte:
                return False
        return True

    def row(self, form: struct.Struct, at: int) -> "Members":
        """Numbers of a structure; one that the file cuts costs nothing until a lost number is read."""
        if at >= 0:
            try:
                return form.unpack_from(self.data, at)
            except struct.error:
                pass
        return CutStruct(self, form, at)


class CutStruct:
    """A structure that leaves the file. What lies outside is a number that depends on the bytes there."""

    def __init__(self, view: View, form: struct.Struct, at: int) -> None:
        self.view, self.form, self.at = view, form, at
        self.if_zeros, self.if_ones = self.filled(b"\0"), self.filled(b"\xff")

    def filled(self, byte: bytes) -> tuple[int, ...]:
        """The numbers if everything outside consisted of this byte."""
        size, end = self.form.size, self.at + self.form.size
        before = min(max(-self.at, 0), size)
        inside = bytes(self.view.data[max(self.at, 0) : max(end, 0)])
        return self.form.unpack((byte * before + inside).ljust(size, byte))

    def __getitem__(self, index: int, /) -> int:
        if self.if_zeros[index] != self.if_ones[index]:
            raise Stop("reads-outside", f"structure at {self.at:#x} of a file of {self.view.size:#x} bytes")
        return self.if_zeros[index]


class Overlong:
    """Value of a TLV that claims more bytes than the loader has copied: only its length may be looked at."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        raise self.outside()

    def __getitem__(self, index: object, /) -> Any:
        raise self.outside()

    def outside(self) -> Stop:
        """The loader reads its heap past the copy."""
        return Stop("heap-outside", f"a TLV of {self.size:#x} bytes runs past header, TLVs and signature")


Members = tuple[int, ...] | CutStruct
"""The numbers of a structure, in its order."""


Value = memoryview | Overlong
"""Value of a TLV."""


def tlv_index(data: memoryview, start: int, size: int, word_bits: int) -> dict[int, Value]:
    """Value of the record that a look-up of each type finds, as remoteproc_get_tlv walks.

    The first record of a type that ends inside the area wins. One that does not is skipped, and in 64-bit
    builds a length so large that its rounding wraps to 0 is skipped by nothing at all. A type of more than
    16 bits is never looked up: the C function's parameter has no more.
    """
    found: dict[int, Value] = {}
    at, end, unpack = start + 8, start + size, layout.TLV_HEAD.unpack_from
    while at <= end:
        kind, length = unpack(data, at - 8)
        after = at + length
        if after <= end:
            if kind not in found:
                found[kind] = data[at:after]
            at = after + -length % 8 + 8
        elif length < UNROUNDABLE or word_bits == 32:
            break
        else:
            at += 8
    return found
