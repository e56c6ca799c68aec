# SPDX-License-Identifier: MIT
"""What earlier runs left open, from their records. Pure but for reading them.

A verdict is never asked for again, and neither is a test in which a run was killed: it is INVALID. What the
lab prevented is open (INFRA, BLOCKED), and so is what a run never began.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from mpbench.core.facts import Verdict
from mpbench.core.record import LOG, Run, in_order, read

ENDED = "the run ended before it"
"""Reason of a NOT-RUN whose turn never came."""

OPEN = frozenset({Verdict.INFRA.value, Verdict.BLOCKED.value})


@frozen
class Resumed:
    """What is left of runs.

    settled: ids of tests that are not asked again; open: of those that are
    run:     id of the last run, None without one
    judged:  whether the board had a verdict in any test
    ended:   whether the last run came to its end: else nobody knows what it still meant to test
    """

    settled: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    run: str | None = None
    judged: bool = False
    ended: bool = False


def of_runs(directory: Path) -> Resumed:
    """All runs below a directory, in the order in which one took up another. UsageError: a broken record."""
    return of_records(in_order([read(log.parent) for log in sorted(directory.glob(f"*/{LOG}"))]))


def of_records(runs: Iterable[Run]) -> Resumed:
    """The last word on every test."""
    state: dict[str, bool] = {}
    last, judged, ended = None, False, False
    for run in runs:
        ended = False
        for line in run.lines:
            last = str(line["run"])
            if line["kind"] == "test-start":
                state[str(line["test"])] = True
            elif line["kind"] == "test-end":
                state[str(line["test"])] = not _is_open(line)
                judged = judged or line["verdict"] in _JUDGED
            ended = ended or line["kind"] == "run-end"
    settled = frozenset(name for name, done in state.items() if done)
    return Resumed(settled, frozenset(state) - settled, last, judged, ended)


_JUDGED = frozenset(v.value for v in (Verdict.PASS, Verdict.FAIL, Verdict.MARGINAL))


def _is_open(end: Mapping[str, Any]) -> bool:
    never_begun = end["verdict"] == Verdict.NOT_RUN.value and end["reason"] == ENDED
    return end["verdict"] in OPEN or never_begun
