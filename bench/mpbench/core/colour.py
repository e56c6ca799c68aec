# SPDX-License-Identifier: MIT
"""Colour of words on a terminal. Ref: no-color.org, force-color.org."""

import os
import sys
from typing import TextIO

CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}
OF_VERDICT = {
    **dict.fromkeys(("PASS", "accepted", "ok"), "green"),
    **dict.fromkeys(("MARGINAL", "NOT-RUN", "undefined"), "yellow"),
    **dict.fromkeys(
        ("FAIL", "ERROR", "INFRA", "INVALID", "INCOMPLETE", "BLOCKED", "refused", "WRONG"), "red"
    ),
}


def wanted(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: NO_COLOR decides, then FORCE_COLOR, then the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in a colour of CODES if the stream (standard output) is to have colours."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if wanted(stream or sys.stdout) else text


def verdict(word: str, width: int = 0) -> str:
    """A verdict's word in its colour, if it has one, for standard output, padded to `width`."""
    painted = paint(word, OF_VERDICT[word]) if word in OF_VERDICT else word
    return painted + " " * (width - len(word))
