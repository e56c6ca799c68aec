# SPDX-License-Identifier: MIT
"""Lines of logs as people have them: dmesg with and without -T, journals, console captures, with colours.

Of a long log only the lines are looked at that may hold a message: those with a known word at a place where a
message may begin, or with a known text. So 10 MiB take a second.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from attrs import frozen

COLOURS = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\n]*\x07?|.)|\r")
OPTEE = re.compile(r"\b[EIDFM]/(TC|TA|LD)\b\s*:\s*(?:[0-9?]+\s+(?:[0-9]+\s+)?)?(?:\w+:\d+\s+)?")
"""Start of OP-TEE's line: level, part, CPU and thread, function and line (trace.c trace_printf)."""
KERNEL = re.compile(
    r"^\d+,\d+,\d+,[^;]*;|"  # /dev/kmsg
    r"\[\s*\d+\.\d{6}\](?:\[\s*[TC]\d+\])?\s|\bkernel:\s|^<\d+>|^\[\w{3} \w{3} +\d+ [\d:]{8} \d{4}\]\s"
)
WORDS = re.compile(r"[:\]>][ \t]+(\S+)")
"""Words after a name or a time stamp. A message may begin with them, or with a line's first word."""
STARTS = re.compile(r"[:\]>][ \t]+(?=\S)")
CONSOLE = ("/TC:", "/TA:", "/LD:")
MAX_STARTS = 12
PIECE = 4 << 20
MAX_LINE = 2000
"""Characters of a line that are looked at: a console's garbage has no line ends."""


@frozen
class LogLine:
    """number: from 1; text: without colours; by: linux, optee, ta, or "" where the line does not show who
    printed it; start: where the text after time stamp and origin begins.
    """

    number: int
    text: str
    by: str
    start: int

    def starts(self) -> Iterator[int]:
        """Where a message may begin: after the time stamp, after each device's or driver's name."""
        yield self.start
        for count, found in enumerate(STARTS.finditer(self.text, self.start)):
            if count == MAX_STARTS:
                return
            if found.end() != self.start:
                yield found.end()


def without_colours(text: str) -> str:
    """Text without a terminal's control sequences and carriage returns."""
    return COLOURS.sub("", text) if "\x1b" in text or "\r" in text else text


@frozen
class Piece:
    """Whole lines of a log without colours; number: of its first line."""

    text: str
    number: int


def pieces(log: str | bytes) -> Iterator[Piece]:
    """A log in pieces of whole lines; a line longer than a piece is cut."""
    newline: Any = "\n" if isinstance(log, str) else b"\n"
    start, number = 0, 1
    while start < len(log):
        end = start + PIECE
        if end < len(log):
            end = log.rfind(newline, start, end) + 1 or end
        part = log[start:end]
        yield Piece(without_colours(as_text(part)), number)
        number += part.count(newline)
        start = end


def as_text(log: str | bytes) -> str:
    """Bytes that are not text are shown as escapes."""
    return log if isinstance(log, str) else log.decode(errors="backslashreplace")


def lines_with(
    text: str, words: Collection[str], literals: Iterable[str], first: int = 1
) -> Iterator[LogLine]:
    """Lines in which a message may begin with one of the words, or that contain one of the literals."""
    places = [found.start(1) for found in WORDS.finditer(text) if found[1] in words]
    places.extend(_first_words(text, words))
    for literal in (*CONSOLE, *literals):
        places.extend(places_of(text, literal))
    return lines_at(text, sorted(places), first)


def lines_at(text: str, places: Iterable[int], first: int = 1) -> Iterator[LogLine]:
    """The lines of ascending places in a text, each once; first: number of the text's first line."""
    number, counted, last = first, 0, -1
    for place in places:
        start = text.rfind("\n", 0, place) + 1
        if start == last:
            continue
        number += text.count("\n", counted, start)
        counted = last = start
        end = text.find("\n", start)
        yield log_line(number, text[start : end if end >= 0 else len(text)])


def _first_words(text: str, words: Collection[str]) -> Iterator[int]:
    start = 0
    for line in text.split("\n"):
        if line.lstrip(" \t").partition(" ")[0].rstrip() in words:
            yield start
        start += len(line) + 1


def places_of(text: str, literal: str) -> Iterator[int]:
    """Where a text occurs."""
    at = text.find(literal)
    while at >= 0:
        yield at
        at = text.find(literal, at + len(literal))


def log_line(number: int, raw: str) -> LogLine:
    """A line with its origin."""
    line = raw[:MAX_LINE].strip()
    if found := OPTEE.search(line):
        return LogLine(number, line, "ta" if found[1] == "TA" else "optee", found.end())
    if found := KERNEL.search(line):
        return LogLine(number, line, "linux", found.end())
    return LogLine(number, line, "", 0)
