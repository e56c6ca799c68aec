# SPDX-License-Identifier: MIT
"""Collect evidence of a crash: samples before it, then everything until its end and a heartbeat."""

import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, frozen

from mpbench.board.identification import BOOT_ID
from mpbench.board.protocols import KernelLog, SecureLog, Session
from mpbench.core import evidence as artefact
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.deployment import collect
from mpbench.recovery.collect_trace import CrashTrace

INTERRUPTS = "/proc/interrupts"

RECOVERY_ENDED = (
    "remote processor {core} is now up|Failed to load program segments|request_firmware failed"
    "|can't st(?:art|op) rproc"
)
"""Last line that the kernel logs about a recovery, successful or not."""

CRASH_HANDLED = "handling crash #[0-9]+ in {core}"
"""Last line that it logs when recovery is disabled."""

FIRST_BEAT = "mpbench beat {core} "
"""Line of the watcher about the first heartbeat of a boot, see mpbench.deployment.heartbeat."""

SAMPLED = """
sample() { { read -r who && read -r line; } <$t && set -- $line && boot=$2 beat=$4; }
take() { was=$boot first=$beat name=$who text=$line; }
sample; take
"""
"""Reads the first two lines of the trace buffer $t, without starting a program."""
BEATEN = """
n=0; while [ $n -lt 200 ] && sample; do
  n=$((n+1)); if [ "$boot" != "$was" ]; then take; elif [ "$beat" != "$first" ]; then break; fi
done; printf '%s\\n' "$name" "$text"
"""
"""Waits for the next heartbeat of the same boot, then prints the lines before it. Firmware that runs beats in
fewer than 200 readings."""

RECOVERY_DEADLINE_S = 20.0
"""A recovery takes well below a second, also when the watchdog has to expire first."""


@frozen
class Subject:
    """A core to crash, and the board's parts that show the crash.

    line: name of the core's watchdog in /proc/interrupts
    state, trace: paths of the core's sysfs state and of its trace buffer
    """

    core: str
    line: str
    state: str
    trace: str
    session: Session
    kmsg: KernelLog
    secure: SecureLog
    tracing: CrashTrace


@frozen
class Before:
    """The board before a crash: positions of its logs, samples, content of boot_id or an errno name."""

    subject: Subject
    logs: collect.LogMarks
    artefacts: tuple[Artefact, ...]
    boot: bytes | str


@frozen
class After:
    """The board after a crash: all evidence, content of boot_id or an errno name."""

    evidence: Evidence
    boot: bytes | str


def before(subject: Subject, provoke: str = "") -> Before:
    """Sample what a crash will change; then run the shell command `provoke`, if there is one.

    InfrastructureError if the command fails.
    """
    flag, secure_mark = subject.kmsg.marker(), subject.secure.mark()
    then = f"{flag.command}; {{ {provoke}; }} 2>&1 && echo done" if provoke else flag.command
    _, found, output = subject.session.look([BOOT_ID, INTERRUPTS, subject.trace], then=then)
    if provoke and not output.endswith(b"done\n"):
        answer = output.decode("utf-8", "backslashreplace")
        raise InfrastructureError(f"{subject.core}: the command {provoke!r} failed on the board: {answer!r}")
    artefacts = [
        Artefact(artefact.CORE, subject.core.encode()),
        Artefact(artefact.WATCHDOG_LINE, subject.line.encode()),
    ]
    artefacts += _artefacts(
        {artefact.INTERRUPTS_BEFORE: found[INTERRUPTS], artefact.TRACE_BEFORE: found[subject.trace]}
    )
    logs = collect.LogMarks(subject.kmsg, subject.secure, subject.kmsg.position(flag), secure_mark)
    return Before(subject, logs, tuple(artefacts), found[BOOT_ID])


def after(
    earlier: Before,
    last_line: str = RECOVERY_ENDED,
    deadline_s: float = RECOVERY_DEADLINE_S,
    now_s: Callable[[], float] = time.monotonic,
    *,
    then: str = "",
) -> After:
    """Everything until the kernel has logged `last_line`, and two samples of the firmware's trace.

    The caller decides by the prediction what to wait for; both are patterns with {core} for the core's name:
    last_line: RECOVERY_ENDED, or CRASH_HANDLED if no recovery is predicted
    then: a line that may follow the samples, FIRST_BEAT if a heartbeat is predicted and dated; "" for none
    """
    logs, subject = earlier.logs, earlier.subject
    logs.kmsg.wait_for(_pattern(last_line, subject), logs.kmsg_mark, deadline_s)
    reading = _Reading.at(subject)
    artefacts = [*earlier.artefacts, *collect.trace_samples(reading.trace, now_s)]
    artefacts += _artefacts(
        {artefact.STATE: reading.found[subject.state], artefact.INTERRUPTS_AFTER: reading.found[INTERRUPTS]}
    )
    traced = subject.tracing.complete(reading.recorded)
    artefacts += [] if traced is None else [Artefact(artefact.FTRACE, traced)]
    artefacts.append(Artefact(artefact.KMSG, _log(earlier, reading.flag, then)))
    artefacts += collect.secure_console(logs)
    return After(Evidence(tuple(artefacts)), reading.found[BOOT_ID])


@define
class _Reading:
    """The board right after a crash, in one round trip; one more for each sample of the trace after two.

    Firmware takes a while from its boot to its first heartbeat, so reading other things first costs no time.
    flag: marker line that was written to the kernel log after the latest sample
    """

    subject: Subject
    found: dict[str, bytes | str]
    recorded: bytes
    flag: Any
    _samples: list[bytes | None]

    @classmethod
    def at(cls, subject: Subject) -> "_Reading":
        """Read everything in one round trip."""
        flag, paths = subject.kmsg.marker(), [subject.trace, subject.state, INTERRUPTS, BOOT_ID]
        command = f"t={shlex.quote(subject.trace)}{SAMPLED}{subject.tracing.take_command()}{BEATEN}"
        output, found, _ = subject.session.look(paths, first=command, then=flag.command)
        second = _bytes(found[subject.trace])
        lines = output.split(b"\n")
        first = b"".join(line + b"\n" for line in lines[-3:-1])
        samples: list[bytes | None] = [None] if second is None else [first, second]
        return cls(subject, found, output[: len(output) - len(first)], flag, samples)

    def trace(self) -> bytes | None:
        """Next sample of the trace buffer: this reading's two, then new ones. None if there is no buffer."""
        if not self._samples:
            trace, self.flag = self.subject.trace, self.subject.kmsg.marker()
            _, found, _ = self.subject.session.look([trace], then=self.flag.command)
            self._samples.append(_bytes(found[trace]))
        return self._samples.pop(0)


def _bytes(found: bytes | str) -> bytes | None:
    return found if isinstance(found, bytes) else None


def _log(earlier: Before, flag: Any, then: str) -> bytes:
    """The kernel's log until the latest sample; the line `then` may follow a moment later."""
    kmsg, mark, subject = earlier.subject.kmsg, earlier.logs.kmsg_mark, earlier.subject
    log = kmsg.until(flag, mark)
    if not then or _pattern(then, subject).search(log):
        return log
    kmsg.wait_for(_pattern(then, subject), mark, collect.BEAT_DEADLINE_S)
    return kmsg.since(mark)


def _pattern(text: str, subject: Subject) -> re.Pattern[bytes]:
    return re.compile(text.format(core=re.escape(subject.core)).encode())


def _artefacts(found: Mapping[str, bytes | str]) -> Iterable[Artefact]:
    """Artefacts, by name, of what could be read."""
    return [Artefact(name, data) for name, data in found.items() if isinstance(data, bytes)]
