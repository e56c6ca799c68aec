# SPDX-License-Identifier: MIT
"""A crash as a step: the stages of the bench joined.

    before   = collect.before(subject)       touches the board: samples; then the crash is provoked
    after    = collect.after(before)         touches the board: logs, traces, samples
    observed = parse(evidence)               pure
    step     = compare(predicted, observed)  pure

The prediction steers collect.after() in two arguments: `last_line`, the kernel's line to wait for (that of a
recovery, or of a crash that is not recovered), and `then`, whether a dated heartbeat follows.
"""

import re
import time
from collections.abc import Callable

from attrs import asdict, field, frozen

from mpbench.board.identification import same_boot
from mpbench.board.protocols import KernelLog
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.evidence import DUMP, DUMP_SUMMARY, Artefact, Evidence
from mpbench.core.sanitize import decoded
from mpbench.core.step import Step
from mpbench.recovery import collect, parse, parse_coredump
from mpbench.recovery.facts import DumpFacts, RecoveryFacts, Timeline


@frozen
class Crash(Step):
    """A crash and the recovery from it.

    absent: fields of what the board lacks, a TEE for example: check() does not ask that they are decided
    """

    timeline: Timeline = field(factory=Timeline)
    absent: tuple[str, ...] = ()

    def check(self, *decided: str) -> None:
        """As Step.check(), without what the board lacks."""
        super().check(*(name for name in decided if name not in self.absent))

    @property
    def events(self) -> tuple[tuple[str, int], ...]:
        """Observed events of the timeline, in order: (name, nanoseconds of the board's clock)."""
        observed = [
            (name.removesuffix("_ns"), ns) for name, ns in asdict(self.timeline).items() if ns is not None
        ]
        return tuple(sorted(observed, key=lambda event: event[1]))


def crash(
    subject: collect.Subject,
    core_id: int,
    predicted: RecoveryFacts,
    provoke: Callable[[], object] | str,
    *,
    name: str = "crash",
    dated: bool = False,
    cleared: bool = False,
    absent: tuple[str, ...] = (),
    deadline_s: float = collect.RECOVERY_DEADLINE_S,
    mono_ns: Callable[[], int] = time.monotonic_ns,
) -> Crash:
    """Have `provoke` crash a core, or recover one that crashed. core_id: its number in the TA.

    provoke: a command of the board's shell, which costs no round trip of its own, or a function
    dated: a watcher on the board dates the first heartbeat of every boot
    cleared: the loader clears the core's memory whenever it stops the core
    absent: see Crash
    InvalidRun if the board was reset during the step.
    """
    start_ns = mono_ns()
    before = collect.before(subject, provoke if isinstance(provoke, str) else "")
    if callable(provoke):
        provoke()
    after = collect.after(
        before,
        collect.CRASH_HANDLED if predicted.state == "crashed" else collect.RECOVERY_ENDED,
        deadline_s,
        then=collect.FIRST_BEAT if dated and predicted.beating else "",
    )
    same_boot(_boot(before.boot), _boot(after.boot))
    observed = parse.crash(after.evidence, core_id, cleared=cleared)
    agreed = compare(predicted, observed)
    took_ns = mono_ns() - start_ns
    times = parse.timeline(after.evidence)
    return Crash(name, subject.core, predicted, observed, agreed, after.evidence, took_ns, times, absent)


def _boot(found: bytes | str) -> str:
    if isinstance(found, str):
        raise InfrastructureError(f"the board's boot_id can't be read: {found}")
    return decoded(found).strip()


def dumped(core: str, predicted: DumpFacts, dump: bytes, took_ns: int) -> Step:
    """Compare a core dump with the prediction. BoardFailure if the bytes are no core dump."""
    segments = parse_coredump.segments(dump)
    observed = parse_coredump.facts(segments, predicted)
    summary = parse_coredump.summary(segments, observed).encode()
    evidence = Evidence((Artefact(DUMP_SUMMARY, summary), Artefact(DUMP, dump)))
    return Step("core dump", core, predicted, observed, compare(predicted, observed), evidence, took_ns)


def check_heartbeat(
    sample: Callable[[], tuple[int, int]],
    core: str,
    beats: int,
    *,
    pause_s: float,
    now_s: Callable[[], float] = time.monotonic,
) -> None:
    """Wait for `beats` heartbeats of a firmware within one boot: a single one after a recovery is no proof.

    sample: current (boot, beat). BoardFailure if no beat comes for pause_s, or the firmware boots again.
    """
    boot, first = latest = sample()
    deadline = now_s() + pause_s
    while latest[1] - first < beats:
        before, latest = latest, sample()
        if latest[0] != boot:
            raise BoardFailure(
                f"{core}: the firmware restarted after beat {before[1]} of boot {boot}: now boot {latest[0]}"
            )
        if latest != before:
            deadline = now_s() + pause_s
        elif now_s() > deadline:
            raise BoardFailure(
                f"{core}: the heartbeat stopped at beat {latest[1]} of boot {boot}, "
                f"after {latest[1] - first} of {beats} beats"
            )


def count_crashes(
    log: KernelLog, mark: int, core: str, *, bound: int, disable: Callable[[], object], quiet_s: float
) -> int:
    """Number of crashes of `core` since `mark`, once none has come for quiet_s.

    A recovery storm does not end by itself: after `bound` crashes `disable` is called to end it, and
    BoardFailure raised.
    """
    pattern = re.compile(collect.CRASH_HANDLED.format(core=re.escape(core)).encode())
    count = 0
    while found := log.find(pattern, mark, quiet_s):
        count, mark = count + 1, found.end
        if count >= bound:
            disable()
            raise BoardFailure(
                f"recovery storm: {core} crashed {count} times, the bound is {bound}; recovery disabled"
            )
    return count
