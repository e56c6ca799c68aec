# SPDX-License-Identifier: MIT
"""Where in a long log a known message may be: three filters, each cheaper than the next.

One pattern finds the first characters of a message at every place after a separator; there the message's
own pattern has to match, and the text before it has to name its device or driver. A line that
only resembles a message is given up at the first of them that it fails: time grows with the log's size only.
"""

import os.path
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from mpbench.knowledge.floods import (
    MAX_LINES,
    MAX_OF_ONE_MESSAGE,
    MAX_OF_ONE_TEXT,
    thinned,
    without_floods,
)
from mpbench.knowledge.log_lines import BROKEN, MAX_LINE, LogLine, lines_at, places_of, text_before
from mpbench.knowledge.messages import Form, index, pattern_of

LINE = re.compile(rf"[^\n]{{1,{MAX_LINE}}}")
SHORT = 100_000
"""Characters of a log whose lines are all read: the patterns below take longer to compile."""
BEFORE = (
    r"[:\]>#$;\n/](?:[ \t]++|(?<=[;\n])[ \t\r]*+|"
    r"(?<=/)(?:TC|TA|LD)\s*:\s*(?:[0-9?]+\s+(?:[0-9]+\s+)?)?(?:\w+:\d+\s+)?)"
)
"""What precedes a message: the end of a name, a time stamp, a prompt or a line, or OP-TEE's part, CPU, thread
and function.
"""
FIRST = 12
"""Characters of a beginning that are searched for: a pattern for all of it takes longer to compile."""


class Beginnings(NamedTuple):
    """A pattern whose group 1 is the longest start of a beginning there, and the forms that have it or a part
    of it.
    """

    pattern: re.Pattern[str]
    forms: dict[str, tuple[Form, ...]]


class Inner(NamedTuple):
    """A form whose first word varies: its message's id, its longest literal, and a pattern from there on."""

    message: str
    literal: str
    rest: re.Pattern[str]


def known_lines(text: str, first: int, always: Iterable[re.Pattern[str]]) -> tuple[list[LogLine], int]:
    """Lines that may hold a known message or that match a pattern; how many such lines are not read.

    first: number of the text's first line. Of a message with one text the first and last MAX_OF_ONE_TEXT
    lines are read, with all its texts MAX_OF_ONE_MESSAGE, of all messages together the first and last
    MAX_LINES. All lines of a SHORT text are.
    """
    left = without_floods(text)
    if len(left.text) <= SHORT:
        return [left.numbered(line, first) for line in every_line(left.text, 0)], 0
    by_text: dict[tuple[str, str], list[int]] = {}
    for place, message in _places(left.text, always):
        by_text.setdefault(message, []).append(place)
    by_id: dict[str, list[int]] = {}
    for (message_id, _), same in by_text.items():
        by_id.setdefault(message_id, []).extend(thinned(same, MAX_OF_ONE_TEXT))
    some = (place for same in by_id.values() for place in thinned(sorted(same), MAX_OF_ONE_MESSAGE))
    kept = thinned(sorted(some), MAX_LINES)
    lines = [left.numbered(line, first) for line in lines_at(left.text, kept, 0)]
    known = {left.at(place) for same in by_text.values() for place in same}
    known -= {left.at(place) for place in kept}
    return lines, sum(left.stands_for[index] for index in known)


def every_line(text: str, first: int) -> Iterator[LogLine]:
    """All lines of a text, also those whose line end was lost; a long one in parts."""
    places = {found.start() for pattern in (LINE, BROKEN) for found in pattern.finditer(text)}
    return lines_at(text, sorted(places), first)


def _places(text: str, always: Iterable[re.Pattern[str]]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Where a message may be, its id and its text there."""
    known = beginnings()
    for found in known.pattern.finditer(text):
        place = found.start(1)
        if message := _message_at(known.forms[found[1]], text, place):
            yield place, message
    for inner in inner_forms():
        for place in places_of(text, inner.literal):
            if there := inner.rest.match(text, place, place + MAX_LINE):
                yield place, (inner.message, there[0])
    for pattern in always:
        yield from ((found.start(), ("", found[0])) for found in pattern.finditer(text))


def _message_at(forms: Iterable[Form], text: str, place: int) -> tuple[str, str] | None:
    """Id and text of the message that is there, after its device's or driver's name."""
    before = None
    for form in forms:
        if form.begins(text, place) and (found := form.match(text, place, place + MAX_LINE)):
            before = text_before(text, place).strip() if before is None else before
            if not before or form.message.says(before):
                return form.row.id, found[0]
    return None


@cache
def beginnings() -> Beginnings:
    """Of all forms whose first word is literal."""
    by_start: dict[str, list[Form]] = {}
    for form in (form for same in index().by_word.values() for form in same):
        by_start.setdefault(form.beginning[:FIRST], []).append(form)
    forms = {start: tuple(_forms(start, by_start)) for start in by_start}
    return Beginnings(re.compile(f"{BEFORE}(?=({any_of(sorted(by_start))}))"), forms)


def _forms(start: str, by_start: dict[str, list[Form]]) -> Iterator[Form]:
    """Those that begin so, then those that begin with a part of it."""
    for end in range(len(start), 0, -1):
        yield from by_start.get(start[:end], ())


@cache
def inner_forms() -> tuple[Inner, ...]:
    """Of all forms whose first word varies."""
    return tuple(
        Inner(form.row.id, literal, pattern_of(form.text[form.text.index(literal) :]))
        for literal, form in index().anywhere
    )


def any_of(texts: list[str]) -> str:
    """A pattern for the longest of the texts at a place: a tree, so that most places fail at once."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], []).append(text)
    ends = groups.pop("", [])
    branches = []
    for group in groups.values():
        common = os.path.commonprefix(group)  # noqa: RUF071 - of strings, not of paths
        rest = [text[len(common) :] for text in group]
        branches.append(re.escape(common) + (any_of(rest) if len(rest) > 1 else ""))
    some = f"(?:{'|'.join(branches)})" if branches else ""
    return f"{some}?" if ends and some else some
