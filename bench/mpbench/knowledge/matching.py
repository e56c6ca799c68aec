# SPDX-License-Identifier: MIT
"""Which known message a line holds, and of which core it is."""

import re
from typing import NamedTuple

from mpbench.knowledge.log_lines import LogLine
from mpbench.knowledge.messages import Form, Message, compiled, index, rows
from mpbench.layout import tee_name

TEE_RESULT = re.compile(
    r"\b(?:TEE err|invoke (?:\w+ )?err(?:or)?|invoke failed[^:]{0,20}): *(?:0x)?([fF][0-9a-fA-F]{7})\b"
)
OTHER_VENDOR = re.compile(
    r"\b((?:imx|davinci|keystone|meson-mx-ao-arc|omap|pru|rcar|k3|zynqmp|wkup_m3|cvitek)[-_](?:\w+[-_])?r(?:emote)?proc|"
    r"qcom_q6v5_\w+|mtk[-_]scp)"
)
"""Linux' drivers for cores of other vendors, and their functions."""
WRONG = re.compile(
    r"\b(?:errors?|fail(?:ed|s|ures?|ing)?|unable|cannot|can't|panic|abort(?:ed|ing)?|denied|refused|"
    r"timed out|time-?out|e/t[ac]|bug|oops|corrupt\w*|invalid|not found)\b(?![=_])",
    re.IGNORECASE,
)
"""Words of a line that looks wrong, as words of their own, not as a part or the name of a setting."""
PLACES = (
    *(
        re.compile(start + r": *(?:0x)?[fF][0-9a-fA-F]{7}\b")
        for start in ("TEE err", r" invoke (?:\w+ )?err(?:or)?", r" invoke failed[^:\n]{0,20}")
    ),
    OTHER_VENDOR,
)
"""Where TEE_RESULT and OTHER_VENDOR may match: quick, since each begins with a literal."""
VENDOR = (
    "a message of the driver {} for another vendor's cores, of which nothing is known: it is not about an "
    "STM32MP; lines of the kernel's common remoteproc code in the same log are explained"
)
NOT_OURS = "{} went to another driver ({}): this line is not about the cores' firmware"
ABOUT_CORES = re.compile(r"rproc|remoteproc|RPROC|\b[mM](?:4|33|0)\b")
OTHER_TA = re.compile(r"optee-ta-(?!80a4c275)[0-9a-f]{8}-")
PRINTERS = {"linux", "optee", "ta", "boot"}
DEVICE = re.compile(r"\bremoteproc(\d+)\b")
CORE = re.compile(r"(?<![a-z0-9])(?:CM|[cC]?[mM])(4|33|0)(?![0-9])")


class Match(NamedTuple):
    """A known message in a line, and what its directives printed.

    core: m4, m33 or m0, or remoteprocN, where the line names one; at: where the message begins.
    """

    line: LogLine
    message: Message
    groups: tuple[str, ...]
    core: str = ""
    at: int = 0

    @property
    def text(self) -> str:
        """The line from the message on."""
        return self.line.text[self.at :]


def matched(line: LogLine, *, alone: bool = False) -> Match | None:
    """The known message of a line, or None; alone: the line is all there is, it may lack its origin."""
    known = index()
    for start in line.starts():
        rest = line.text[start : start + 100].split(None, 1)
        for form in known.at(rest[0]) if rest else ():
            if form.begins(line.text, start) and (found := _fits(form, line, start, alone)):
                return _match(line, form.message, found, start)
    for literal, form in known.anywhere:
        if literal in line.text:
            for start in line.starts():
                if found := _fits(form, line, start, alone):
                    return _match(line, form.message, found, start)
    return _tee_result(line) or _of_another_vendor(line)


def _match(line: LogLine, message: Message, found: re.Match[str], at: int) -> Match:
    return Match(line, message, found.groups(), _core(line.text[line.start :]), at)


def _core(text: str) -> str:
    """The core's name, or that of its remoteproc device, in a line."""
    device = DEVICE.search(text)
    return device[0] if device else core_of(text) or ""


def core_of(text: str) -> str | None:
    """m4, m33 or m0, if a name in the text says so."""
    found = CORE.search(text)
    return f"m{found[1]}" if found else None


def _fits(form: Form, line: LogLine, start: int, alone: bool) -> re.Match[str] | None:
    message = form.message
    if line.by and message.by in PRINTERS and not _printed_by(line.by, message.by):
        return None
    if message.needs not in line.text or not _of_its_origin(form, line, start, alone):
        return None
    return form.match(line.text, start)


def _printed_by(line: str, message: str) -> bool:
    """OP-TEE's core, its pseudo TAs, ldelf and TAs share a console and differ in their prefix only."""
    return line == message or {line, message} == {"ta", "optee"}


def _of_its_origin(form: Form, line: LogLine, start: int, alone: bool) -> bool:
    """Does what stands before the message agree with where it comes from?

    A driver's message follows its device's name; only a line without any origin, as people copy them, may
    lack it, and not if the message is a word or two.
    """
    message = form.message
    if line.by in ("optee", "ta"):
        if message.function and line.function and not compiled(message.function).fullmatch(line.function):
            return False
        return message.says(line.text[:start])
    before = line.text[line.start : start].strip()
    if message.by in ("optee", "ta"):
        return (alone or not form.bare) and not before
    if not before:
        return not line.by and (alone or not form.bare) if message.subject else True
    return message.says(before)


def _tee_result(line: LogLine) -> Match | None:
    """A TEE result in a line of another form than the known ones; another TA's is named as such."""
    if line.by in ("optee", "ta") or (found := TEE_RESULT.search(line.text)) is None:
        return None
    if ABOUT_CORES.search(line.text) and not OTHER_TA.search(line.text):
        return _match(line, tee_invoke(), found, found.start())._replace(groups=(found[1],))
    return Match(line, _not_ours(line, int(found[1], 16)), ())


def _of_another_vendor(line: LogLine) -> Match | None:
    """A line that looks wrong, of a driver for another vendor's cores."""
    found = OTHER_VENDOR.search(line.text)
    if found is None or line.by in ("optee", "ta") or not WRONG.search(line.text):
        return None
    return Match(line, Message("other-vendor", "linux", "", (), "", "error", VENDOR.format(found[1])), ())


def _not_ours(line: LogLine, code: int) -> Message:
    named = f"{tee_name(code)} ({code:#010x})"
    whose = line.text[line.start :].split(":", 1)[0].strip()[:60]
    return Message("other-ta", "linux", "", (), "", "error", NOT_OURS.format(named, whose))


def tee_invoke() -> Message:
    """The message with which Linux' driver reports a result of the remoteproc TA."""
    return rows()["tee-invoke"].message
