# SPDX-License-Identifier: MIT
"""Collect evidence of a crash: what was there before, then everything until its end and a heartbeat."""

import re
import time
from collections.abc import Callable, Iterable
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

    def clear(self) -> None:
        """Forget what was recorded."""

    def read(self) -> bytes | None:
        """What was recorded since, as text; None on a board that can't trace: fields stay undecided."""


@frozen
class Subject:
    """A core that is going to crash, and what shows it.

    line: how /proc/interrupts calls the core's watchdog
    """

    core: str
    line: str
    session: gather.ReadsFiles
    remoteproc: gather.Reads
    kmsg: gather.Log
    secure: gather.Log
    tracing: Tracing


@frozen
class Before:
    """The board before a crash: where its logs stood, and what was sampled."""

    subject: Subject
    watched: gather.Watch
    artefacts: tuple[Artefact, ...]


def before(subject: Subject) -> Before:
    """Sample what a crash will change."""
    subject.tracing.clear()
    artefacts = [Artefact(CORE, subject.core.encode()), Artefact(WATCHDOG_LINE, subject.line.encode())]
    artefacts += _file(subject.session, INTERRUPTS, INTERRUPTS_BEFORE)
    trace = subject.remoteproc.trace(subject.core)
    artefacts += [] if trace is None else [Artefact(TRACE_BEFORE, trace)]
    return Before(subject, gather.watch(subject.kmsg, subject.secure), tuple(artefacts))


def after(
    begun: Before,
    ends: str = ENDS,
    deadline_s: float = END_DEADLINE_S,
    now_s: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Everything until the kernel has said what `ends` matches, and two samples of the firmware's trace."""
    watched, subject = begun.watched, begun.subject
    pattern = re.compile(ends.format(core=re.escape(subject.core)).encode())
    watched.kmsg.wait_for(pattern, watched.kmsg_mark, deadline_s)
    artefacts = list(begun.artefacts)
    artefacts += gather.trace_samples(subject.remoteproc, subject.core, now_s)
    artefacts.append(Artefact(STATE, subject.remoteproc.core_state(subject.core).encode()))
    artefacts += _file(subject.session, INTERRUPTS, INTERRUPTS_AFTER)
    traced = subject.tracing.read()
    artefacts += [] if traced is None else [Artefact(FTRACE, traced)]
    artefacts.append(Artefact(KMSG, watched.kmsg.since(watched.kmsg_mark)))
    artefacts.append(Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)))
    return Evidence(tuple(artefacts))


def _file(session: gather.ReadsFiles, path: str, name: str) -> Iterable[Artefact]:
    data = session.read(path)
    return [Artefact(name, data)] if isinstance(data, bytes) else []
