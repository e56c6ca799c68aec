# SPDX-License-Identifier: MIT
"""Random bit flips of an image, from a seed, and the smallest part of them that still fails. Pure."""

import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

AT_ONCE = (1, 1, 1, 2, 3)
"""Number of bits flipped together, drawn from these: mostly one."""


@frozen
class Flip:
    """Bit `bit` (0: the lowest) of byte `at` of the file."""

    at: int
    bit: int

    def __str__(self) -> str:
        return f"byte {self.at:#x} bit {self.bit}"


Ranges = Sequence[tuple[int, int]]
"""(start, end) of bytes for which the twin expects one answer."""


def flipped(image: bytes, flips: Iterable[Flip]) -> bytes:
    """The image with these bits flipped."""
    changed = bytearray(image)
    for flip in flips:
        changed[flip.at] ^= 1 << flip.bit
    return bytes(changed)


def draw(groups: Sequence[Ranges], rng: random.Random) -> tuple[Flip, ...]:
    """One to three bits; every group is equally likely, whatever its size."""
    found = {_one(rng.choice(groups), rng) for _ in range(rng.choice(AT_ONCE))}
    return tuple(sorted(found, key=lambda flip: (flip.at, flip.bit)))


def _one(ranges: Ranges, rng: random.Random) -> Flip:
    start, end = rng.choices(ranges, [end - start for start, end in ranges])[0]
    return Flip(rng.randrange(start, end), rng.randrange(8))


def minimal(flips: Sequence[Flip], differs: Callable[[tuple[Flip, ...]], bool]) -> tuple[Flip, ...]:
    """The smallest part of `flips` that still differs; all of them if no smaller one does."""
    for size in range(1, len(flips)):
        for part in itertools.combinations(flips, size):
            if differs(part):
                return part
    return tuple(flips)


def in_words(flips: Iterable[Flip]) -> str:
    """E.g. "byte 0x14 bit 3, byte 0x20 bit 0"."""
    return ", ".join(str(flip) for flip in flips)
