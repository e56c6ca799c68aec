# SPDX-License-Identifier: MIT
"""Collect evidence of a crash: what was there before, then everything until its end and a heartbeat."""

import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from attrs import define, frozen

from mpbench.board.identification import BOOT_ID
from mpbench.board.protocols import KernelLog, Log, Session
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import (
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
from mpbench.deployment import collect

INTERRUPTS = "/proc/interrupts"

ENDS = (
    "remote processor {core} is now up|Failed to load program segments|request_firmware failed"
    "|can't st(?:art|op) rproc"
)
"""What the kernel says last about a recovery, good or bad."""

STAYS = "handling crash #[0-9]+ in {core}"
"""What it says last when it was told not to recover."""

BEAT = "mpbench beat {core} "
"""What a watcher of heartbeats says of the first one."""

SAMPLED = """
look() { { read -r who && read -r line; } <$t && set -- $line && life=$2 beat=$4; }
take() { was=$life first=$beat name=$who text=$line; }
look; take
"""
"""Takes the first two lines of the trace buffer $t, without starting a program."""
BEATEN = """
n=0; while [ $n -lt 200 ] && look; do
  n=$((n+1)); if [ "$life" != "$was" ]; then take; elif [ "$beat" != "$first" ]; then break; fi
done; printf '%s\\n' "$name" "$text"
"""
"""Waits until the same life has beaten, and says what it was before. A living firmware beats in less than 200
looks."""

END_DEADLINE_S = 20.0
"""A recovery takes well below a second, also when the watchdog has to expire first. This long is never."""


class Tracing(Protocol):
    """What gather needs of the recorder of TA calls, work items and interrupts."""

    def asking(self) -> str:
        """The command that writes what was recorded."""

    def whole(self, begun: bytes) -> bytes | None:
        """What was recorded since the last time, also before the crash. begun: what that command wrote.

        None on a board that can't record: fields stay undecided.
        """


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
    session: Session
    kmsg: KernelLog
    secure: Log
    tracing: Tracing


@frozen
class Before:
    """The board before a crash: where its logs stood, what was sampled, which boot it was."""

    subject: Subject
    watched: collect.LogMarks
    artefacts: tuple[Artefact, ...]
    boot: bytes | str


@frozen
class After:
    """The board after it: all evidence, and which boot it was."""

    evidence: Evidence
    boot: bytes | str


def before(subject: Subject, provoke: str = "") -> Before:
    """Sample what a crash will change; then, if that is a command of the board, provoke it.

    InfrastructureError if the board does not take the command.
    """
    flag, secure_mark = subject.kmsg.flag(), subject.secure.mark()
    then = f"{flag.command}; {{ {provoke}; }} 2>&1 && echo done" if provoke else flag.command
    _, found, said = subject.session.look([BOOT_ID, INTERRUPTS, subject.trace], then=then)
    if provoke and not said.endswith(b"done\n"):
        answer = said.decode("utf-8", "backslashreplace")
        raise InfrastructureError(f"{subject.core}: the board does not take {provoke!r}: {answer!r}")
    artefacts = [Artefact(CORE, subject.core.encode()), Artefact(WATCHDOG_LINE, subject.line.encode())]
    artefacts += _artefacts({INTERRUPTS_BEFORE: found[INTERRUPTS], TRACE_BEFORE: found[subject.trace]})
    watched = collect.LogMarks(subject.kmsg, subject.secure, subject.kmsg.position(flag), secure_mark)
    return Before(subject, watched, tuple(artefacts), found[BOOT_ID])


def after(
    begun: Before,
    ends: str = ENDS,
    deadline_s: float = END_DEADLINE_S,
    now_s: Callable[[], float] = time.monotonic,
    *,
    last: str = "",
) -> After:
    """Everything until the kernel has said what `ends` matches, and two samples of the firmware's trace.

    last: what the log is to say then, e.g. BEAT, before it is read
    """
    watched, subject = begun.watched, begun.subject
    watched.kmsg.wait_for(_pattern(ends, subject), watched.kmsg_mark, deadline_s)
    look = _Look.at(subject)
    artefacts = [*begun.artefacts, *collect.trace_samples(look.trace, now_s)]
    artefacts += _artefacts({STATE: look.found[subject.state], INTERRUPTS_AFTER: look.found[INTERRUPTS]})
    traced = subject.tracing.whole(look.recorded)
    artefacts += [] if traced is None else [Artefact(FTRACE, traced)]
    artefacts.append(Artefact(KMSG, _log(begun, look.flag, last)))
    artefacts.append(Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)))
    return After(Evidence(tuple(artefacts)), look.found[BOOT_ID])


@define
class _Look:
    """The board right after a crash, in one round trip; one more for each sample of the trace beyond two.

    A new life needs a while until its first beat, so that what is read meanwhile costs no time.
    flag: written behind the latest sample
    """

    subject: Subject
    found: dict[str, bytes | str]
    recorded: bytes
    flag: Any
    _samples: list[bytes | None]

    @classmethod
    def at(cls, subject: Subject) -> "_Look":
        """Take the look."""
        flag, paths = subject.kmsg.flag(), [subject.trace, subject.state, INTERRUPTS, BOOT_ID]
        command = f"t={shlex.quote(subject.trace)}{SAMPLED}{subject.tracing.asking()}{BEATEN}"
        said, found, _ = subject.session.look(paths, first=command, then=flag.command)
        second = _bytes(found[subject.trace])
        lines = said.split(b"\n")
        first = b"".join(line + b"\n" for line in lines[-3:-1])
        samples: list[bytes | None] = [None] if second is None else [first, second]
        return cls(subject, found, said[: len(said) - len(first)], flag, samples)

    def trace(self) -> bytes | None:
        """The trace buffer: that of the look, then as it is by now. None if there is none."""
        if not self._samples:
            trace, self.flag = self.subject.trace, self.subject.kmsg.flag()
            _, found, _ = self.subject.session.look([trace], then=self.flag.command)
            self._samples.append(_bytes(found[trace]))
        return self._samples.pop(0)


def _bytes(found: bytes | str) -> bytes | None:
    return found if isinstance(found, bytes) else None


def _log(begun: Before, flag: Any, last: str) -> bytes:
    """The kernel's log until the latest sample; what it is to say last may come a moment later."""
    kmsg, mark, subject = begun.subject.kmsg, begun.watched.kmsg_mark, begun.subject
    log = kmsg.until(flag, mark)
    if not last or _pattern(last, subject).search(log):
        return log
    kmsg.wait_for(_pattern(last, subject), mark, collect.BEAT_DEADLINE_S)
    return kmsg.since(mark)


def _pattern(text: str, subject: Subject) -> re.Pattern[bytes]:
    return re.compile(text.format(core=re.escape(subject.core)).encode())


def _artefacts(found: Mapping[str, bytes | str]) -> Iterable[Artefact]:
    """What could be read, by its name as an artefact."""
    return [Artefact(name, data) for name, data in found.items() if isinstance(data, bytes)]
