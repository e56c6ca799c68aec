# SPDX-License-Identifier: MIT
"""Parses what a suspended board shows. Pure.

Sections of what collect.SCRIPT prints: `fill`, `memory`: answers of suspend-client before and after;
`before.`, `after.`, `later.` with `uptime`, `trace`, `stats`, `events`; `held`: active wake-up sources;
`count`, `deep`, `alarm`, `errno`: results of writes; `irq`: the interrupt that woke; `interrupts`; `end`.

Ref: Linux kernel/power/suspend.c (`PM: suspend entry (s2idle)`), drivers/remoteproc/remoteproc_core.c
     (rproc_report_crash), kernel/irq/proc.c (show_interrupts)
"""

import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from mpbench.board.program_output import Answer, answers
from mpbench.core import evidence as artefact
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import Evidence, text_of, word_of
from mpbench.deployment.parse import beat, deploy_facts
from mpbench.suspend.facts import (
    ALARM,
    ALARM_TIMER,
    ERRNO,
    KEPT,
    LEAST_SHARE,
    LOOKS,
    MAILBOX,
    PLACES,
    WATCHDOG,
    Look,
    Place,
    Sleep,
    SuspendFacts,
)

MARKED = "mpbench suspend "
"""Line of the script in the kernel's log, just before the write."""
ENTRY = re.compile(r"PM: suspend entry \((\S+?)\)")
CRASH = "crash detected in {core}: type "
DEVICE_STEPS = (
    "prepare",
    "suspend",
    "suspend_late",
    "suspend_noirq",
    "resume_noirq",
    "resume_early",
    "resume",
)
"""Steps for which the kernel remembers a device. Ref: Linux kernel/power/main.c, suspend_step_names"""
NAMES = ((ALARM, r"\brtc|rtc\b|pl031"), (MAILBOX, r"mailbox"), (WATCHDOG, r"\.m(?:4|33|0)\b|@0\.m|\d\.m\d"))
"""Word → pattern of the names that drivers give their interrupts and wake-up sources."""
PLACE = re.compile(r"(spare|constant) 0x([0-9a-f]+)\+0x([0-9a-f]+)")
CLIENT = "suspend-client"


@frozen
class Facilities:
    """What a board has for a suspend.

    states: words for /sys/power/state; deeper: for mem_sleep, without s2idle
    clock: directory of a real-time clock with an alarm that wakes, "" without one
    timers: whether suspend-client can set a timer that wakes
    keeps_files: whether Linux keeps firmware files over a sleep (CONFIG_FW_CACHE), as far as it is known
    """

    states: tuple[str, ...]
    deeper: tuple[str, ...]
    clock: str
    timers: bool = False
    keeps_files: bool = True

    @property
    def missing(self) -> str:
        """Why this board cannot be suspended and woken up by its clock, "" if it can."""
        if "freeze" not in self.states:
            return "this kernel cannot suspend to idle: no `freeze` in /sys/power/state (CONFIG_SUSPEND)"
        if not self.clock and not self.timers:
            return (
                "no real-time clock of this board can wake it up (no /sys/class/rtc/rtcN/wakealarm, no "
                "CLOCK_BOOTTIME_ALARM): its driver, its interrupt, and in the device tree `wakeup-source`"
            )
        return ""


def facilities(text: str) -> Facilities:
    """Facilities from collect.facilities().

    A kernel takes a timer that is to wake the board although no clock can: the clock by which it would has
    a device `alarmtimer`. Ref: Linux kernel/time/alarmtimer.c, alarmtimer_rtc_add_device()
    """
    lines = [line.split(" ") for line in text.splitlines()]
    found = {words[0]: words[1:] for words in lines if words[0] != "alarm"}
    clocks = [words[1] for words in lines if words[0] == "alarm"]
    sleeps = (word.strip("[]") for word in found.get("mem_sleep", ()))
    return Facilities(
        states=tuple(filter(None, found.get("state", ()))),
        deeper=tuple(word for word in sleeps if word not in ("", "s2idle")),
        clock=clocks[0] if clocks else "",
        timers="waker" in found and "errno=0" in found.get("0", ()),
        keeps_files=found.get("configuration") != ["0"],
    )


def sections_of(text: str) -> Mapping[str, str]:
    """Sections of what the script printed, by name."""
    found: dict[str, str] = {}
    for part in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        name, _, content = part.partition("\n")
        found[name] = content
    return found


def suspend_facts(evidence: Evidence) -> SuspendFacts:
    """Facts of collect.after()'s evidence."""
    sections = sections_of(text_of(evidence, LOOKS) or "")
    before, after, later = (look(sections, name) for name in ("before", "after", "later"))
    errno, log = word_of(evidence, ERRNO), since_marker(text_of(evidence, artefact.KMSG) or "")
    deployed = deploy_facts(evidence)
    entered = ENTRY.findall(log)
    slept = sleep_of(before, after, later)
    return SuspendFacts(
        errno=errno,
        entered=entered[-1] if entered else "",
        woken_by=woken_by(sections, before, after) if errno == "OK" else "",
        refused_by=refused_by(before, after),
        crash=_crash(log, word_of(evidence, artefact.CORE) or ""),
        state=deployed.state,
        boots=_boots(before, evidence),
        worked=_worked(slept),
        beating=deployed.beating,
        identity=deployed.identity,
        memory=memory_word(text_of(evidence, PLACES), sections),
    )


def since_marker(log: str) -> str:
    """The kernel's log after the script's last marker: a new connection reads it again from its start."""
    return log.rpartition(MARKED)[2]


def look(sections: Mapping[str, str], name: str) -> Look | None:
    """The look of that name; None if the script did not come so far."""
    uptime = sections.get(f"{name}.uptime")
    if not uptime:
        return None
    stats = (line.split(" ", 1) for line in sections.get(f"{name}.stats", "").splitlines())
    events = (line.split(" ", 1) for line in sections.get(f"{name}.events", "").splitlines())
    counted: dict[str, int] = {}
    for count, source in (words for words in events if len(words) == 2):
        counted[source] = counted.get(source, 0) + int(count)
    return Look(
        uptime_s=float(uptime.split()[0]),
        beat=beat(sections.get(f"{name}.trace", "")),
        stats={words[0]: words[1].strip() for words in stats if len(words) == 2},
        events=counted,
    )


def sleep_of(before: Look | None, after: Look | None, later: Look | None) -> Sleep | None:
    """How long the write took, and the rates of the firmware; None if there was none."""
    if before is None or after is None:
        return None
    asleep = _rate(before, after)
    return Sleep(after.uptime_s - before.uptime_s, asleep, None if later is None else _rate(after, later))


def _rate(first: Look, second: Look) -> float | None:
    """Heartbeats per second between two looks at the same boot of the firmware."""
    if first.beat is None or second.beat is None or first.beat[0] != second.beat[0]:
        return None
    span_s = second.uptime_s - first.uptime_s
    return (second.beat[1] - first.beat[1]) / span_s if span_s > 0 else None


def _worked(slept: Sleep | None) -> bool | None:
    if slept is None or slept.rate_asleep_hz is None or not slept.rate_awake_hz:
        return None
    return slept.rate_asleep_hz >= LEAST_SHARE * slept.rate_awake_hz


def woken_by(sections: Mapping[str, str], before: Look | None, after: Look | None) -> str | None:
    """What woke the board: by the interrupt, else by the wake-up source with a new event; None: unknown."""
    if irq := sections.get("irq", "").strip():
        line = re.search(rf"^ *{re.escape(irq)}:(.*)$", sections.get("interrupts", ""), re.MULTILINE)
        return (
            _word(line[1]) or (line[1].split()[-1] if line[1].split() else f"interrupt {irq}")
            if line
            else irq
        )
    if before is None or after is None:
        return None
    risen = sorted(name for name, count in after.events.items() if count > before.events.get(name, 0))
    return " ".join(dict.fromkeys(_word(name) or name for name in risen)) if risen else None


def came_early(evidence: Evidence) -> bool:
    """Whether the alarm kept the board from sleeping: it came before, or was too near for the kernel."""
    sections = sections_of(text_of(evidence, LOOKS) or "")
    before, after = look(sections, "before"), look(sections, "after")
    if word_of(evidence, ERRNO) != "EBUSY" or before is None or after is None:
        return False
    by_timer = refused_by(before, after) == f"suspend {ALARM_TIMER}"
    return by_timer or ALARM in (woken_by({}, before, after) or "").split()


def _word(name: str) -> str:
    return next((word for word, pattern in NAMES if re.search(pattern, name)), "")


def refused_by(before: Look | None, after: Look | None) -> str | None:
    """Step that failed and its device, "" if none did; None: not known."""
    if before is None or after is None or "fail" not in after.stats:
        return None
    if after.stats["fail"] == before.stats.get("fail"):
        return ""
    step, device = (after.stats.get(f"last_failed_{word}", "") for word in ("step", "dev"))
    return f"{step} {device}".strip() if step in DEVICE_STEPS else step


def _crash(log: str, core: str) -> str:
    found = re.findall(re.escape(CRASH.format(core=core)) + r"([^\n\\]+)", log)
    return str(found[-1]).strip() if found else ""


def _boots(before: Look | None, evidence: Evidence) -> int | None:
    now = beat(text_of(evidence, artefact.TRACE_SECOND) or "")
    return None if before is None or before.beat is None or now is None else now[0] - before.beat[0]


def places(text: str) -> tuple[Place, ...]:
    """Places from their lines."""
    return tuple(Place(int(pa, 16), int(size, 16), kind == "spare") for kind, pa, size in PLACE.findall(text))


def memory_word(listed: str | None, sections: Mapping[str, str]) -> str | None:
    """Value of field `memory`: KEPT, or every place that changed; None if none was looked at.

    InfrastructureError if suspend-client could not look at a place.
    """
    if not listed:
        return None
    before, after = (_answers(sections.get(name, "")) for name in ("fill", "memory"))
    changed = []
    for place, was, now in zip(places(listed), before, after, strict=True):
        if "OK" not in (was.errno, now.errno) or was.errno != now.errno:
            raise InfrastructureError(f"suspend-client: {place.line}: {was.errno}, {now.errno}")
        changed += _change(place, was, now)
    return "; ".join(changed) or KEPT


def _answers(text: str) -> Iterable[Answer]:
    return answers(text, CLIENT)[1:]  # the first is that of `open`


def _change(place: Place, was: Answer, now: Answer) -> list[str]:
    if not place.spare:
        return [] if was["hash"] == now["hash"] else [f"constant memory {place.pa:#x}+{place.size:#x}"]
    if not now["different"]:
        return []
    return [
        f"{now['different']} words in {now['first']:#x}..{now['last']:#x}, the first is {now['found']:#010x} "
        f"and was {now['pattern']:#010x}"
    ]
