# SPDX-License-Identifier: MIT
"""Cases for the peer: images with zero to three faults, commands over two cores, boards of several kinds."""

import random
from collections.abc import Sequence

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import rsa

from bench import layout
from bench.image.fields import fields
from bench.image.spoil import DELTAS, INTERESTING, resigned
from bench.layout import TaCommand
from testcases.peer.elves import random_draft
from testcases.peer.worker import PLACES, SMALL, Board, Command

UNKNOWN_CORE = 7

SCRIPTS = (
    "L", "L", "L", "L", "LG", "LGSPR", "LSPLS", "LLSSPP", "LRLS", "LSLRG", "GSPR", "LCL", "LSPGR",
)  # fmt: skip
"""L load, S start, P stop, R release, G get the resource table, C core dump."""

LETTERS = {
    "L": TaCommand.LOAD_FW, "S": TaCommand.START_FW, "P": TaCommand.STOP_FW, "R": TaCommand.RELEASE_FW,
    "G": TaCommand.GET_RSC_TABLE, "C": TaCommand.GET_COREDUMP,
}  # fmt: skip


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
    lists = list(groups.values())
    targets = [rng.choice(rng.choice(lists)) for _ in range(256)] or [(0, 1)]
    return Base(image, targets)


def random_base(rng: random.Random, key: rsa.RSAPrivateKey | None = None) -> Base:
    """A new image; signed when there is a key (and room for its signature)."""
    image = random_draft(rng, PLACES).build()
    return base_of(image if key is None else resigned(image, key), rng)


def spoiled(base: Base, rng: random.Random, faults: int) -> bytes:
    """The image with so many faults; header lengths stay below 2^31 but for one case in a thousand."""
    image = bytearray(base.image)
    for _ in range(faults):
        _fault(image, base.targets[rng.getrandbits(8)], rng)
    if rng.getrandbits(10) and len(image) >= layout.HEADER.size:
        for at in (11, 15, 19):
            image[at] &= 0x7F
    return bytes(image)


def _fault(image: bytearray, target: tuple[int, int], rng: random.Random) -> None:
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
    """A script on one core, sometimes mixed with a second core's; every load gets its own faults."""
    script = rng.choice(SCRIPTS)
    core = rng.choice((1, 1, 1, 1, 1, 1, 2, 2, UNKNOWN_CORE))
    commands = []
    other = rng.random() < 0.25
    for letter in script:
        commands.append(_command(letter, core, base, rng))
        if other:
            commands.append(_command(rng.choice("LSPRG"), 3 - core if core < 3 else 1, base, rng))
    return commands


def _command(letter: str, core: int, base: Base, rng: random.Random) -> Command:
    if letter != "L":
        return int(LETTERS[letter]), core, b""
    faults = (0, 1, 1, 1, 1, 2, 2, 3)[rng.getrandbits(3)]
    return int(TaCommand.LOAD_FW), core, spoiled(base, rng, faults)


def random_board(rng: random.Random, modulus: int) -> Board:
    """Mostly two cores with a state each and signatures that are good; all other kinds now and then."""
    chance = rng.random()
    if chance < 0.55:
        return Board(SMALL)
    if chance < 0.75:
        return Board(SMALL, "shared")
    if chance < 0.80:
        return Board(SMALL, verdict=False)
    if chance < 0.93:
        return Board(SMALL, heap_bytes=rng.randrange(1100, 4097))
    if chance < 0.97:
        return Board(SMALL, verdict=None, modulus=modulus)
    return Board(SMALL, formats=rng.choice((0, 1, 2, 3)), protection=rng.choice((0, 1, 3)))
