# SPDX-License-Identifier: MIT
"""What messages of the field mean, as data: `messages/*.toml`, and how a message is recognised in a line.

A table has `by` (who prints: linux, optee, ta, boot, bench), `version`, and for each message:

id; text: format string(s) as in the source, printf's directives included; from: file and function;
level: error, warning, state, or mark (of a log's course, never shown);
means; causes; try: in this order; prove: what would show it;
subject: a pattern for the rest of the line (device, driver), where there is one;
after: ids of messages of which this one is a consequence, `*` at the end for all that start so;
before: ids of later messages that explain this one; numbers: other meanings by the message's first number;
code: the first number is a TEE result; peripheral: it is an index of the STM32MP25's firewall;
function: a pattern for the names of OP-TEE's functions that print it;
needs: words without which the line is not looked at;
reasons: names of the twin's reasons, in place of a meaning.

`id` and `text` are the first two lines of a message, each JSON after its `=`: an index of them takes little
time, and the rest of a message is read when a line may be it. Values of this room are named tuples: attrs
takes longer to import than an answer may take.
"""

import json
import re
import sys
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

DIRECTORY = Path(__file__).parent / "messages"
TABLES = (
    "linux-remoteproc",
    "linux-stm32",
    "linux-rpmsg",
    "linux-tee",
    "trusted-application",
    "optee",
    "boot",
    "bench",
)
MESSAGE = "[[message]]\n"
REMOTEPROC_TA = "80a4c275-0a47-4905-8285-1486a9771a08"
DIRECTIVE = re.compile(r"%(?:[-#0 +]*(?:\d+|\*)?(?:\.\d+)?(?:hh|h|ll|l|z|j|t)?([diuxXosc])|p[A-Za-z]*)")
LEVELS = ("ERROR:", "INFO:", "NOTICE:", "WARNING:")
"""TF-A's levels: spaces follow that fill a column."""
BARE_WORDS = 3
"""Texts of at most so many words, without a number, are anybody's."""
END = r"(?:\b|(?=[EIDFM]/(?:T[AC]|LD)\b))"
"""Of a word: another console's line may follow at once."""
ANY_OF: dict[str | None, str] = {
    **dict.fromkeys("diu", r"(-?\d+)"),
    **dict.fromkeys("xXo", r"(?:0x)*([0-9a-fA-F]+)"),
    **{"s": r"(.*?)", "c": r"(.)", None: r"([^\s,:()\[\]]+)"},
}


compiled = cache(re.compile)


@cache
def pattern_of(text: str) -> re.Pattern[str]:
    """A pattern for what a format string prints; its groups are what the directives print, in order.

    A string at the end takes the rest of the line, one in the middle as little as it can.
    """
    parts, at = [], 0
    for found in DIRECTIVE.finditer(text):
        parts.append(_literal(text[at : found.start()]))
        last = found.end() == len(text)
        parts.append(r"(.*)" if last and found[1] == "s" else ANY_OF[found[1]])
        at = found.end()
    parts.append(_literal(text[at:]))
    end = END if re.search(r"\w$", text) and not DIRECTIVE.search(text[-2:]) else ""
    return re.compile("".join(parts) + end)


def _literal(text: str) -> str:
    """Spaces stand for one or more; a number's own 0x is matched by its directive."""
    return re.sub(r"(?:\\ )+", r"\\s+", re.escape(text.removesuffix("0x")))


class Message(NamedTuple):
    """One row of a table; see above."""

    id: str
    by: str
    version: str
    text: tuple[str, ...]
    source: str
    level: str
    means: str = ""
    causes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    prove: str = ""
    subject: str = ""
    function: str = ""
    needs: str = ""
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    numbers: Mapping[str, dict[str, Any]] = MappingProxyType({})
    code: bool = False
    peripheral: bool = False
    reasons: tuple[str, ...] = ()

    def says(self, before: str) -> bool:
        """Does the text before the message name the device or driver that prints it?"""
        return not self.subject or compiled(self.subject).search(before) is not None

    def follows(self, other: str) -> bool:
        """Is this one a consequence of a message with that id?"""
        return _any(self.after, other)

    def announces(self, other: str) -> bool:
        """Does a message with that id explain this one when it comes after?"""
        return _any(self.before, other)


def _any(ids: tuple[str, ...], other: str) -> bool:
    return any(other.startswith(i[:-1]) if i.endswith("*") else other == i for i in ids)


class Row:
    """A message in a table: its id and texts, the rest when it is asked for."""

    def __init__(self, table: str, row: str) -> None:
        """table: its name; row: the message's lines."""
        self.table, self.row = table, row
        first, second = row.split("\n", 2)[:2]
        self.id: str = json.loads(first.removeprefix("id = "))
        text = json.loads(second.removeprefix("text = "))
        self.text: tuple[str, ...] = (text,) if isinstance(text, str) else tuple(text)

    @cached_property
    def message(self) -> Message:
        """All of it."""
        return _message(_head(self.table), _toml(MESSAGE + self.row)["message"][0])


class Form:
    """One format string of a message, a function's name at its beginning left out: it counts as a device's.

    Its pattern is compiled when a line may have it: most never are.
    """

    def __init__(self, row: Row, text: str) -> None:
        """text: one of the row's."""
        self.row, self.text = row, text.strip().removeprefix("%s: ")

    @property
    def message(self) -> Message:
        """The message of which this is a text."""
        return self.row.message

    @cached_property
    def beginning(self) -> str:
        """What a line has at the message's place before the first directive, to where a log may have more
        spaces than one; "" where that varies.
        """
        literal = DIRECTIVE.split(self.text, maxsplit=1)[0].removesuffix("0x")
        return literal.split("  ", 1)[0].rstrip() if not literal.startswith(LEVELS) else literal.split()[0]

    @cached_property
    def bare(self) -> bool:
        """Is it a word or two that mean nothing without their origin?"""
        return len(self.text.split()) <= BARE_WORDS and not DIRECTIVE.search(self.text)

    def begins(self, line: str, start: int) -> bool:
        """May it be there? This is quick."""
        return line.startswith(self.beginning, start)

    def match(self, line: str, start: int, end: int = sys.maxsize) -> re.Match[str] | None:
        """The message at that place of a line."""
        return self.pattern.match(line, start, end)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the format string prints; see pattern_of()."""
        return pattern_of(self.text)


LISTS = ("text", "causes", "after", "before", "reasons")
RENAMED = {"from": "source", "try": "advice"}


def _message(table: dict[str, Any], row: dict[str, Any]) -> Message:
    values = {RENAMED.get(k, k): v for k, v in row.items()}
    for name in (*LISTS, "advice"):
        if name in values:
            values[name] = (values[name],) if isinstance(values[name], str) else tuple(values[name])
    defaults = {"level": "error", "subject": table.get("subject", ""), "function": table.get("function", "")}
    return Message(by=table["by"], version=table["version"], **{**defaults, **values})


@cache
def peripheral(number: int) -> str:
    """Name of a peripheral or memory by its index in the STM32MP25's firewall, "" if the table has none."""
    return str(_head("rif")["peripherals"].get(str(number), ""))


@cache
def _parts(name: str) -> list[str]:
    """What a table says of all its messages, and each message."""
    return (DIRECTORY / f"{name}.toml").read_text(encoding="utf-8").split(MESSAGE)


@cache
def _head(name: str) -> dict[str, Any]:
    return _toml(_parts(name)[0])


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - takes time that a text without any known message need not

    return tomllib.loads(text)


@cache
def rows() -> dict[str, Row]:
    """Every message of every table, by its id."""
    found = [Row(name, row) for name in TABLES for row in _parts(name)[1:]]
    return {row.id: row for row in found}


@cache
def messages() -> tuple[Message, ...]:
    """Every message of every table."""
    return tuple(row.message for row in rows().values())


@cache
def advice_by_code() -> dict[str, tuple[str, ...]]:
    """What to try by the TEE result's name without TEE_ERROR_."""
    return {name: tuple(steps) for name, steps in _head("tee-codes").items()}


class Index(NamedTuple):
    """Forms, and their beginnings, by the first word that they print.

    anywhere: (a text in it, form) where that word varies.
    """

    by_word: dict[str, list[Form]]
    anywhere: tuple[tuple[str, Form], ...]

    def at(self, word: str) -> list[Form]:
        """Forms that begin with this word."""
        return self.by_word.get(word, [])


@cache
def index() -> Index:
    """All forms, the longer (more particular) text first."""
    forms = [Form(row, text) for row in rows().values() for text in row.text]
    by_word: dict[str, list[Form]] = {}
    anywhere = []
    for form in sorted(forms, key=lambda f: -len(f.text)):
        word = form.text.split(None, 1)[0]
        if DIRECTIVE.search(word):
            literal = max(DIRECTIVE.split(form.text)[::2], key=lambda t: len(t or "")).strip()
            anywhere.append((literal, form))
        else:
            by_word.setdefault(word, []).append(form)
    return Index(by_word, tuple(anywhere))
