# SPDX-License-Identifier: MIT
"""Linux for 32-bit Arm as QEMU loads it: unpacked, after U-Boot's header, which has its address.

A kernel that unpacks itself takes seconds of an emulated CPU for it.

Ref: Linux arch/arm/boot/compressed/head.S (the header), vmlinux.lds.S (its table), lib/decompress_unxz.c;
     U-Boot include/image.h, struct legacy_img_hdr
"""

import lzma
import struct
import zlib

from mpbench.core.errors import InfrastructureError

MAGIC, MAGIC_2, MAGIC_3 = 0x016F2818, 0x45454545, 0x5A534C4B
HEADER = struct.Struct("<I12xII")
"""Magic number; start, end and byte order, which are not read; the second number, where the table is."""
HEADER_AT = 0x24
TABLE = struct.Struct("<5I")
"""Length in words, magic number, where the size of the kernel is, of its variables, its place in memory."""
XZ = b"\xfd7zXZ\0"

UBOOT = struct.Struct(">7I4B32s")
UBOOT_MAGIC, LINUX, ARM, KERNEL, NOT_PACKED = 0x27051956, 5, 2, 2, 0


def unpacked(packed: bytes) -> tuple[bytes, int]:
    """The kernel in a zImage, and its distance in bytes from where memory starts; or InfrastructureError."""
    try:
        magic, second, table = HEADER.unpack_from(packed, HEADER_AT)
        _, third, size_at, _, offset = TABLE.unpack_from(packed, table)
        (size,) = struct.unpack_from("<I", packed, size_at)
    except struct.error:
        raise InfrastructureError("the kernel is cut short") from None
    if (magic, second, third) != (MAGIC, MAGIC_2, MAGIC_3):
        raise InfrastructureError("the kernel is no zImage of 32-bit Arm")
    found = packed.find(XZ)
    while found >= 0:  # the unpacking program has the magic number as well
        try:
            kernel = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed[found:])
        except lzma.LZMAError:
            kernel = b""
        if len(kernel) == size:
            return kernel, offset
        found = packed.find(XZ, found + 1)
    raise InfrastructureError("the kernel is not packed by XZ, or is cut short")


def with_address(kernel: bytes, address: int) -> bytes:
    """The kernel after U-Boot's header: loaded to `address`, and started there."""

    def header(checksum: int) -> bytes:
        numbers = (UBOOT_MAGIC, checksum, 0, len(kernel), address, address, zlib.crc32(kernel))
        return UBOOT.pack(*numbers, LINUX, ARM, KERNEL, NOT_PACKED, b"Linux")

    return header(zlib.crc32(header(0))) + kernel
