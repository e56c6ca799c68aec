# SPDX-License-Identifier: MIT
"""What several lines of a log say together: which core an attempt is for, what did not follow a crash."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import evolve

if TYPE_CHECKING:
    from mpbench.knowledge.explain import Explanation, Match

CORE_MEMORY = {
    "m33": ((0x8000_0000, 0x8130_0000), (0x0A04_0000, 0x0A0A_0000)),
    "m4": (
        (0x0, 0x1_0000),
        (0x1000_0000, 0x1006_0000),
        (0x3000_0000, 0x3006_0000),
        (0x3800_0000, 0x3801_0000),
    ),
    "m0": ((0x200C_0000, 0x200C_4000),),
}
"""Where each core's firmware is linked. Ref: RM0457 and RM0436, memory map; dt-stm32mp, reserved memory."""
CORE = re.compile(r"(?<![a-z0-9])[cC]?[mM](4|33|0)(?![0-9])")
MOVED = "numbers of /sys/class/remoteproc may move from boot to boot: choose the core by its `name` file"


def in_context(found: "list[Explanation]", matches: "list[Match]") -> "Iterator[Explanation]":
    """The explanations, each with what the lines around it add."""
    for one in found:
        if one.id == "elf-bad-phdr":
            yield _other_core(one, matches)
        elif one.id in ("rproc-crash", "rproc-crash-untyped"):
            yield _not_recovered(one, matches)
        elif one.id.startswith("rif-iac"):
            yield _started_before(one, matches)
        else:
            yield one


def _state_before(number: int, name: str, matches: "Iterable[Match]") -> "Match | None":
    last = None
    for match in matches:
        if match.line.number > number:
            break
        if match.message.id == name:
            last = match
    return last


def core_of(text: str) -> str | None:
    """m4, m33 or m0, if a name in the text says so."""
    found = CORE.search(text)
    return f"m{found[1]}" if found else None


def _other_core(one: "Explanation", matches: "list[Match]") -> "Explanation":
    """A segment outside the core's memory: is it in another core's, or is the file named after another?"""
    found = re.search(r"da (?:0x)?([0-9a-fA-F]+)", one.line)
    da = int(found[1], 16) if found else -1
    start, file = (_state_before(one.number, i, matches) for i in ("rproc-powering-up", "rproc-booting"))
    core = core_of(start.groups[0]) if start else None
    named = core_of(file.groups[0]) if file else None
    owner = next((c for c, spans in CORE_MEMORY.items() if any(a <= da < b for a, b in spans)), None)
    other = next((c for c in (named, owner) if c and c != core), None)
    if core is None or other is None:
        return one
    cause = f"the firmware is for the {other}, and this core is the {core}: {MOVED}"
    return evolve(one, causes=(cause, *one.causes))


def _not_recovered(one: "Explanation", matches: "list[Match]") -> "Explanation":
    """A crash after which the kernel did not recover, although it wrote on."""
    later = [m for m in matches if m.line.number > one.number and m.message.id.startswith("rproc-")]
    if any(m.message.id == "rproc-recovering" for m in later):
        return evolve(
            one,
            meaning=f"{one.meaning}; the kernel started it again, the TEE authenticates signed firmware anew",
        )
    if any(m.message.id == "rproc-handling-crash" for m in later):
        return evolve(
            one,
            meaning=f"{one.meaning}; it was not recovered: recovery is disabled for this core",
            advice=("`echo enabled` to its `recovery` file in /sys/class/remoteproc", *one.advice),
        )
    return one


def _started_before(one: "Explanation", matches: "list[Match]") -> "Explanation":
    """Which core was started before the firewall reported."""
    start = _state_before(one.number, "rproc-powering-up", matches)
    if start is None:
        return one
    return evolve(
        one,
        causes=(
            f"the {start.groups[0]} was started before (line {start.line.number}): its firmware",
            *one.causes,
        ),
    )
