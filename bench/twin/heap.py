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
    """Bytes that depend on the word size: allocation quantum, objects of the TA and its library."""

    quantum: int
    pool_list: int
    session: int
    context: int
    operation: int

    @property
    def overhead(self) -> int:
        """Head of every block (struct bhead): two words."""
        return self.quantum


SIZES = {64: Sizes(16, 16, 32, 112, 96), 32: Sizes(8, 8, 16, 60, 64)}


class Heap:
    """Free bytes of a TA that holds `sessions` sessions and knows `contexts` cores."""

    def __init__(self, word_bits: int, size: int, sessions: int, contexts: int) -> None:
        self.sizes = sizes = SIZES[word_bits]
        self.free = size // sizes.quantum * sizes.quantum - sizes.overhead
        self.free -= self.cost(sizes.pool_list) + sessions * self.cost(sizes.session)
        self.free -= contexts * self.cost(sizes.context)

    def cost(self, size: int) -> int:
        """Bytes that a block takes with its head."""
        quantum = self.sizes.quantum
        return (max(size, quantum) + quantum - 1) // quantum * quantum + self.sizes.overhead

    def take(self, *sizes: int) -> bool:
        """Whether these blocks fit one after the other; they stay taken."""
        for size in sizes:
            cost = self.cost(size)
            rest = self.free - cost
            if rest != 0 and rest < self.sizes.quantum + self.sizes.overhead:
                return False
            self.free = rest
        return True

    def give(self, *sizes: int) -> None:
        """Blocks given back."""
        self.free += sum(self.cost(size) for size in sizes)
