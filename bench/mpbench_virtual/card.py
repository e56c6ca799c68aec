# SPDX-License-Identifier: MIT
"""SD card of a virtual board: boot loaders at their partitions, kernel and root file system on the last one.

Ref: U-Boot doc/board/st/stm32mp1.rst; Debian's u-boot-stm32, README.Debian; UEFI 2.10, 5.3 (GPT);
mke2fs(8) -d, -E offset
"""

import os
import shutil
import struct
import uuid
import zlib
from pathlib import Path

from attrs import frozen

from mpbench_virtual.qemu import Parts
from mpbench_virtual.tools import run_logged

BLOCK = 512
SIZE = 64 << 20
"""Bytes of the card: a power of two, which is what QEMU's card has."""

LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
BOOTABLE = 1 << 2
"""GPT attribute of the partition that U-Boot looks for extlinux.conf on."""

ENTRIES, ENTRY_SIZE = 128, 128
GPT_BLOCKS = ENTRIES * ENTRY_SIZE // BLOCK + 1


@frozen
class Partition:
    """First and last block; `file`: of the boot loaders' directory, copied to it as it is."""

    name: str
    first: int
    last: int
    file: str = ""
    attributes: int = 0


PARTITIONS = (
    Partition("fsbl1", 34, 545, "u-boot-spl.stm32"),
    Partition("fsbl2", 546, 1057, "u-boot-spl.stm32"),
    Partition("ssbl", 1058, 5153, "u-boot.img"),
    Partition("boot", 6144, SIZE // BLOCK - GPT_BLOCKS - 1, attributes=BOOTABLE),
)


FIP_PARTITIONS = (
    Partition("fsbl1", 34, 545, "tf-a.stm32"),
    Partition("fsbl2", 546, 1057, "tf-a.stm32"),
    Partition("fip", 1058, 7167, "fip.bin"),
    Partition("boot", 8192, SIZE // BLOCK - GPT_BLOCKS - 1, attributes=BOOTABLE),
)
"""Where TF-A is the first loader. Ref: TF-A docs/plat/st/stm32mp1.rst"""


LINUX_PARTITIONS = (Partition("boot", 2048, SIZE // BLOCK - GPT_BLOCKS - 1, attributes=BOOTABLE),)
"""Where QEMU has the loaders."""


def partitions_of(loaders: Path) -> tuple[Partition, ...]:
    """The card's partitions, by the boot loaders in a directory."""
    for partitions in (PARTITIONS, FIP_PARTITIONS):
        if (loaders / partitions[0].file).is_file():
            return partitions
    return LINUX_PARTITIONS


EXTLINUX = """\
default debian
label debian
  kernel /vmlinuz
  initrd /initrd.img
  fdt /{tree}
{overlays}  append {append}
"""


def write_card(parts: Parts, log: Path) -> None:
    """Write the image `parts.card` from the parts that Linux is started from and the boot loaders."""
    assert parts.card is not None
    assert parts.loaders is not None
    partitions = partitions_of(parts.loaders)
    first, last = gpt(partitions)
    with parts.card.open("wb") as card:
        card.truncate(SIZE)
        card.write(first)
        for part in partitions[:-1]:
            card.seek(part.first * BLOCK)
            card.write((parts.loaders / part.file).read_bytes())
        card.seek(-len(last), 2)
        card.write(last)
    boot = parts.card.with_suffix(".boot")
    (boot / "extlinux").mkdir(parents=True)
    for file, name in (
        (parts.kernel, "vmlinuz"),
        (parts.initrd, "initrd.img"),
        (parts.device_tree, parts.device_tree.name),
    ):
        shutil.copy(file, boot / name)
    overlays = ""
    if (overlay := parts.loaders / "virtio.dtbo").is_file():
        shutil.copy(overlay, boot)
        overlays = f"  fdtoverlays /{overlay.name}\n"
    text = EXTLINUX.format(tree=parts.device_tree.name, overlays=overlays, append=parts.append)
    (boot / "extlinux/extlinux.conf").write_text(text)
    _make_file_system(boot, partitions[-1], parts.card, log)
    shutil.rmtree(boot)


def _make_file_system(files: Path, at: Partition, image: Path, log: Path) -> None:
    """An ext4 file system with these files on a partition."""
    size_kib = (at.last - at.first + 1) * BLOCK // 1024
    offset = f"offset={at.first * BLOCK}"
    # Debian has it in a directory that is not on every user's path.
    search = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    run_logged(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-d", files, "-E", offset, image, f"{size_kib}k"],
        log,
        env=search,
    )


def gpt(partitions: tuple[Partition, ...]) -> tuple[bytes, bytes]:
    """First blocks of the card, with a protective MBR, and its last ones: the two copies of the table."""
    end = SIZE // BLOCK - 1
    table = b"".join(map(_entry, partitions)).ljust(ENTRIES * ENTRY_SIZE, b"\0")
    whole = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, end)
    mbr = bytes(446) + whole.ljust(64, b"\0") + b"\x55\xaa"
    return (
        mbr + _header(1, end, 2, table) + table,
        table + _header(end, 1, end - GPT_BLOCKS + 1, table),
    )


def _guid(name: str) -> bytes:
    return uuid.uuid5(uuid.NAMESPACE_OID, name).bytes_le


def _entry(part: Partition) -> bytes:
    name = part.name.encode("utf-16le")
    return struct.pack(
        "<16s16sQQQ72s", LINUX_DATA.bytes_le, _guid(part.name), part.first, part.last, part.attributes, name
    )


def _header(at: int, other: int, table_at: int, table: bytes) -> bytes:
    end = SIZE // BLOCK - 1

    def pack(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, at, other,
            GPT_BLOCKS + 1, end - GPT_BLOCKS, _guid("card"), table_at, ENTRIES, ENTRY_SIZE, zlib.crc32(table),
        )  # fmt: skip

    return pack(zlib.crc32(pack(0))).ljust(BLOCK, b"\0")
