# SPDX-License-Identifier: MIT
"""Lines of logs as people have them: formats of dmesg and journals, console captures, lost line ends."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

COLOURS = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\n]*\x07?|.)|\r")
OPTEE = re.compile(
    r"(?<![A-Za-z_])[EIDFM]/(TC|TA|LD)\b\s*:\s*(?:[0-9?]+\s+(?:[0-9]+\s+)?)?(?:(\w+):\d+(?:\s+|$))?"
)
"""Start of OP-TEE's line: level, part, CPU and thread, function and line (trace.c trace_printf)."""
STAMP = r"\[\s*\+?\d+\.\d{6}\](?:\[\s*[TC]\d+\])?\s"
KERNEL = re.compile(
    r"^\d+,\d+,\d+,[^;]*;|"  # /dev/kmsg
    rf"{STAMP}|\bkernel:\s|^<\d+>|"
    r"^\[\w{2,4}\.? \w{3,4}\.? +\d+ [\d:]{8} \d{4}\]\s|^\[[A-Z]\w{2}\s?\d+ [\d:]{5}\]\s"  # dmesg -T, -H
)
BROKEN = re.compile(rf"{STAMP}|[EIDFM]/(?:TC|TA|LD)\s*:")
"""Where a line begins whose line end before it was lost, or that another console cut into. Without a
look-around the search knows the first characters, and is quick.
"""
JOURNAL = re.compile(r"[^:\]]*(?:\d\d:\d\d[^\]]*)?\bkernel: $")
"""What comes before a kernel's time stamp in a journal: not a line of its own."""
STARTS = re.compile(r"[:\]>#$][ \t]+(?=\S)")
MAX_STARTS = 12
PIECE = 4 << 20
MAX_LINE, MAX_PREFIX = 1000, 150
"""Characters of a line that are looked at to each side of a place, and for its origin: garbage of a console
has no line ends.
"""


class LogLine(NamedTuple):
    """number: from 1; text: without colours; by: linux, optee, ta, or "" where the line does not show who
    printed it; start: where the text after time stamp and origin begins; function: OP-TEE's, where printed;
    unread: how many lines of the same text it stands for besides itself.
    """

    number: int
    text: str
    by: str
    start: int
    function: str = ""
    unread: int = 0

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


class Piece(NamedTuple):
    """Whole lines of a log without colours; number: of its first line."""

    text: str
    number: int


def decoded(log: str | bytes) -> str | bytes:
    """UTF-16 with its byte order mark (what PowerShell writes) as text, anything else as it is."""
    if isinstance(log, bytes) and log.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return log.decode("utf-16", errors="replace")
    return log


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


def text_before(text: str, place: int) -> str:
    """What stands in the line before a place, at most MAX_PREFIX characters."""
    earliest = max(0, place - MAX_PREFIX)
    return text[text.rfind("\n", earliest, place) + 1 or earliest : place]


def lines_at(text: str, places: Iterable[int], first: int = 1) -> Iterator[LogLine]:
    """The lines of ascending places in a text, each once; first: number of the text's first line."""
    number, counted, done = first, 0, -1
    for place in places:
        if place < done:
            continue
        start, done = _around(text, place)
        number += text.count("\n", counted, start)
        counted = start
        yield log_line(number, text[start:done])


def _around(text: str, place: int) -> tuple[int, int]:
    """Start and end of the line at a place: at most MAX_LINE characters to each side, to where it broke."""
    earliest = max(0, place - MAX_LINE)
    start = text.rfind("\n", earliest, place) + 1 or earliest
    end = text.find("\n", place, place + MAX_LINE)
    end = end if end >= 0 else min(len(text), place + MAX_LINE)
    for found in BROKEN.finditer(text, start, end):
        if JOURNAL.fullmatch(text, start, found.start()) or found.start() == start:
            continue
        if found.start() > place:
            return start, found.start()
        start = found.start()
    return start, end


def places_of(text: str, literal: str) -> Iterator[int]:
    """Where a text occurs."""
    at = text.find(literal)
    while at >= 0:
        yield at
        at = text.find(literal, at + len(literal))


def log_line(number: int, raw: str) -> LogLine:
    """A line with its origin."""
    line = raw[: 2 * MAX_LINE].strip()
    if found := OPTEE.search(line, 0, MAX_PREFIX):
        by = "ta" if found[1] == "TA" else "optee"
        return LogLine(number, line, by, found.end(), found[2] or "")
    if found := KERNEL.search(line, 0, MAX_PREFIX):
        return LogLine(number, line, "linux", len(line) - len(line[found.end() :].lstrip()))
    return LogLine(number, line, "", 0)
