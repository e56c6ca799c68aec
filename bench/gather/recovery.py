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


TRACE_KEPT = 1 << 16
"""Bytes of trace from which on it is cleared, which takes the kernel tens of milliseconds."""


class Tracing(Protocol):
    """What gather needs of the recorder of TA calls, work items and interrupts."""

    @property
    def path(self) -> str:
        """The file with what was recorded, "" on a board that can't: fields stay undecided."""

    def clear(self) -> None:
        """Forget what was recorded."""


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
    traced: bytes
    boot: bytes | str


@frozen
class After:
    """The board after it: all evidence, and which boot it was."""

    evidence: Evidence
    boot: bytes | str


def before(subject: Subject) -> Before:
    """Sample what a crash will change, in one round trip."""
    found = subject.session.read_many(_paths(gather.BOOT_ID, INTERRUPTS, subject.trace, subject.tracing.path))
    traced = found.get(subject.tracing.path, b"")
    if len(traced) > TRACE_KEPT:
        subject.tracing.clear()
        traced = b""
    artefacts = [Artefact(CORE, subject.core.encode()), Artefact(WATCHDOG_LINE, subject.line.encode())]
    artefacts += _artefacts({INTERRUPTS_BEFORE: found[INTERRUPTS], TRACE_BEFORE: found[subject.trace]})
    watched = gather.watch(subject.kmsg, subject.secure)
    return Before(subject, watched, tuple(artefacts), _bytes(traced), found[gather.BOOT_ID])


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
    found = subject.session.read_many(_paths(subject.state, INTERRUPTS, subject.tracing.path, gather.BOOT_ID))
    artefacts += _artefacts({STATE: found[subject.state], INTERRUPTS_AFTER: found[INTERRUPTS]})
    if isinstance(traced := found.get(subject.tracing.path), bytes):
        artefacts.append(Artefact(FTRACE, grown(begun.traced, traced)))
    artefacts.append(Artefact(KMSG, watched.kmsg.since(watched.kmsg_mark)))
    artefacts.append(Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)))
    return After(Evidence(tuple(artefacts)), found[gather.BOOT_ID])


def grown(was: bytes, now: bytes) -> bytes:
    """Lines of a trace that came since it `was`; all of them if it was cleared in between."""
    old, new = _events(was), _events(now)
    return b"".join(new[len(old) :] if new[: len(old)] == old else new)


def _events(trace: bytes) -> list[bytes]:
    """Its lines, without the header, which counts them."""
    return [line for line in trace.splitlines(keepends=True) if not line.startswith(b"#")]


def _paths(*paths: str) -> list[str]:
    return [path for path in paths if path]


def _artefacts(found: Mapping[str, bytes | str]) -> Iterable[Artefact]:
    """What could be read, by its name as an artefact."""
    return [Artefact(name, data) for name, data in found.items() if isinstance(data, bytes)]


def _bytes(found: bytes | str) -> bytes:
    return found if isinstance(found, bytes) else b""
