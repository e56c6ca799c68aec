# SPDX-License-Identifier: MIT
"""Control and bidirectional characters in device output are escaped.

Escaping of markup is the template's part (autoescape); this is for what escaping leaves alone: terminal
control, text that runs backwards, marks that pile up on others, characters without a shape.
"""

import re
import unicodedata

_NOT_PLAIN = re.compile(r"[^\n\t\x20-\x7e]")
_LINE_END = re.compile(r"\r+\n")
_DISARMED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"})
"""Unicode categories: control, format, surrogate, private, unassigned, separators, marks without width."""


def visible(text: str) -> str:
    """`text` with everything unseen as a symbol: ESC as ␛, U+202E as ⟨U+202E⟩; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _NOT_PLAIN.sub(_symbol, text)


def one_line(text: str) -> str:
    """`text` as visible() has it, and on one line: what a message quotes prints no line of its own."""
    return visible(text).replace("\n", "␊")


def indented(text: str) -> str:
    """`text` with all lines but the first indented: what it quotes begins no line as a verdict does."""
    return text.replace("\n", "\n    ")


def printable(text: str) -> str:
    """`text` with control characters as escapes, `\\xNN`: for messages that are searched or pasted."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def decoded(data: bytes) -> str:
    """Device bytes as visible text: UTF-8, and `\\xNN` for what is none; CR LF is a line end."""
    return visible(_LINE_END.sub("\n", data.decode("utf-8", "backslashreplace")))


def _symbol(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures have the order of the control characters
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩" if unicodedata.category(character) in _DISARMED else character
