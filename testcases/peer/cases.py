# SPDX-License-Identifier: MIT
"""Cases for the peer: images with zero to three faults, commands over two cores, boards of several kinds."""

import random
import struct
from collections.abc import Iterator, Sequence

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench import layout
from mpbench.image.faults import DELTAS, INTERESTING, resigned
from mpbench.image.fields import fields, images_at
from mpbench.layout import TaCommand, Tee
from testcases.peer.elves import Draft, Elf, Segment, random_draft
from testcases.peer.store import Stored
from testcases.peer.worker import (
    PLACES,
    SESSION_CLOSE,
    SESSION_OPEN,
    SMALL,
    UNALIGNED,
    WRONG_TYPES,
    Board,
    Command,
)

UNKNOWN_CORE = 7
LOAD = int(TaCommand.LOAD_FW)
BASE = SMALL[0].regions[0].da

SCRIPTS = (
    *("L", "L", "L", "L", "L", "LG", "LGSPR", "LSPLS", "LLSSPP", "LRLS", "LSLRG", "GSPR", "LCL", "LSPGR"),
    *("LlSsPp", "LlSsRr", "LSlspP", "Ll", "LlGgR", "oLSp", "ooLxL", "oxoL", "LSPS", "UUUUUUUUUUUUL"),
)
"""L load, S start, P stop, R release, G resource table, C core dump, o open and x close a session,
U load on an unknown core.

Capitals: on one core; the rest on the other one.
"""

LETTERS = {
    "L": int(TaCommand.LOAD_FW),
    "S": int(TaCommand.START_FW),
    "P": int(TaCommand.STOP_FW),
    "R": int(TaCommand.RELEASE_FW),
    "G": int(TaCommand.GET_RSC_TABLE),
    "C": int(TaCommand.GET_COREDUMP),
    "O": SESSION_OPEN,
    "X": SESSION_CLOSE,
}


@frozen
class Base:
    """A sound or odd image and where faults are put: (position, size), structures evenly weighted."""

    image: bytes
    targets: Sequence[tuple[int, int]]


def base_of(image: bytes, rng: random.Random) -> Base:
    """The image with 256 places drawn evenly over its structures."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for field in fields(image).values():
        if field.size:
            groups.setdefault(field.name.rsplit(".", 1)[0].rstrip("0123456789"), []).append(
                (field.at, field.size)
            )
    lists = list(groups.values()) or [[(0, 1)]]
    targets = [rng.choice(rng.choice(lists)) for _ in range(256)]
    return Base(image, targets)


def random_base(rng: random.Random, key: rsa.RSAPrivateKey | None = None) -> Base:
    """A new image; signed when there is a key (and room for its signature)."""
    image = random_draft(rng, PLACES).build()
    return base_of(image if key is None else resigned(image, key), rng)


def with_faults(base: Base, rng: random.Random, faults: int) -> bytes:
    """The image with that number of faults; header lengths stay below 2^31 but for one case in a thousand."""
    image = bytearray(base.image)
    for _ in range(faults):
        put_fault(image, base.targets[rng.getrandbits(8)], rng)
    if rng.getrandbits(10) and len(image) >= layout.HEADER.size:
        for at in (11, 15, 19):
            image[at] &= 0x7F
    return bytes(image)


def put_fault(image: bytearray, target: tuple[int, int], rng: random.Random) -> None:
    """Cut the image, lengthen it, or change what is at a target: position and size."""
    at, size = target
    kind = rng.getrandbits(6)
    if kind == 0:
        del image[rng.randrange(len(image) + 1) :]
    elif kind == 1:
        image += bytes(rng.choice((1, 4, 8, 16)))
    elif at + size > len(image):
        return
    elif size > 4 or kind < 12:
        image[at + rng.randrange(size)] ^= 1 << rng.getrandbits(3)
    else:
        old = int.from_bytes(image[at : at + size], "little")
        new = rng.choice(INTERESTING) if kind & 1 else old + rng.choice(DELTAS)
        image[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")


def random_commands(base: Base, rng: random.Random) -> list[Command]:
    """A script on one core and another; every load gets its own faults, one call in 64 is malformed."""
    pairs = ((1, 2), (1, 2), (1, 2), (1, 2), (2, 1), (1, UNKNOWN_CORE), (UNKNOWN_CORE, 1))
    core, other = rng.choice(pairs)
    script = rng.choice(SCRIPTS)
    return [command_of(letter.upper(), core if letter.isupper() else other, base, rng) for letter in script]


def command_of(letter: str, core: int, base: Base, rng: random.Random) -> Command:
    """The command of a letter of SCRIPTS."""
    if letter == "U":
        return int(TaCommand.LOAD_FW), rng.getrandbits(16), base.image
    odd = rng.getrandbits(6) == 0
    if odd:
        return _odd_command(letter, core, base, rng)
    if letter != "L":
        return LETTERS[letter], core, b""
    faults = (0, 1, 1, 1, 1, 2, 2, 3)[rng.getrandbits(3)]
    return int(TaCommand.LOAD_FW), core, with_faults(base, rng, faults)


def _odd_command(letter: str, core: int, base: Base, rng: random.Random) -> Command:
    if letter == "X":
        return SESSION_CLOSE, core, b""  # one too many would underflow the count of sessions
    if letter != "L":
        return rng.choice((0, 7, 9, LETTERS[letter] | WRONG_TYPES)), core, b""
    kinds = ((WRONG_TYPES, base.image), (UNALIGNED, base.image), (0, b""), (0, crafted(base, rng)))
    flag, image = rng.choice(kinds)
    return TaCommand.LOAD_FW | flag, core, image


def crafted(base: Base, rng: random.Random) -> bytes:
    """Headers no single fault makes: lengths that overflow together, images smaller than an ELF header."""
    image = bytearray(base.image)
    if rng.getrandbits(1):
        image[8:16] = struct.pack("<2I", 0x7FFFFFFF - rng.getrandbits(4), 0x7FFFFFFF - rng.getrandbits(4))
        return bytes(image)
    start = images_at(base.image)
    length = rng.randrange(0, 60)
    image[16:20] = length.to_bytes(4, "little")
    return bytes(image[: start + layout.pad8(length)])


def corners() -> list[Stored]:
    """Cases that chance hardly ever finds, one for each branch that needs them."""
    board = Board(SMALL)
    image = Draft([Elf([Segment(BASE, b"data", 4)]).build()]).build()
    loads = {
        "image length overflows": _with(image, "header.img_len", 0xFFFFFFF8),
        "TLV length overflows": _with(image, "header.tlv_len", 0xFFFFFFF0),
        "image length and TLVs overflow": _with(image, "header.img_len", (1 << 32) - 8 - 20 - 256),
        "data before the images": before_the_images(),
        "data after the images": _with(
            _with(image, "tlv.IMGSIZE.value", 0x7FFFFFF8), "elf0.ph0.p_offset", 0x01000000
        ),
    }
    loads |= {f"cut {i}": data for i, data in enumerate(cuts())}
    stored = [Stored(("corner", name), board, ((LOAD, 1, data),)) for name, data in loads.items()]
    return [*stored, Stored(("corner", "empty, with an address"), board, ((LOAD | UNALIGNED, 1, b""),))]


def before_the_images() -> bytes:
    """Two images, the first so large that the second begins in the signature, where there is an ELF."""
    second = Elf([Segment(BASE + 0x40, b"data", 4)]).build()
    first = Elf([Segment(BASE, b"data", 4)]).build()
    room = layout.pad8(len(second))
    image = Draft([first, second], sign_len=room).build(second)
    return _with(image, "tlv.IMGSIZE.value", (1 << 32) - room, 4)


def cuts() -> Iterator[bytes]:
    """Program and section headers that leave the file: only the words that are read matter."""
    for kept in range(0, 44, 4):
        for named, size in ((False, 0), (False, 64), (True, 0), (True, 64)):
            yield section_at_the_edge(kept, named, size)
        yield from (segment_at_the_edge(kept, kind) for kind in (0, 1))
    yield name_at_the_edge()


def segment_at_the_edge(kept: int, kind: int) -> bytes:
    """An image whose second program header has only `kept` bytes left, and an IMGSIZE of 2 GiB."""
    image = Draft([Elf([Segment(BASE, b"data", 4)] * 2).build()]).build()
    end = len(image) - fields(image)["elf0.e_ident"].at
    image = _with(_with(image, "elf0.e_phoff", end - kept), "tlv.IMGSIZE.value", 0x7FFFFFF8)
    return image[: len(image) - kept] + layout.PHDR.pack(kind, 0, 0, BASE, 4, 4, 5, 4)[:kept]


def section_at_the_edge(kept: int, named: bool, size: int) -> bytes:
    """An image whose second section header has only `kept` bytes left, and an IMGSIZE of 2 GiB."""
    elf = bytearray(Elf([Segment(BASE, b"data", 4)], tail=bytes(160)).build())
    elf += bytes(-len(elf) % 8)
    headers, names = len(elf) - 40 - kept, len(elf) - 150
    elf[names : names + 28] = b"\0.resource_table\0.shstrtab\0\0"
    elf[headers : headers + 40] = layout.SHDR.pack(0, 3, 0, 0, names, 28, 0, 0, 1, 0)
    second = layout.SHDR.pack(1 if named else 0, 1, 0, BASE, 0, size, 0, 0, 0, 0)
    elf[headers + 40 :] = second[:kept]
    elf[32:36], elf[48:52] = headers.to_bytes(4, "little"), b"\2\0\0\0"
    return _with(Draft([bytes(elf)]).build(), "tlv.IMGSIZE.value", 0x7FFFFFF8)


def name_at_the_edge() -> bytes:
    """A table of names that leaves the file, after a name that is still inside."""
    elf = bytearray(
        Elf([Segment(BASE, b"data", 4)], tail=bytes(40) + b"\0.resource_table\0" + bytes(6)).build()
    )
    elf += bytes(-len(elf) % 8)
    names = bytes(elf).rindex(b"\0.resource_table\0")
    headers = names - names % 4 - 40
    elf[headers : headers + 40] = layout.SHDR.pack(1, 3, 0, BASE, names, 4096, 0, 0, 1, 0)
    elf[32:36], elf[48:52] = headers.to_bytes(4, "little"), b"\1\0\0\0"
    return _with(Draft([bytes(elf)]).build(), "tlv.IMGSIZE.value", 0x7FFFFFF8)


def _with(image: bytes, name: str, value: int, size: int | None = None) -> bytes:
    field = fields(image)[name]
    size = size or field.size
    return image[: field.at] + value.to_bytes(size, "little") + image[field.at + size :]


def random_board(rng: random.Random, modulus: int) -> Board:
    """Mostly two cores with a state each and signatures that are good; all other kinds now and then."""
    faulty = rng.choice((1, 3, 4, 5, 6, 7, 8, 9)), int(rng.choice((Tee.GENERIC, Tee.BUSY, Tee.OUT_OF_MEMORY)))
    kinds = [
        (55, Board(SMALL)),
        (20, Board(SMALL, "shared")),
        (5, Board(SMALL, verdict=False)),
        (12, Board(SMALL, heap_bytes=rng.randrange(1100, 4097))),
        (4, Board(SMALL, verdict=None, modulus=modulus)),
        (2, Board(SMALL, fault=faulty)),
        (2, Board(SMALL, formats=rng.choice((0, 1, 2, 3)), protection=rng.choice((0, 1, 3)))),
    ]
    return rng.choices([board for _, board in kinds], [weight for weight, _ in kinds])[0]
