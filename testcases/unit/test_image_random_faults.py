# SPDX-License-Identifier: MIT
"""Random bit flips: from a seed, in every group, and reduced to the smallest part that differs."""

import random

from mpbench.image.random_faults import Flip, draw, flipped, in_words, minimal


def test_a_flip_turns_over_one_bit_and_twice_is_nothing():
    """Only the named bits change."""
    image = bytes(16)
    once = flipped(image, [Flip(3, 7), Flip(5, 0)])
    assert once == bytes(3) + b"\x80" + bytes(1) + b"\x01" + bytes(10)
    assert flipped(once, [Flip(3, 7), Flip(5, 0)]) == image


def test_a_seed_draws_the_same_bits_again():
    """What a report names by its seed can be tried again."""
    groups = [[(0, 10)], [(10, 1000), (2000, 2001)]]
    assert [draw(groups, random.Random("1:m33:7")) for _ in range(3)] == [
        draw(groups, random.Random("1:m33:7"))
    ] * 3


def test_small_groups_are_drawn_as_often_as_large_ones():
    """A single byte that behaves in its own way is not drowned by kilobytes that all behave alike."""
    groups, rng = [[(0, 1)], [(1, 100_000)]], random.Random(1)
    drawn = [flip for _ in range(400) for flip in draw(groups, rng)]
    assert 0.35 < sum(flip.at == 0 for flip in drawn) / len(drawn) < 0.65
    assert all(0 <= flip.at < 100_000 and 0 <= flip.bit < 8 for flip in drawn)
    assert {flip.bit for flip in drawn} == set(range(8))


def test_one_guilty_bit_is_found_among_three():
    """The smallest part that still differs is what a person gets to see."""
    a, b, c = Flip(1, 0), Flip(2, 0), Flip(3, 0)
    assert minimal([a, b, c], lambda part: b in part) == (b,)
    assert minimal([a, b, c], lambda part: {a, c} <= set(part)) == (a, c)
    assert minimal([a, b, c], lambda _: False) == (a, b, c)
    assert in_words((a, c)) == "byte 0x1 bit 0, byte 0x3 bit 0"
