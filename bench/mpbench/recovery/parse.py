# SPDX-License-Identifier: MIT
"""Parse the evidence of a crash into facts and times. Pure.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c (lines of the kernel log), include/trace/events/
     workqueue.h and irq.h, Documentation/ABI/testing/dev-kmsg;
     OP-TEE 4.10 ta/remoteproc/include/ta_remoteproc.h (commands).
"""

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from mpbench.core import evidence as artefact
from mpbench.core.evidence import Evidence, text_of, word_of
from mpbench.core.proc_interrupts import by_cpu
from mpbench.deployment.parse import beat, identity, reason, tee_code
from mpbench.layout import TaCommand
from mpbench.recovery.facts import RecoveryFacts, Timeline

RECORD = re.compile(r"^\d+,(\d+),(\d+),[^;\n]*;(.*)$", re.MULTILINE)
"""A record of /dev/kmsg: priority, sequence number, microseconds; the text."""

KERNEL_LINES = (
    ("detected", "crash detected in {core}: type "),
    ("handling", "handling crash #"),
    ("recovering", "recovering {core}"),
    ("stopped", "stopped remote processor {core}"),
    ("missing", "request_firmware failed: "),
    ("refused", "Failed to load program segments: "),
    ("refused", "can't start rproc {core}: "),
    ("unstopped", "can't stop rproc: "),
    ("up", "remote processor {core} is now up"),
    ("beat", "mpbench beat {core} "),
)
"""Word of the sequence, and start of the kernel's line after `remoteproc remoteprocN: `."""

ENDS = ("missing", "refused", "unstopped", "up")
"""Words with which a recovery ends."""

PREFIX = re.compile(r"^(?:remoteproc (\w+): )?(.*)$")

TA_CALL = re.compile(r"(\d+\.\d+): ta: \(.*\) cmd=(\d+) res=0x([0-9a-f]+) core=(\d+)")
WORK = re.compile(r"(\d+\.\d+): workqueue_(queue_work|execute_start|execute_end): work struct[= ](\w+)")
IRQ = re.compile(r"(\d+\.\d+): irq_handler_entry: irq=\d+ name=(\S+)")

COMMANDS: dict[int, tuple[str, str]] = {
    TaCommand.LOAD_FW: ("load", "loaded"),
    TaCommand.START_FW: ("start", "started"),
    TaCommand.STOP_FW: ("stop", "off"),
    TaCommand.GET_RSC_TABLE: ("table", ""),
    TaCommand.RELEASE_FW: ("release", "off"),
}
"""Word of a command, and the core's state after the TA has answered SUCCESS; "": unchanged."""


NO_BEAT = (0, 0)
"""(boot, beat) where no firmware has run since the memory was cleared."""

US = 1000
"""Nanoseconds by which times of both sources may be off: they are truncated to microseconds."""

FAR = 1 << 63


@frozen
class KernelLine:
    """A line of the kernel log about one core: word, rest of the line, nanoseconds of the board's clock."""

    word: str
    rest: str
    ns: int


def crash(evidence: Evidence, core_id: int | None = None, *, cleared: bool = False) -> RecoveryFacts:
    """Facts of a crash; None for each field that the evidence does not decide.

    core_id: the core's number in the TA; without it calls of the TA are ignored
    cleared: whether the loader clears the core's memory whenever it stops the core: boots are counted anew,
    and an empty trace buffer shows that no firmware has run since
    """
    core, log = text_of(evidence, artefact.CORE) or "", text_of(evidence, artefact.KMSG)
    logged = list(lines(log or "", core))
    calls = ta_calls(text_of(evidence, artefact.FTRACE), core_id, logged[0].ns if logged else 0)
    cleared = cleared and any(line.word == "stopped" for line in logged)
    before, first, second = (
        text_of(evidence, name) or ""
        for name in (artefact.TRACE_BEFORE, artefact.TRACE_FIRST, artefact.TRACE_SECOND)
    )
    silent = cleared and evidence.get(artefact.TRACE_SECOND) == b""
    beats = (NO_BEAT, NO_BEAT) if silent else (beat(first), beat(second))
    return RecoveryFacts(
        cause=None if log is None else next((line.rest for line in logged if line.word == "detected"), ""),
        interrupts=interrupts(evidence),
        sequence=None if log is None else ", ".join(sequence(logged)),
        commands=None if calls is None else ", ".join(name for name, _ in calls),
        ta_states=None if calls is None else ", ".join(state for _, state in calls),
        tee_code=tee_code(log, "OK"),
        secure_log=reason(text_of(evidence, artefact.SECURE_CONSOLE)),
        state=word_of(evidence, artefact.STATE),
        boots=_boots(beat(before), beats[1], cleared=cleared),
        beating=beating(*beats),
        identity="" if silent else identity(second),
    )


def _boots(before: tuple[int, int] | None, after: tuple[int, int] | None, *, cleared: bool) -> int | None:
    if before is None or after is None:
        return None
    return after[0] if cleared else after[0] - before[0]


def beating(first: tuple[int, int] | None, second: tuple[int, int] | None) -> bool | None:
    """Whether two samples (boot, beat) are different beats of one boot; None if a sample is missing."""
    if first is None or second is None:
        return None
    return first[0] == second[0] and first[1] != second[1]


def lines(log: str, core: str) -> Iterator[KernelLine]:
    """Lines of the kernel log about `core`, in order.

    Lines without the core's name have that of its remoteproc device, which other lines show.
    """
    records = [(int(usec) * 1000, *PREFIX.findall(text)[0]) for _, usec, text in RECORD.findall(log)]
    ours = {device for _, device, text in records if text.endswith(f" {core}") or f" {core}: " in text} - {""}
    for ns, device, text in records:
        for word, pattern in KERNEL_LINES:
            start = pattern.format(core=core)
            if text.startswith(start) and (core in start or device in ours):
                yield KernelLine(word, text.removeprefix(start), ns)
                break


def sequence(logged: Iterable[KernelLine]) -> list[str]:
    """Words of the kernel's lines about a core, each report of a crash before the crash is handled.

    Linux 6.12.117 prints the report once it has queued the work, which another CPU may have begun by then.
    Ref: Linux remoteproc_core.c, rproc_report_crash()
    """
    found: list[str] = []
    unreported: int | None = None
    for word in (line.word for line in logged if line.word != "beat"):
        if word == "detected" and unreported is not None:
            found.insert(unreported, word)
            unreported = None
            continue
        if word == "handling" and found.count("detected") <= found.count("handling"):
            unreported = len(found)
        found.append(word)
    return found


def has_failed(log: str, core: str) -> bool:
    """Whether the last recovery of `core` in a kernel log has ended, and not with a core that is up."""
    words = [line.word for line in lines(log, core)]
    if "recovering" not in words:
        return False
    last = words[len(words) - words[::-1].index("recovering") :]
    return next((word != "up" for word in last if word in ENDS), False)


def interrupts(evidence: Evidence) -> int | None:
    """Interrupts of the watchdog between both tables; None if it is not in both."""
    action = word_of(evidence, artefact.WATCHDOG_LINE) or ""
    before, after = (
        by_cpu(text_of(evidence, n) or "", action)
        for n in (artefact.INTERRUPTS_BEFORE, artefact.INTERRUPTS_AFTER)
    )
    return None if before is None or after is None else sum(after.values()) - sum(before.values())


def ta_calls(trace: str | None, core_id: int | None, since_ns: int = 0) -> list[tuple[str, str]] | None:
    """(command, the core's state afterwards) of each call of the TA for a core; None without a trace.

    since_ns: earlier calls are ignored; they belong to the start of the firmware, for example
    """
    if trace is None or core_id is None:
        return None
    found, state = [], "started"
    for time, command, result, core in TA_CALL.findall(trace):
        if int(core) != core_id or _ns(time) < since_ns:
            continue
        name, then = COMMANDS.get(int(command), (f"command {command}", ""))
        if int(result, 16) == 0:
            state = then or state
        elif name == "load":
            state = "off"
        found.append((name, state))
    return found


def timeline(evidence: Evidence) -> Timeline:
    """Times of the crash that the evidence is about; of each event the first."""
    core, log = text_of(evidence, artefact.CORE) or "", text_of(evidence, artefact.KMSG) or ""
    at: dict[str, int] = {}
    for line in lines(log, core):
        at.setdefault(line.word, line.ns)
    trace, action = text_of(evidence, artefact.FTRACE) or "", word_of(evidence, artefact.WATCHDOG_LINE)
    irqs = [_ns(t) for t, name in IRQ.findall(trace) if name == action]
    irq = max((t for t in irqs if t <= at.get("detected", FAR) + US), default=None)
    work = _work(trace, at.get("handling"))
    return Timeline(
        irq_ns=irq,
        detected_ns=at.get("detected"),
        queued_ns=work.get("queue_work"),
        executed_ns=work.get("execute_start"),
        handling_ns=at.get("handling"),
        stopped_ns=at.get("stopped"),
        up_ns=at.get("up"),
        ended_ns=work.get("execute_end"),
        beat_ns=at.get("beat"),
    )


def _work(trace: str, handling_ns: int | None) -> dict[str, int]:
    """Times of the execution that contains the line "handling crash"; without an end if it has not ended."""
    if handling_ns is None:
        return {}
    for times in reversed(_executions(trace)):
        if times["execute_start"] - US <= handling_ns <= times.get("execute_end", FAR) + US:
            return times
    return {}


def _executions(trace: str) -> list[dict[str, int]]:
    """Times of each execution of each work item, as a core has one item for all its crashes.

    An item may be queued again while it is executed.
    """
    found: list[dict[str, int]] = []
    queued: dict[str, dict[str, int]] = {}
    executed: dict[str, dict[str, int]] = {}
    for time, event, item in WORK.findall(trace):
        if event == "queue_work":
            queued[item] = {event: _ns(time)}
        elif event == "execute_start":
            executed[item] = queued.pop(item, {}) | {event: _ns(time)}
            found.append(executed[item])
        else:
            executed.pop(item, {})[event] = _ns(time)
    return found


def _ns(seconds: str) -> int:
    """ "12.345678" in nanoseconds, exactly."""
    whole, fraction = seconds.split(".")
    return int(whole) * 10**9 + int(fraction.ljust(9, "0"))
