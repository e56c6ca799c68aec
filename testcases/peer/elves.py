# SPDX-License-Identifier: MIT
"""Small ELF files and TLV areas put together by hand: sound ones, odd ones, and ones no linker would make."""

import hashlib
import random
from collections.abc import Sequence

from attrs import field, frozen

from mpbench import layout
from mpbench.layout import Tlv


@frozen
class Segment:
    """One program header and its data."""

    paddr: int
    data: bytes = b""
    memsz: int = 0
    kind: int = layout.PT_LOAD
    flags: int = 5


@frozen
class Elf:
    """A 32-bit ELF. table: content of .resource_table, None for no such section; table_da: its address.

    tail: data of the last segment, at the very end of the file; others: names of more sections, empty ones.
    """

    segments: Sequence[Segment]
    table: bytes | None = None
    table_da: int = 0
    name: bytes = layout.RESOURCE_SECTION
    unterminated: bool = False
    tail: bytes = b""
    sections: bool = True
    others: Sequence[bytes] = ()

    def build(self) -> bytes:
        """Header, program headers, data, section names, section headers."""
        body = bytearray(layout.EHDR.size + layout.PHDR.size * len(self.segments))
        for index, segment in enumerate(self.segments):
            align(body)
            head = (
                segment.kind,
                len(body),
                segment.paddr,
                segment.paddr,
                len(segment.data),
                segment.memsz,
                segment.flags,
                4,
            )
            layout.PHDR.pack_into(body, layout.EHDR.size + index * layout.PHDR.size, *head)
            body += segment.data
        shoff, shnum = self._sections(body) if self.sections else (0, 0)
        if self.tail:
            last = layout.EHDR.size + layout.PHDR.size * (len(self.segments) - 1)
            header = list(layout.PHDR.unpack_from(body, last))
            header[1], header[4], header[5] = len(body), len(self.tail), len(self.tail)
            layout.PHDR.pack_into(body, last, *header)
            body += self.tail
        ident = layout.ELF_MAGIC + bytes([1, 1, 1]) + bytes(9)
        entry = self.segments[0].paddr if self.segments else 0
        fixed = (ident, 2, layout.EM_ARM, 1, entry, layout.EHDR.size, shoff, 0x5000000)
        counts = (52, 32, len(self.segments), 40, shnum, max(shnum - 1, 0))
        layout.EHDR.pack_into(body, 0, *fixed, *counts)
        return bytes(body)

    def _sections(self, body: bytearray) -> tuple[int, int]:
        names = b"\0.text\0" + (
            b".shstrtab\0" + self.name if self.unterminated else self.name + b"\0.shstrtab\0"
        )
        rows = [(0,) * 10, (1, 1, 6, self.table_da, 0, 0, 0, 0, 4, 0)]
        if self.table is not None:
            align(body)
            rows.append(
                (names.index(self.name, 6), 1, 3, self.table_da, len(body), len(self.table), 0, 0, 4, 0)
            )
            body += self.table
        for other in self.others:
            rows.append((len(names), 1, 0, 0, len(body), 0, 0, 0, 1, 0))
            names += other + b"\0"
        rows.append((names.index(b".shstrtab"), 3, 0, 0, len(body), len(names), 0, 0, 1, 0))
        body += names
        align(body)
        shoff = len(body)
        for row in rows:
            body += layout.SHDR.pack(*row)
        return shoff, len(rows)


def align(body: bytearray, to: int = 4) -> None:
    """Zeros up to a multiple."""
    body += bytes(-len(body) % to)


def resource_table(entries: int = 1, version: int = 1, reserved: tuple[int, int] = (0, 0)) -> bytes:
    """A table with trace entries."""
    start = 16 + 4 * entries
    head = layout.RESOURCE_HEAD.pack(version, entries, *reserved)
    offsets = b"".join((start + 48 * i).to_bytes(4, "little") for i in range(entries))
    entry = b"".join(n.to_bytes(4, "little") for n in (2, 0x81200000, 0x100, 0)) + b"trace0".ljust(32, b"\0")
    return head + offsets + entry * entries


@frozen
class Draft:
    """A signed image before its signature: records in order, ELF files."""

    elfs: Sequence[bytes]
    extra: Sequence[tuple[int, bytes]] = ()
    before: Sequence[tuple[int, bytes]] = ()
    sign_len: int = field(default=256)
    img_cut: int = 0
    order: Sequence[int] = (0, 1, 2, 3, 4, 5)
    sign_type: int = 1
    kind: int = layout.IMG_ELF

    def build(self, signature: bytes = b"") -> bytes:
        """The image with the signature given, or zeros."""
        images = b"".join(elf + bytes(-len(elf) % 8) for elf in self.elfs)
        area = self.area()
        head = layout.HEADER.pack(
            layout.HEADER_MAGIC, 1, len(area), self.sign_len, len(images) - self.img_cut
        )
        padded = layout.pad8(self.sign_len)
        return head + area + signature.ljust(padded, b"\0") + images

    def area(self) -> bytes:
        """The TLV area."""
        sizes = b"".join(layout.pad8(len(elf)).to_bytes(4, "little") for elf in self.elfs)
        own = [
            (Tlv.SIGNTYPE, bytes([self.sign_type])),
            (Tlv.NUM_IMG, bytes([len(self.elfs)])),
            (Tlv.IMGTYPE, bytes([self.kind]) * len(self.elfs)),
            (Tlv.IMGSIZE, sizes),
            (Tlv.HASHTYPE, b"\1"),
            (Tlv.HASHTABLE, b"".join(hash_table(elf) for elf in self.elfs)),
        ]
        records = [*self.before, *(own[i] for i in self.order), *self.extra]
        return b"".join(record(kind, value) for kind, value in records)


def record(kind: int, value: bytes) -> bytes:
    """One TLV."""
    return layout.TLV_HEAD.pack(kind, len(value)) + value + bytes(-len(value) % 8)


def hash_table(elf: bytes) -> bytes:
    """Entry of every program header."""
    return encryption_table(elf, b"")


def encryption_table(elf: bytes, vector: bytes) -> bytes:
    """Entry of every program header, each with the same initialisation vector."""
    head = dict(zip(layout.EHDR_FIELDS, layout.EHDR.unpack_from(elf), strict=True))
    out = b""
    for i in range(head["e_phnum"]):
        at = head["e_phoff"] + i * layout.PHDR.size
        _, offset, _, _, filesz, *_ = layout.PHDR.unpack_from(elf, at)
        out += elf[at : at + layout.PHDR.size] + hashlib.sha256(elf[offset : offset + filesz]).digest()
        out += vector
    return out


# ---------------------------------------------------------------------------------- random drafts


def random_elf(rng: random.Random, base: int, size: int) -> Elf:
    """An ELF that fits the memory `base` .. `base + size`, or nearly."""
    segments = []
    at = base
    for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
        data = rng.randbytes(rng.choice((0, 1, 4, 16, 30, 64)))
        memsz = len(data) + rng.choice((0, 0, 0, 4, 32, 100))
        kind = layout.PT_LOAD if rng.random() < 0.85 else rng.choice((0, 4, 6, layout.PT_ARM_EXIDX))
        segments.append(Segment(at, data, memsz, kind))
        at += rng.choice((0, 4, 64, 128, 256, size // 3))
    chance = rng.random()
    tail = rng.randbytes(rng.choice((8, 13))) if rng.random() < 0.1 else b""
    if chance < 0.25:
        return Elf(segments, tail=tail, sections=chance > 0.03)
    table = random_table(rng)
    table_da = rng.choice((base, base + size - len(table), base + size, at, 0))
    name = (
        layout.RESOURCE_SECTION if rng.random() < 0.85 else rng.choice((b".resource_tableX", b".res", b".r"))
    )
    return Elf(segments, table, table_da, name, unterminated=rng.random() < 0.15, tail=tail)


def random_table(rng: random.Random) -> bytes:
    """A resource table, sound four times out of five."""
    if rng.random() < 0.8:
        return resource_table(rng.choice((0, 1, 1, 2)))
    version, num = (
        rng.choice((0, 1, 1, 2, 0x80000000)),
        rng.choice((0, 1, 4, 5, 0x3FFFFFFF, 0x40000000, 0xFFFFFFFF)),
    )
    reserved = rng.choice(((0, 0), (1, 0), (0, 1)))
    table = layout.RESOURCE_HEAD.pack(version, num, *reserved) + bytes(rng.choice((0, 4, 20)))
    return table[: rng.choice((0, 8, 15, 64, 64))]


def random_draft(rng: random.Random, places: Sequence[tuple[int, int]]) -> Draft:
    """A signed image of one to three ELF files for the memories (address, size)."""
    count = rng.choice((1, 1, 1, 1, 2, 2, 3))
    base, size = rng.choice(places)
    step = size // count // 4 * 4
    elfs = [random_elf(rng, base + i * step, step).build() for i in range(count)]
    order = list(range(6))
    if rng.random() < 0.3:
        rng.shuffle(order)
    extra = [
        (
            rng.choice((0x10001, 0x12, 0x30001, 0x11, 0x10010, 1, 0x10)),
            rng.randbytes(rng.choice((0, 1, 4, 9))),
        )
    ]
    extra = extra if rng.random() < 0.4 else []
    before = (
        [(rng.choice((0x77, 0x10001, 3, 4)), rng.randbytes(rng.choice((0, 4))))] if rng.random() < 0.1 else []
    )
    img_cut = rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 4, 7))
    return Draft(elfs, extra, before, rng.choice((256, 256, 256, 64, 13)), img_cut, order)
