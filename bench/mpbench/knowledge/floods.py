# SPDX-License-Identifier: MIT
"""Floods in a log: lines that differ in their numbers only. Of each text the first and the last are read."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, groupby
from typing import TypeVar

from mpbench.knowledge.log_lines import BROKEN, MAX_LINE, LogLine, log_line

T = TypeVar("T")
MAX_OF_ONE_TEXT, MAX_OF_ONE_MESSAGE, MAX_LINES = 200, 300, 1000
STARTS = re.compile(f"({BROKEN.pattern})")
ONE_DIGIT = bytes.maketrans(b"0123456789abcdefABCDEF", b"0" * 22)


class Lines:
    """Lines that are left of a text, in its order."""

    def __init__(self, lines: list[str], numbers: Sequence[int], stands_for: list[int]) -> None:
        """numbers: each one's in the text, from 0; stands_for: how many lines, itself included."""
        self.lines, self.numbers, self.stands_for = lines, numbers, stands_for

    @cached_property
    def starts(self) -> list[int]:
        """Where each one begins in the text that is left."""
        return list(accumulate((len(line) + 1 for line in self.lines), initial=0))

    @cached_property
    def text(self) -> str:
        """Each line after a line end."""
        return "".join(f"\n{line}" for line in self.lines)

    def at(self, place: int) -> int:
        """Index of the line that has this place of the text."""
        return bisect_right(self.starts, place) - 1

    def numbered(self, line: LogLine, first: int) -> LogLine:
        """A line of the text, counted from 0, with its number in a log; first: of the log's part."""
        index = line.number - 1
        number, unread = first + self.numbers[index], self.stands_for[index] - 1
        return line._replace(number=number, unread=unread)


def without_floods(text: str) -> Lines:
    """The lines of a text, of a flood only the first and the last of each text after the time stamp.

    Lines are of one flood if they differ in hexadecimal digits only and are more than 2 * MAX_OF_ONE_TEXT.
    """
    lines, numbers = _lines(text)
    shapes = "\n".join(lines).encode(errors="replace").translate(ONE_DIGIT).split(b"\n")
    floods: dict[bytes, list[int]]
    floods = {shape: [] for shape, count in Counter(shapes).items() if count > 2 * MAX_OF_ONE_TEXT}
    if not floods:
        return Lines(lines, numbers, [1] * len(lines))
    stands_for: dict[int, int] = {}
    left: list[int] = []
    for shape, run in groupby(range(len(shapes)), shapes.__getitem__):
        floods.get(shape, left).extend(run)
    for same in floods.values():
        kept = _kept(lines, same)
        stands_for[kept[0]] = 1 + len(same) - len(kept)
        left += kept
    left.sort()
    return Lines([lines[i] for i in left], [numbers[i] for i in left], [stands_for.get(i, 1) for i in left])


def _lines(text: str) -> tuple[list[str], Sequence[int]]:
    """Lines and their numbers; one that is too long is broken where a line end may have been lost."""
    lines = text.split("\n")
    if max(map(len, lines)) <= MAX_LINE:
        return lines, range(len(lines))
    parts = [_broken(line) if len(line) > MAX_LINE else [line] for line in lines]
    numbers = [number for number, same in enumerate(parts) for _ in same]
    return [part for same in parts for part in same], numbers


def _broken(line: str) -> list[str]:
    first, *parts = STARTS.split(line)
    return [first, *map("".join, zip(parts[::2], parts[1::2], strict=True))]


def _kept(lines: list[str], same: list[int]) -> list[int]:
    """The lines of a flood that are read: of different texts at most the first and last MAX_LINES."""
    first = lines[same[0]]
    start = len(first) - len(first.lstrip()) + log_line(0, first).start
    texts = [lines[index][start:] for index in same]
    if len(set(texts)) > 2 * MAX_LINES:
        return thinned(same, MAX_LINES)
    by_text: dict[str, list[int]] = {}
    for index, words in zip(same, texts, strict=True):
        by_text.setdefault(words, []).append(index)
    kept = sorted(index for one in by_text.values() for index in thinned(one, MAX_OF_ONE_TEXT))
    return thinned(kept, MAX_LINES)


def thinned(places: list[T], count: int) -> list[T]:
    """The first and the last ones."""
    return places if len(places) <= 2 * count else places[:count] + places[-count:]
