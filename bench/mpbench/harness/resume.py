# SPDX-License-Identifier: MIT
"""Which tests earlier runs left open, from their records. Pure but for reading them.

A test with a verdict is not run again, nor is a test in which a run was killed: it is INVALID. Tests that the
lab prevented (INFRA, BLOCKED) and tests that never started are open.
"""

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from mpbench.core.facts import Verdict
from mpbench.core.lines import TestEnd, TestLine, TestStart
from mpbench.core.record import LOG, Run, in_order, read

ENDED = "not started: the run was stopped"
"""Reason of the NOT-RUN of a test that never started."""

OPEN = frozenset({Verdict.INFRA, Verdict.BLOCKED})
JUDGED = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.MARGINAL})


@frozen
class Resumed:
    """State of the tests after some runs.

    settled: ids of tests that are not run again; open: of those that are
    run:     id of the last run, None without one
    judged:  whether any test gave a verdict on the board
    ended:   whether the last run ended regularly; if not, the tests it had still to run are unknown
    reason:  first line of the last run's first reason for a test without a PASS, "" for none
    """

    settled: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    run: str | None = None
    judged: bool = False
    ended: bool = False
    reason: str = ""

    @property
    def unusable(self) -> bool:
        """Whether the board prevented every verdict: there was a run, no test was judged, some are open."""
        return self.run is not None and not self.judged and bool(self.open)


def of_runs(directory: Path) -> Resumed:
    """State after all runs below a directory, each after the one it resumed. UsageError: a broken record."""
    return of_records(in_order([read(log.parent) for log in sorted(directory.glob(f"*/{LOG}"))]))


def of_records(runs: Iterable[Run]) -> Resumed:
    """State after `runs`; the last result of a test counts."""
    state: dict[str, bool] = {}
    last: str | None = None
    judged, ended, reason = False, False, ""
    for run in runs:
        last, ended, reason = run.id or last, run.ended, ""
        for line in run.of(TestLine):
            if isinstance(line, TestStart):
                state[line.test] = True
            elif isinstance(line, TestEnd):
                never_started = line.verdict is Verdict.NOT_RUN and line.reason == ENDED
                state[line.test] = line.verdict not in OPEN and not never_started
                judged = judged or line.verdict in JUDGED
                reason = reason or line.reason.partition("\n")[0]
    settled = frozenset(name for name, done in state.items() if done)
    return Resumed(settled, frozenset(state) - settled, last, judged, ended, reason)
