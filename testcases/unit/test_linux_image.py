# SPDX-License-Identifier: MIT
"""Kernels for 32-bit Arm that QEMU loads unpacked."""

import lzma
import struct
import zlib

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench_virtual.linux_image import unpacked, with_address

KERNEL = bytes(range(256)) * 40


def zimage(payload: bytes, size: int = len(KERNEL)) -> bytes:
    """A file with Linux' header and table, and XZ's magic number once before the kernel."""
    text = b"code\xfd7zXZ\0"
    table = struct.pack("<6I", 6, 0x5A534C4B, 0, 0x100, 0x208000, 0)
    start = 0x40 + len(text)
    table = table.replace(struct.pack("<I", 0), struct.pack("<I", start + len(table) + len(payload)), 1)
    header = struct.pack("<6I", 0x016F2818, 0, 0, 0x04030201, 0x45454545, start)
    head = bytes(0x24) + header
    return head.ljust(0x40, b"\0") + text + table + payload + struct.pack("<I", size)


def test_a_packed_kernel_is_unpacked():
    assert unpacked(zimage(lzma.compress(KERNEL))) == (KERNEL, 0x208000)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (b"", "the kernel is cut short"),
        (zimage(lzma.compress(KERNEL))[:200], "the kernel is cut short"),
        (bytes(200), "the kernel is no zImage of 32-bit Arm"),
        (zimage(zlib.compress(KERNEL)), "the kernel is not packed by XZ, or is cut short"),
        (zimage(lzma.compress(KERNEL), 1), "the kernel is not packed by XZ, or is cut short"),
    ],
    ids=["empty", "cut", "other", "deflate", "another size"],
)
def test_what_is_no_kernel_is_refused(file, why):
    with pytest.raises(InfrastructureError, match=why):
        unpacked(file)


def test_the_header_has_the_address_and_checksums():
    """Ref: U-Boot boot/image.c, image_check_hcrc(), image_check_dcrc()"""
    image = with_address(KERNEL, 0xC0008000)
    magic, checksum, _, size, load, entry, data = struct.unpack_from(">7I", image)
    assert (magic, size, load, entry) == (0x27051956, len(KERNEL), 0xC0008000, 0xC0008000)
    assert image[28:32] == bytes([5, 2, 2, 0])  # Linux, Arm, kernel, not packed
    assert data == zlib.crc32(image[64:])
    assert checksum == zlib.crc32(image[:4] + bytes(4) + image[8:64])
