# SPDX-License-Identifier: MIT
"""Collect evidence of a crash: what was there before, then everything until its end and a heartbeat."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from attrs import frozen

from bench import gather
from bench.facts import (
    CORE,
    FTRACE,
    INTERRUPTS_AFTER,
    INTERRUPTS_BEFORE,
    KMSG,
    SECURE_CONSOLE,
    STATE,
    TRACE_BEFORE,
    WATCHDOG_LINE,
    Artefact,
    Evidence,
)

INTERRUPTS = "/proc/interrupts"

ENDS = (
    "remote processor {core} is now up|Failed to load program segments|request_firmware failed"
    "|can't st(?:art|op) rproc"
)
"""What the kernel says last about a recovery, good or bad."""

STAYS = "handling crash #[0-9]+ in {core}"
"""What it says last when it was told not to recover."""

END_DEADLINE_S = 20.0
"""A recovery takes well below a second, also when the watchdog has to expire first. This long is never."""


class Tracing(Protocol):
    """What gather needs of the recorder of TA calls, work items and interrupts."""

    def take(self) -> bytes | None:
        """What was recorded since the last time, also before the crash. None on a board that can't record:
        fields stay undecided."""


@frozen
class Subject:
    """A core that is going to crash, and what shows it.

    line: how /proc/interrupts calls the core's watchdog; state, trace: paths of its sysfs state and its trace
    buffer
    """

    core: str
    line: str
    state: str
    trace: str
    session: gather.ReadsFiles
    remoteproc: gather.Reads
    kmsg: gather.Log
    secure: gather.Log
    tracing: Tracing


@frozen
class Before:
    """The board before a crash: where its logs and the trace stood, what was sampled, which boot it was."""

    subject: Subject
    watched: gather.Watch
    artefacts: tuple[Artefact, ...]
    boot: bytes | str


@frozen
class After:
    """The board after it: all evidence, and which boot it was."""

    evidence: Evidence
    boot: bytes | str


def before(subject: Subject) -> Before:
    """Sample what a crash will change."""
    found = subject.session.read_many([gather.BOOT_ID, INTERRUPTS, subject.trace])
    artefacts = [Artefact(CORE, subject.core.encode()), Artefact(WATCHDOG_LINE, subject.line.encode())]
    artefacts += _artefacts({INTERRUPTS_BEFORE: found[INTERRUPTS], TRACE_BEFORE: found[subject.trace]})
    watched = gather.watch(subject.kmsg, subject.secure)
    return Before(subject, watched, tuple(artefacts), found[gather.BOOT_ID])


def after(
    begun: Before,
    ends: str = ENDS,
    deadline_s: float = END_DEADLINE_S,
    now_s: Callable[[], float] = time.monotonic,
) -> After:
    """Everything until the kernel has said what `ends` matches, and two samples of the firmware's trace."""
    watched, subject = begun.watched, begun.subject
    pattern = re.compile(ends.format(core=re.escape(subject.core)).encode())
    watched.kmsg.wait_for(pattern, watched.kmsg_mark, deadline_s)
    artefacts = [*begun.artefacts, *gather.trace_samples(subject.remoteproc, subject.core, now_s)]
    found = subject.session.read_many([subject.state, INTERRUPTS, gather.BOOT_ID])
    artefacts += _artefacts({STATE: found[subject.state], INTERRUPTS_AFTER: found[INTERRUPTS]})
    traced = subject.tracing.take()
    artefacts += [] if traced is None else [Artefact(FTRACE, traced)]
    artefacts.append(Artefact(KMSG, watched.kmsg.since(watched.kmsg_mark)))
    artefacts.append(Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)))
    return After(Evidence(tuple(artefacts)), found[gather.BOOT_ID])


def _artefacts(found: Mapping[str, bytes | str]) -> Iterable[Artefact]:
    """What could be read, by its name as an artefact."""
    return [Artefact(name, data) for name, data in found.items() if isinstance(data, bytes)]
