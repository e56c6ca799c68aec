# SPDX-License-Identifier: MIT
"""A crash as a step: provoke, gather, observe, compare with what was predicted."""

import re
import time
from collections.abc import Callable

from attrs import asdict, field, frozen

import mpbench.recovery.parse as seen
import mpbench.recovery.parse_coredump as see_dump
from mpbench.board.identification import same_boot
from mpbench.board.protocols import KernelLog
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.evidence import DUMP, DUMP_SUMMARY, Artefact, Evidence
from mpbench.core.step import Step
from mpbench.recovery import collect
from mpbench.recovery.facts import DumpFacts, RecoveryFacts, Timeline


@frozen
class Crash(Step):
    """A crash and what became of it."""

    timeline: Timeline = field(factory=Timeline)

    @property
    def events(self) -> tuple[tuple[str, int], ...]:
        """What was observed of the timeline, in order."""
        seen = [
            (name.removesuffix("_ns"), ns) for name, ns in asdict(self.timeline).items() if ns is not None
        ]
        return tuple(sorted(seen, key=lambda event: event[1]))


def crash(
    subject: collect.Subject,
    core_id: int,
    predicted: RecoveryFacts,
    provoke: Callable[[], object] | str,
    *,
    name: str = "crash",
    dated: bool = False,
    deadline_s: float = collect.END_DEADLINE_S,
    mono_ns: Callable[[], int] = time.monotonic_ns,
) -> Crash:
    """Have `provoke` crash a core, or recover one that crashed. core_id: its number in the TA.

    provoke: a command of the board's shell, which costs no round trip of its own, or something to do
    dated: a watcher on the board dates the first beat of every life
    InvalidRun if the board was reset meanwhile: then nobody knows what was seen.
    """
    begin = mono_ns()
    begun = collect.before(subject, provoke if isinstance(provoke, str) else "")
    if callable(provoke):
        provoke()
    ends = collect.STAYS if predicted.state == "crashed" else collect.ENDS
    last = collect.BEAT if dated and predicted.beating else ""
    found = collect.after(begun, ends, deadline_s, last=last)
    same_boot(_boot(begun.boot), _boot(found.boot))
    evidence = found.evidence
    observed = seen.crash(evidence, core_id)
    agreed = compare(predicted, observed)
    took_ns = mono_ns() - begin
    times = seen.timeline(evidence)
    return Crash(name, subject.core, predicted, observed, agreed, evidence, took_ns, times)


def _boot(found: bytes | str) -> str:
    if isinstance(found, str):
        raise InfrastructureError(f"the board's boot_id can't be read: {found}")
    return found.decode("ascii", "backslashreplace").strip()


def dumped(core: str, predicted: DumpFacts, dump: bytes, took_ns: int) -> Step:
    """Compare a core dump with what was predicted. BoardFailure if it is none."""
    found = see_dump.segments(dump)
    observed = see_dump.facts(found, predicted)
    words = see_dump.summary(found, observed).encode()
    evidence = Evidence((Artefact(DUMP_SUMMARY, words), Artefact(DUMP, dump)))
    return Step("core dump", core, predicted, observed, compare(predicted, observed), evidence, took_ns)


def lives_on(
    life: Callable[[], tuple[int, int]],
    core: str,
    beats: int,
    *,
    still_s: float,
    now_s: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the heart of a firmware has beaten so often in one life.

    life: gives its number and its beat by now. BoardFailure if the heart stands still for still_s before, or
    another life begins: one beat after a recovery is no proof that the firmware lives.
    """
    number, begin = latest = life()
    deadline = now_s() + still_s
    while latest[1] - begin < beats:
        before, latest = latest, life()
        if latest[0] != number:
            raise BoardFailure(
                f"{core}: life {number} ended after beat {before[1]}: this is life {latest[0]}"
            )
        if latest != before:
            deadline = now_s() + still_s
        elif now_s() > deadline:
            raise BoardFailure(
                f"{core}: its heart stopped at beat {latest[1]} of life {number}, "
                f"{beats - latest[1] + begin} before the {beats} that were waited for"
            )


def calm(
    log: KernelLog, mark: int, core: str, *, bound: int, disable: Callable[[], object], quiet_s: float
) -> int:
    """How often `core` crashed since `mark`, once it has not crashed for quiet_s.

    A recovery storm has no end of its own: after `bound` crashes `disable` is called, to end it, and
    BoardFailure says so.
    """
    pattern = re.compile(collect.STAYS.format(core=re.escape(core)).encode())
    count = 0
    while found := log.find(pattern, mark, quiet_s):
        count, mark = count + 1, found.end
        if count >= bound:
            disable()
            raise BoardFailure(
                f"recovery storm: {core} crashed {count} times, the bound is {bound}; recovery disabled"
            )
    return count
