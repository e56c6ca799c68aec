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
"""

import re
import sys
import tomllib
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from attrs import field, frozen

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


@frozen
class Message:
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
    numbers: dict[str, dict[str, Any]] = field(factory=dict)
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


@frozen
class Form:
    """One format string of a message. Its pattern is compiled when a line may have it: most never are.

    beginning: what a line has at the message's place before the first directive; "" where that varies;
    bare: a word or two that mean nothing without their origin.
    """

    message: Message
    text: str
    beginning: str
    bare: bool

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


def form_of(message: Message, text: str) -> Form:
    """A form of a message; a function's name at its beginning counts as a device's name."""
    text = text.strip().removeprefix("%s: ")
    bare = len(text.split()) <= BARE_WORDS and not DIRECTIVE.search(text)
    return Form(message, text, _beginning(text), bare)


def _beginning(text: str) -> str:
    """The literal text before the first directive, to where a log may have more spaces than one."""
    literal = DIRECTIVE.split(text, maxsplit=1)[0].removesuffix("0x")
    return literal.split("  ", 1)[0].rstrip() if not literal.startswith(LEVELS) else literal.split()[0]


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
    return str(_table("rif")["peripherals"].get(str(number), ""))


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((DIRECTORY / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def messages() -> tuple[Message, ...]:
    """Every message of every table."""
    return tuple(_message(t, row) for t in map(_table, TABLES) for row in t["message"])


@cache
def advice_by_code() -> dict[str, tuple[str, ...]]:
    """What to try by the TEE result's name without TEE_ERROR_."""
    return {name: tuple(steps) for name, steps in _table("tee-codes").items()}


@frozen
class Index:
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
    forms = [form_of(message, text) for message in messages() for text in message.text]
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
