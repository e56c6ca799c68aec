# SPDX-License-Identifier: MIT
"""Which tests earlier runs left open, from their records. Pure but for reading them.

A test with a verdict is not run again, nor is a test in which a run was killed: it is INVALID. Tests that the
lab prevented (INFRA, BLOCKED) and tests that never started are open.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict, overall
from mpbench.core.files import os_errors
from mpbench.core.record import LOG, Run, in_order, read
from mpbench.core.verdict import outcome


@frozen
class Resumed:
    """State of the tests after some runs.

    settled: ids of tests that are not run again; open: of those that are; verdicts: of those that ended
    run:     id of the last run, None without one
    judged:  whether any test gave a verdict on the board
    ended:   whether the last run ended regularly; if not, the tests it had still to run are unknown
    boards:  ids of the boards of the runs
    tested:  what was tested, and with what, by name, where a test gave a verdict
    reason:  first line of the last run's first reason for a test without a PASS, "" for none
    """

    settled: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    run: str | None = None
    judged: bool = False
    ended: bool = False
    reason: str = ""
    boards: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = field(factory=dict)
    tested: Mapping[str, str] = field(factory=dict)

    def check_same(self, entries: Mapping[str, str], board: str | None = None) -> None:
        """UsageError if board or bench, or something of what is tested, is not what the runs had."""
        if board and self.boards and board not in self.boards:
            was = ", ".join(self.boards)
            raise UsageError(f"this is board {board}, and the run that is continued was on {was}: start anew")
        for name in entries.keys() & self.tested.keys():
            if entries[name] != self.tested[name]:
                was = f"the run that is continued had {self.tested[name]}"
                raise UsageError(f"{name} is {entries[name]}, and {was}: start anew")

    @property
    def unusable(self) -> bool:
        """Whether the board prevented every verdict: there was a run, no test was judged, some are open."""
        return self.run is not None and not self.judged and bool(self.open)


def of_runs(directory: Path, target: str = "", unit: str = "") -> Resumed:
    """State after a run and those that it continues, or after all runs below a directory, if they are that.

    target, unit: of the run that resumes them. UsageError: a broken record, one of another target or unit, or
    several runs of which none continues the other: what passed on one board, or long ago, is not settled.
    """
    with os_errors(f"cannot read {directory}", UsageError):
        alone = os.path.lexists(directory / LOG)
        runs = _chain(read(directory)) if alone else [read(log.parent) for log in _logs(directory)]
    started = [(run, run.start) for run in runs if run.start]
    ids = {run.id for run, _ in started}
    for run, start in started:
        if target and start.target != target:
            raise UsageError(
                f"{run.directory} is a run of target {start.target!r}, this is one of {target!r}"
            )
        if unit and start.unit != unit:
            raise UsageError(f"{run.directory} is a run of unit {start.unit!r}, this is one of {unit!r}")
    if (first := sum(start.continues not in ids for _, start in started)) > 1:
        raise UsageError(f"{directory} has {first} runs that continue no other: give the directory of one")
    return of_records(in_order(runs))


def _logs(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*/{LOG}"))


def _chain(last: Run) -> list[Run]:
    """A run, after those beside it that it continues."""
    beside: dict[str, Run] = {}
    for log in _logs(last.directory.absolute().parent):
        with contextlib.suppress(UsageError):  # broken, and of no concern unless it is continued
            run = read(log.parent)
            beside[run.id] = run
    beside.pop(last.id, None)
    found = [last]
    while (start := found[0].start) and start.continues and (before := beside.pop(start.continues, None)):
        found.insert(0, before)
    return found


def of_records(runs: Iterable[Run]) -> Resumed:
    """State after `runs`; the last result of a test counts."""
    state: dict[str, bool] = {}
    verdicts: dict[str, Verdict] = {}
    boards: dict[str, None] = {}
    tested: dict[str, str] = {}
    last: str | None = None
    judged, ended, reason = False, False, ""
    for run in runs:
        last, ended, reason = run.id or last, run.ended, ""
        found = outcome(run)
        judged = judged or found.judged
        tested |= found.tested if found.judged else {}
        state |= dict.fromkeys((name for name in found.planned or () if name not in state), False)
        boards |= dict.fromkeys(filter(None, [found.board]))
        open_now = {execution.test for execution in found.executions if execution.is_open}
        for execution in found.executions:
            state[execution.test] = execution.test not in open_now
            if not execution.is_open:
                before = verdicts.get(execution.test, execution.verdict)
                verdicts[execution.test] = overall([before, execution.verdict])
            reason = reason or execution.reason.partition("\n")[0]
    settled = frozenset(name for name, done in state.items() if done)
    left = frozenset(state) - settled
    return Resumed(settled, left, last, judged, ended, reason, tuple(boards), verdicts, tested)
