# SPDX-License-Identifier: MIT
"""The lines of an artefact that matter, for showing inline; the whole of it is one link away."""

import re

from attrs import frozen

from mpbench.core.evidence import (
    DUMP,
    IMAGE,
    INTERRUPTS_AFTER,
    INTERRUPTS_BEFORE,
    KMSG,
    MEMORY,
    SECURE_CONSOLE,
    TAMPER,
)
from mpbench.core.sanitize import decoded
from mpbench.core.zeros import all_zeros

MAX_LINES = 16
MAX_WIDTH = 240
"""Characters; a longer line is cut, and the rest is counted."""
SHORT = 32
"""Bytes; a shorter artefact is shown whole, without a link."""

_OURS = re.compile(r"CPU0|\bm\d+\b|rproc|notif")
_RELEVANT = {
    KMSG: re.compile(r"\d+,\d+,.*(?:remoteproc|rproc|tee|mpbench)", re.IGNORECASE),
    SECURE_CONSOLE: re.compile(r"[EW]/T[AC]:|Panic|abort", re.IGNORECASE),
    INTERRUPTS_BEFORE: _OURS,
    INTERRUPTS_AFTER: _OURS,
}
_LINKED = {IMAGE: "binary", DUMP: "binary", MEMORY: "shown among the fields"}
"""Artefacts of which only a link is shown."""
_HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")
_KMSG = re.compile(r"\d+,\d+,(\d+),[^;]*;(.*)", re.DOTALL)


@frozen
class Excerpt:
    """Lines to show and how many were left out; `missing`: why there is nothing to show.

    whole: all there is, if it is a word
    """

    lines: tuple[str, ...] = ()
    omitted: int = 0
    missing: str = ""
    whole: str = ""


def excerpt(name: str, data: bytes | None) -> Excerpt:
    """What to show of an artefact called `name`; None: its file is gone or was changed."""
    if data is None:
        return Excerpt(missing="the file is missing or was changed since")
    if name in _LINKED:
        return Excerpt(missing=_LINKED[name])
    if word := _word(name, data):
        return Excerpt(whole=word)
    lines = decoded(data.rstrip(b"\0")).splitlines()
    chosen = [line for line in lines if name not in _RELEVANT or _RELEVANT[name].search(line)]
    if not chosen:
        return Excerpt(omitted=len(lines), missing="no line that matters")
    shown = tuple(_cut(_readable(name, line)) for line in chosen[:MAX_LINES])
    return Excerpt(shown, len(lines) - len(shown))


def _word(name: str, data: bytes) -> str:
    """All of an artefact on one line, "" if it is more than a word."""
    if all_zeros(data):
        return "(empty)"
    if name in _RELEVANT:
        return ""
    text = decoded(data.rstrip(b"\0")).strip()
    return "" if len(data) > SHORT or "\n" in text else text


def _readable(name: str, line: str) -> str:
    """A line of /dev/kmsg as dmesg shows it: seconds since boot and the message; of hashes the start."""
    if name == TAMPER:
        return _HASH.sub(r"\1…", line)
    found = _KMSG.fullmatch(line) if name == KMSG else None
    return f"[{int(found[1]) / 1e6:12.6f}] {found[2]}" if found else line


def _cut(line: str) -> str:
    return line if len(line) <= MAX_WIDTH else f"{line[:MAX_WIDTH]} … {len(line) - MAX_WIDTH} more characters"
