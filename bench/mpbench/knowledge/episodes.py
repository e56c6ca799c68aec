# SPDX-License-Identifier: MIT
"""Troubles of a log: each once, with what follows from it, by core and by attempt to start it."""

from bisect import bisect
from typing import NamedTuple

from mpbench.knowledge.matching import DEVICE, Match, core_of
from mpbench.knowledge.meaning import Explanation, explanation

ATTEMPT = {"rproc-powering-up", "rproc-attaching"}
BOOT = "linux-boot"
MAX_CONSEQUENCES = 100
MAX_OF_ONE_KIND = 20
NOT_LISTED = "{} more lines of this kind, with other values, are not listed"
SHOWN = {"error", "warning"}
SECURE = {"optee", "ta"}


class Event(NamedTuple):
    """A match with its core, by name where the log tells the device's, and the boot that it is in."""

    match: Match
    core: str
    boot: int

    @property
    def id(self) -> str:
        return self.match.message.id

    @property
    def number(self) -> int:
        return self.match.line.number


class Cores:
    """Which core a remoteproc device is, as the log has said so far in this boot."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def of(self, match: Match) -> str:
        """The match's core: m4, m33, m0, a device's name if that is all, or "" """
        device = DEVICE.search(match.line.text)
        named = core_of(match.text) if match.message.id in NAMING else None
        if device and named:
            self.names[device[0]] = named
        return named or self.names.get(match.core, match.core)


NAMING = {
    *(
        "rproc-available",
        "rproc-powering-up",
        "rproc-attaching",
        "rproc-up",
        "rproc-attached",
        "rproc-stopped",
    ),
    *("rproc-crash", "rproc-handling-crash", "rproc-recovering", "rproc-releasing", "rproc-detached"),
}
"""Messages that print the core's name."""


def events(matches: list[Match]) -> list[Event]:
    """Matches in the log's order, each with its core; one that names none is of the attempt under way."""
    cores, boot, current, found = Cores(), 0, "", []
    for match in matches:
        if match.message.id == BOOT:
            cores, boot, current = Cores(), boot + 1, ""
        core = cores.of(match)
        if match.message.id in ATTEMPT:
            current = core
        found.append(Event(match, core or current, boot))
    return found


class Trouble:
    """An explanation while its consequences are collected; last: number of the last line of its kind;
    others: lines of its kind with other numbers that are not troubles of their own.
    """

    def __init__(self, one: Explanation, event: Event) -> None:
        self.one, self.event, self.last = one, event, one.number
        self.times, self.others = 1, 0
        self.consequences: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, event: Event, one: Explanation) -> None:
        """A line that follows from this trouble; the same text again adds nothing."""
        if len(self.consequences) < MAX_CONSEQUENCES:
            self.consequences.setdefault((event.id, event.match.text), (one.number, one.line))

    def explained(self) -> Explanation:
        """With its consequences."""
        lines = tuple(self.consequences.values())
        one = self.one._replace(times=self.times, consequences=lines)
        return one._replace(unknown=NOT_LISTED.format(self.others)) if self.others else one


Key = tuple[str, str, str]
UnderWay = dict[tuple[str, str], tuple[Event, Trouble]]
"""The first event of each message and core in the attempts that are under way, with its trouble."""


def troubles(found: list[Event]) -> list[Trouble]:
    """Each trouble once; a consequence goes to the first trouble of its attempt that it can follow from."""
    known: dict[Key, Trouble] = {}
    under_way: UnderWay = {}
    boot = 0
    for event in found:
        if event.boot != boot:
            boot, under_way = event.boot, {}
        if event.id in ATTEMPT:
            under_way = {k: e for k, e in under_way.items() if not same_core(e[0].core, event.core)}
        if event.match.message.level in SHOWN:
            trouble = _trouble_of(event, known, under_way)
            under_way.setdefault((event.id, event.core), (event, trouble))
    return _consoles_joined(list(known.values()), found)


def _trouble_of(event: Event, known: dict[Key, Trouble], under_way: UnderWay) -> Trouble:
    """The trouble that an event is, or is a consequence of."""
    one = explanation(event.match)
    key = (one.id, one.meaning, event.core)
    own = known.get(key)
    cause = _cause(event, own, under_way)
    if cause is not None:
        cause.add(event, one)
        return cause
    if own is None:
        same = [t for t in known.values() if t.one.id == one.id] if len(known) >= MAX_OF_ONE_KIND else []
        if len(same) >= MAX_OF_ONE_KIND:
            same[-1].others += 1
            return same[-1]
        own = known[key] = Trouble(one, event)
    else:
        own.times, own.last = own.times + 1, one.number
    _take_announcements(event, own, known, under_way)
    return own


def same_core(one: str, other: str) -> bool:
    """May both be the same core? A device whose core the log does not name may be any."""
    return one == other or not one or not other or "remoteproc" in one + other


def _cause(event: Event, own: Trouble | None, under_way: UnderWay) -> Trouble | None:
    """The first error that it can follow from; a warning, after which the kernel went on, for want of one."""
    message = event.match.message
    found = [
        (earlier.match.message.level, trouble)
        for earlier, trouble in (under_way.values() if message.after else ())
        if trouble is not own
        and same_core(earlier.core, event.core)
        and message.follows(earlier.id)
        and _is_ours(trouble, event)
    ]
    errors = (trouble for level, trouble in found if level == "error")
    return next(errors, found[0][1] if found else None)


def _is_ours(trouble: Trouble, event: Event) -> bool:
    """Of another's trouble only that is a consequence which the tables say follows from it."""
    return not trouble.one.id.startswith("other-") or event.match.message.follows(trouble.one.id)


def _take_announcements(
    event: Event, trouble: Trouble, known: dict[Key, Trouble], under_way: UnderWay
) -> None:
    """A message that only announces this one follows from it."""
    for key, (earlier, other) in list(under_way.items()):
        if earlier.match.message.announces(event.id) and other is not trouble:
            trouble.add(earlier, other.one)
            del under_way[key]
            known.pop((other.one.id, other.one.meaning, other.event.core), None)


def _consoles_joined(found: list[Trouble], log: list[Event]) -> list[Trouble]:
    """A cause on the secure console may come later in the text than its consequence in Linux' log.

    In a log where both are mixed, only within an attempt.
    """
    starts = [] if _one_after_the_other(log) else [e.number for e in log if e.id in ATTEMPT]
    gone: set[int] = set()
    for trouble in found:
        if not trouble.event.match.message.after:
            continue
        cause = next((c for c in found if id(c) not in gone and _other_console(c, trouble, starts)), None)
        if cause is not None:
            gone.add(id(trouble))
            cause.add(trouble.event, trouble.one)
            for key, line in trouble.consequences.items():
                cause.consequences.setdefault(key, line)
    return [t for t in found if id(t) not in gone]


def _one_after_the_other(log: list[Event]) -> bool:
    """Is the secure console's log a part of its own, before or after that of Linux?"""
    secure = [e.number for e in log if e.match.line.by in SECURE]
    linux = [e.number for e in log if e.match.line.by not in SECURE]
    return not secure or not linux or secure[-1] < linux[0] or linux[-1] < secure[0]


def _other_console(cause: Trouble, trouble: Trouble, starts: list[int]) -> bool:
    one, other = cause.event, trouble.event
    return (
        cause is not trouble
        and one.match.line.by != other.match.line.by
        and same_core(one.core, other.core)
        and other.match.message.follows(one.id)
        and bisect(starts, one.number) == bisect(starts, other.number)
    )
