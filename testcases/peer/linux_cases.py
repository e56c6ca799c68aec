# SPDX-License-Identifier: MIT
"""Cases for Linux' peer: ELF files of both classes with none to three faults, tables, boards."""

import random
import struct
from collections.abc import Sequence

from attrs import frozen

from mpbench import layout
from mpbench.twin.linux_elf import CLASSES
from mpbench.twin.linux_values import Carveout
from testcases import tables
from testcases.peer.cases import put_fault
from testcases.peer.elves import align
from testcases.peer.linux_worker import Board
from testcases.tables import ANY

SRAM = Carveout("mcuram2", 0x1000_0000, 0x400, 0x1000_0000)
RETRAM = Carveout("retram", 0, 0x200, 0x3800_0000)
TOP = Carveout("top", 0xF000_0000, 0x200, 0x7000_0000)
RINGS = tuple(
    Carveout(f"vdev0vring{i}", 0x1004_0000 + i * 0x1000, 0x1000, 0x1004_0000 + i * 0x1000) for i in (0, 1)
)
SECOND = tuple(
    Carveout(f"vdev1vring{i}", 0x1005_0000 + i * 0x2000, 0x2000, 0x2005_0000 + i * 0x2000) for i in (0, 1)
)
BUFFER = Carveout("vdev0buffer", 0x1004_2000, 0x100, 0, mapped=False)
BOARDS = (
    Board((RETRAM, SRAM, *RINGS, BUFFER)), Board((SRAM, *RINGS)), Board((SRAM,)),
    Board((SRAM, RINGS[0], TOP)), Board((SRAM,), allocates=True),
    Board((TOP, RETRAM, SRAM, *RINGS, *SECOND), allocates=True),
)  # fmt: skip
NAMES = (
    b"mcuram2",
    b"retram",
    b"vdev0vring0",
    b"vdev0vring1",
    b"vdev0buffer",
    b"shm",
    b"",
    b"a%s",
    b"n" * 32,
)
PLACES = (0, 0x1000_0000, 0x1000_0100, 0x1000_03FC, 0x1004_0000, 0xF000_0000, 0xF000_0100, 0x2000_0000)
PROGRAM = {1: "<8I", 2: "<2I6Q"}
SECTION = {1: "<10I", 2: "<2I4Q2I2Q"}
WIDE = (1 << 64) - 16, (1 << 64) - 1, 1 << 63, 1 << 32, (1 << 32) + 0x1000_0000, (1 << 32) - 16
"""Numbers that wrap, or differ from a good one by 4 GiB."""


@frozen
class Base:
    """An image, and where faults are put: (position, size), by structure."""

    image: bytes
    targets: Sequence[Sequence[tuple[int, int]]]


def build(kind: int, segments: Sequence[tuple[int, bytes, int]], table: bytes, table_da: int) -> Base:
    """An ELF of class 1 or 2: segments (p_paddr, data, p_memsz), a table in a section of its own."""
    head, program, section = (
        CLASSES[kind].head.size,
        struct.Struct(PROGRAM[kind]),
        struct.Struct(SECTION[kind]),
    )
    body = bytearray(head + program.size * len(segments))
    for index, (da, data, memsz) in enumerate(segments):
        align(body, 8)
        where = (len(body), da, da, len(data), memsz)
        row: tuple[int, ...] = (1, *where, 5, 4) if kind == 1 else (1, 5, *where, 4)
        program.pack_into(body, head + index * program.size, *row)
        body += data
    align(body, 8)
    at = len(body)
    body += table
    names = b"\0.text\0" + layout.RESOURCE_SECTION + b"\0.shstrtab\0"
    rows: list[tuple[int, ...]] = [
        (0,) * 10,
        (1, 1, 6, 0, 0, 0, 0, 0, 4, 0),
        (7, 1, 3, table_da, at, len(table), 0, 0, 4, 0),
    ]
    rows.append((names.index(b".shstrtab"), 3, 0, 0, len(body), len(names), 0, 0, 1, 0))
    body += names
    align(body, 8)
    shoff = len(body)
    body += b"".join(section.pack(*one) for one in rows)
    ident = layout.ELF_MAGIC + bytes([kind, 1, 1]) + bytes(9)
    counts = (0, head, program.size, len(segments), section.size, len(rows), len(rows) - 1)
    CLASSES[kind].head.pack_into(body, 0, ident, 2, 40, 1, 0x1000_0001, head, shoff, *counts)
    step = 4 * kind
    header = [(i, 1) for i in range(20)] + [(i, 2) for i in range(head - 14, head, 2)]
    header += [(i, step) for i in range(24, 24 + 3 * step, step)]
    words = [(i, 4) for i in range(at, max(at + 4, at + len(table) - 3), 4)]
    programs = [(i, step) for i in range(head, head + program.size * len(segments), step)]
    return Base(bytes(body), [header, words, programs, [(i, step) for i in range(shoff, len(body), step)]])


def random_entry(rng: random.Random) -> bytes:
    """An entry, sound more often than not."""
    pick = rng.random()
    da = rng.choice((ANY, ANY, *PLACES))
    if pick < 0.15:
        return tables.trace(da, 0x100, rng.random() < 0.05)
    if pick < 0.35:
        return tables.carveout(rng.choice(NAMES), da, rng.choice((0, 1, 0x100, 0x400, 0x1000, ANY)))
    if pick < 0.38:
        return tables.devmem(da, 0, 4)
    if pick < 0.45:
        return tables.entry(rng.choice((4, 127, 128, 300, 512, 513, ANY)), 1, 2)
    count = rng.choice((2, 2, 2, 2, 2, 1, 0, 3))
    return tables.vdev(
        [random_ring(rng) for _ in range(count)],
        device=rng.choice((7, 7, 1)),
        config=bytes(rng.choice((0, 0, 4))),
    )


def random_ring(rng: random.Random) -> tables.Vring:
    """A vring, sound more often than not."""
    num = rng.choice((16, 16, 16, 1, 24, 128, 256, 0, 0x1000_0000, ANY))
    return (
        rng.choice((ANY, ANY, ANY, 0x1004_0000, 0x1004_1000, 0x1004_0800, 0)),
        rng.choice((16, 16, 4096, 1, 3, 0, ANY)),
        num,
    )


def random_table(rng: random.Random) -> bytes:
    """A table of none to four entries, some with an offset of their own."""
    entries = [random_entry(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
    if entries and rng.random() < 0.1:
        wild = (0, 4, 8, 12, 16, 20, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0040, 0xFFFF_FFF0, ANY)
        return tables.table(*entries, offsets=[rng.choice(wild) for _ in entries])
    return tables.table(*entries)


def random_base(rng: random.Random) -> Base:
    """An ELF whose segments lie in memory, or nearly."""
    table = random_table(rng)
    kind = rng.choice((1, 1, 2))
    segments = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.randbytes(rng.choice((0, 4, 30, 64)))
        high = rng.choice((0, 0, 0, 1)) << 32 if kind == 2 else 0
        segments.append((rng.choice(PLACES) + high, data, len(data) + rng.choice((0, 0, 4, 100, 0x1C0))))
    return build(kind, segments, table, rng.choice((*PLACES[:5], 0x1000_0000 + 0x400 - len(table))))


def random_image(base: Base, rng: random.Random) -> bytes:
    """The image with none to three faults."""
    image = bytearray(base.image)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        at, size = rng.choice(rng.choice(base.targets))
        if size == 8 and at + 8 <= len(image) and rng.getrandbits(1):
            image[at : at + 8] = rng.choice(WIDE).to_bytes(8, "little")
        else:
            put_fault(image, (at, size), rng)
    return bytes(image)
