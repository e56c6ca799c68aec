# SPDX-License-Identifier: MIT
"""Heap of the TA: which allocation fails when TLVs and hash table are large.

The allocator is bget, first fit, one pool. It takes blocks from the end of the free space, and nothing that
lives longer than a command lies between the blocks of one command, so one number describes the heap.
Ref: OP-TEE 4.10 lib/libutils/isoc/bget.c (bget, buf_get_pos, bpool), bget_malloc.c (SizeQuant,
     raw_malloc_add_pool), lib/libutee/user_ta_entry.c (sessions), tee_api_operations.c (operation handle).
"""

from attrs import frozen


@frozen
class Sizes:
    """Bytes that depend on the word size: objects of the TA and its library.

    quantum: allocation quantum, and head of every block (struct bhead, two words).
    """

    quantum: int
    pool_list: int
    session: int
    context: int
    operation: int


SIZES = {64: Sizes(16, 16, 32, 112, 96), 32: Sizes(8, 8, 16, 60, 64)}


class Heap:
    """Free bytes of a TA that holds `sessions` sessions and knows `contexts` cores."""

    __slots__ = ("free", "mask", "overhead", "smallest_rest")

    def __init__(self, word_bits: int, size: int, sessions: int, contexts: int) -> None:
        sizes = SIZES[word_bits]
        self.mask, self.overhead = sizes.quantum - 1, sizes.quantum
        self.smallest_rest = 2 * sizes.quantum
        self.free = size & ~self.mask
        self.free -= self.overhead + self.cost(sizes.pool_list)
        self.free -= sessions * self.cost(sizes.session) + contexts * self.cost(sizes.context)

    def cost(self, size: int) -> int:
        """Bytes that a block takes with its head; no block is smaller than the quantum."""
        return ((size or 1) + self.mask & ~self.mask) + self.overhead

    def take(self, size: int) -> bool:
        """Whether a block of this size fits; it stays taken."""
        rest = self.free - self.cost(size)
        if rest != 0 and rest < self.smallest_rest:
            return False
        self.free = rest
        return True

    def fits(self, *sizes: int) -> bool:
        """Whether these blocks fit together. What is left matters only at the end: it shrinks with each."""
        rest = self.free - sum(map(self.cost, sizes))
        return rest == 0 or rest >= self.smallest_rest
