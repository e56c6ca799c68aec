# SPDX-License-Identifier: MIT
"""Heap of the TA: which allocation fails when TLVs and hash table are large.

The allocator is bget, first fit, one pool. It takes blocks from the end of the free space, and nothing that
lives longer than a command lies between the blocks of one command, so one number describes the heap.
Ref: OP-TEE 4.10 lib/libutils/isoc/bget.c (bget, buf_get_pos, bpool), bget_malloc.c (SizeQuant,
     raw_malloc_add_pool), lib/libutee/user_ta_entry.c (sessions), tee_api_operations.c (operation handle).
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from mpbench.layout import SHA256_SIZE

if TYPE_CHECKING:
    from mpbench.twin.profile import Profile


@frozen
class Sizes:
    """Bytes that depend on the word size: objects of the TA and its library.

    quantum: allocation quantum, and head of every block (struct bhead, two words);
    digest: what verifying a signature takes at once: hash, digest operation, its buffer.
    """

    quantum: int
    pool_list: int
    session: int
    context: int
    operation: int
    digest: int = field(init=False)

    @digest.default
    def _digest(self) -> int:
        return 2 * self.block(SHA256_SIZE) + self.block(self.operation)

    def block(self, size: int) -> int:
        """Bytes that a block takes with its head; no block is smaller than the quantum."""
        quantum = self.quantum
        return ((size or 1) + quantum - 1 & -quantum) + quantum


SIZES = {64: Sizes(16, 16, 32, 112, 96), 32: Sizes(8, 8, 16, 60, 64)}

ST_SIZES = {64: evolve(SIZES[64], context=136), 32: evolve(SIZES[32], context=76)}
"""With struct remoteproc_context of ST's 4.0, which knows encryption."""


def sizes_of(profile: "Profile") -> Sizes:
    """Sizes of a profile's TA."""
    grown = profile.loader in ("st-4.0-r1", "st-4.0-r2")
    return (ST_SIZES if grown else SIZES)[profile.word_bits]


KEY_INFO_HEAD = 8
"""Bytes in front of the key information that is handed to the platform."""


class Heap:
    """Free bytes of a TA that holds `sessions` sessions and knows `contexts` cores."""

    __slots__ = ("free", "sizes")

    def __init__(self, sizes: Sizes, size: int, sessions: int, contexts: int) -> None:
        self.sizes = sizes
        self.free = free_at_first(sizes, size, sessions, contexts)

    def take(self, size: int) -> bool:
        """Whether a block of this size fits; it stays taken."""
        rest = self.free - self.sizes.block(size)
        if not self.usable(rest):
            return False
        self.free = rest
        return True

    def can_verify(self, info_size: int) -> bool:
        """Whether the digest and so much key information fit; both are given back."""
        return self.usable(self.free - self.sizes.digest - self.sizes.block(KEY_INFO_HEAD + info_size))

    def usable(self, rest: int) -> bool:
        """Whether an allocation may leave this: nothing, or enough for another block."""
        return rest == 0 or rest >= 2 * self.sizes.quantum


@lru_cache
def free_at_first(sizes: Sizes, size: int, sessions: int, contexts: int) -> int:
    """What is free before an image comes."""
    pool = (size & -sizes.quantum) - sizes.quantum - sizes.block(sizes.pool_list)
    return pool - sessions * sizes.block(sizes.session) - contexts * sizes.block(sizes.context)
