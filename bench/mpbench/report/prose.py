# SPDX-License-Identifier: MIT
"""Sentences of authors and of older records, as a page prints them. Pure."""

import re

_CODE = re.compile(r"``([^`\n]+)``|`([^`\n]+)`")
_OPEN_LOW = re.compile(r"-∞ … (\S+)")
_OPEN_HIGH = re.compile(r"(\S+) … ∞")


def prose(text: str) -> str:
    """Words in pairs of backticks get quotation marks; limits of older records get today's form."""
    if "`" in text:
        text = _CODE.sub(lambda found: f"“{found[1] or found[2]}”", text)
    if "∞" in text:
        text = _OPEN_HIGH.sub(r"≥ \1", _OPEN_LOW.sub(r"≤ \1", text))
    return text


def ended(text: str) -> str:
    """The text as a sentence, with one full stop."""
    return text if text.endswith(("!", "?")) else text.rstrip(". ") + "."
