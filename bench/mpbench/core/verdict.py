# SPDX-License-Identifier: MIT
"""The one definition of a verdict of a run, a unit, a night, a page, for all that print, export or sign it.

    execution   a test that was started, once; a test that is in a session twice has two
    run         one pytest, with its plan (what was selected) and its end (what ran, why it ended)
    unit        a run and those that continue it: one job on one place of a night
    night, page several units

Green means that everything that was planned has run and passed. A test that skips itself with a reason does
not apply: it is NOT-RUN, and decides nothing. Whatever else is missing makes the result INCOMPLETE. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from attrs import field, frozen

from mpbench.core.facts import Verdict, overall
from mpbench.core.lines import PlanLine, RunEnd, TestEnd, TestLine, TestStart
from mpbench.core.provenance import FIRMWARE
from mpbench.core.record import Run

NOT_STARTED = "not started: the run was stopped"
"""Reason of the NOT-RUN of a planned test that never started."""
KILLED = "aborted: the run was killed in this test, there is no verdict"
"""Reason of the INVALID of a test that has no end."""
NO_END = "the run did not end: it was killed, or it is still running"
NO_PLAN = "the record does not say which tests were planned"

OPEN = frozenset({Verdict.INFRA, Verdict.BLOCKED})
"""Verdicts of tests that the lab prevented: a run that continues this one repeats them."""
EVIDENCE = frozenset({Verdict.PASS, Verdict.MARGINAL, Verdict.FAIL})
"""Verdicts on the board: a test with one is evidence for its requirements."""

TESTED = frozenset({"tests", "tf-a", "op-tee", "u-boot", "kernel"})
"""Names of the provenance that must not change between runs of a unit, beside bench and firmware."""

_CODES: Mapping[Verdict, int] = {
    Verdict.PASS: 0,
    Verdict.MARGINAL: 0,
    Verdict.FAIL: 1,
    Verdict.ERROR: 1,
    Verdict.NOT_RUN: 5,
}


@frozen
class Execution:
    """A test that was started once, or was to be."""

    test: str
    verdict: Verdict
    reason: str = ""

    @property
    def started(self) -> bool:
        """False for a planned test that the end of the run prevented."""
        return self.verdict is not Verdict.NOT_RUN or self.reason != NOT_STARTED

    @property
    def is_open(self) -> bool:
        """Whether a run that continues this one repeats the test."""
        return self.verdict in OPEN or not self.started


@frozen
class RunOutcome:
    """What is needed of a run for its verdict.

    planned: ids of the selected tests, as often as they were selected; None: unknown
    old:     the record is older than plans
    ended:   the run came to its end; why: cause of an early one, "" for none
    others:  failed tests of the same session that use no board
    cases:   of how many test cases the planned ones were selected; 0: unknown
    settled: those of them that the continued run had settled
    earlier: verdicts that they have there; board: id of the board, "" for unknown
    tested:  what was tested, and with what, by name, as far as it is known
    """

    planned: tuple[str, ...] | None
    executions: tuple[Execution, ...]
    ended: bool = True
    why: str = ""
    others: int = 0
    old: bool = False
    cases: int = 0
    settled: int = 0
    earlier: tuple[Verdict, ...] = ()
    board: str = ""
    tested: Mapping[str, str] = field(factory=dict)

    @property
    def judged(self) -> bool:
        """Whether any test gave a verdict on the board."""
        return any(e.verdict in EVIDENCE for e in self.executions)

    @property
    def not_again(self) -> str:
        """What this run did not repeat, and what became of it, "" for nothing."""
        found = ", ".join(v.value for v in Verdict if v in self.earlier)
        many = f"{self.settled} test case{'s' * (self.settled > 1)}"
        return f"not run again: {many} of the run that this one continues, with {found} there" * bool(found)


@frozen
class Judgement:
    """A verdict, and a line for everything that makes it INCOMPLETE."""

    verdict: Verdict
    causes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail or a mistake in a test, 3 no verdict, 5 nothing executed."""
        return _CODES.get(self.verdict, 3)


def outcome(run: Run) -> RunOutcome:
    """The outcome in a record."""
    plan, end = run.plan, next(run.of(RunEnd), None)
    return RunOutcome(
        planned=plan.tests if plan else None,
        executions=tuple(execution(lines) for lines in by_execution(run)),
        ended=run.ended,
        why=end.why if end else "",
        others=end.others_failed if end else 0,
        old=bool(run.lines) and run.lines[0].head.v < PlanLine.SINCE,
        cases=plan.cases if plan else 0,
        settled=plan.settled if plan else 0,
        earlier=plan.earlier if plan else (),
        board=next((line.head.board for line in reversed(run.lines) if line.head.board), ""),
        tested=_tested(run),
    )


def _tested(run: Run) -> dict[str, str]:
    found = {n: text for n, text in run.provenance.items() if n in TESTED or n.startswith(FIRMWARE)}
    return found | ({"bench": run.start.bench} if run.start else {})


def by_execution(run: Run) -> list[list[TestLine]]:
    """The lines of each execution, in the order in which they started."""
    found: list[list[TestLine]] = []
    latest: dict[str, list[TestLine]] = {}
    for line in run.of(TestLine):
        lines = latest.get(line.test)
        if lines is None or isinstance(line, TestStart) or isinstance(lines[-1], TestEnd):
            lines = latest[line.test] = []
            found.append(lines)
        lines.append(line)
    return found


def execution(lines: Sequence[TestLine]) -> Execution:
    """The execution that has these lines."""
    end = lines[-1]
    if isinstance(end, TestEnd):
        return Execution(end.test, end.verdict, end.reason)
    return Execution(end.test, Verdict.INVALID, KILLED)


def counting(runs: Sequence[RunOutcome]) -> list[list[bool]]:
    """For each execution of a unit's runs whether it counts.

    A later run supersedes those that are open. One that never started counts as far as its test is missing.
    """
    again, left = set[str](), missing(runs)
    found = []
    for run in reversed(runs):
        found.append(
            [not (e.is_open and e.test in again) and (e.started or left[e.test] > 0) for e in run.executions]
        )
        again |= {e.test for e in run.executions if e.started}
    return found[::-1]


def of_unit(runs: Sequence[RunOutcome]) -> Judgement:
    """Verdict of a run, or of several of which each continues the one before."""
    pairs = zip((e for run in runs for e in run.executions), chain(*counting(runs)), strict=True)
    counted = [e for e, counts in pairs if counts]
    causes = tuple(_causes(runs))
    verdicts = [e.verdict for e in counted if e.started]
    verdicts += [v for run in runs for v in run.earlier]
    failed = [Verdict.FAIL] * any(run.others for run in runs)
    return Judgement(overall([*verdicts, *failed, *[Verdict.INCOMPLETE] * bool(causes)]), causes)


def _causes(runs: Sequence[RunOutcome]) -> Iterator[str]:
    """What is missing in a unit. What an earlier run left open is in the plan of the whole."""
    if not runs:
        yield "nothing was run"
        return
    if not runs[-1].ended:
        yield NO_END
    elif runs[-1].why:
        yield f"the run ended early: {runs[-1].why}"
    if any(run.planned is None and not run.old for run in runs if run.executions or run is runs[-1]):
        yield NO_PLAN
    boards = dict.fromkeys(run.board for run in runs if run.board)
    if len(boards) > 1:
        yield f"its runs were on different boards: {', '.join(boards)}"
    judged = [run.tested for run in runs if run.judged]
    for name in dict.fromkeys(chain(*judged)):
        if len(texts := dict.fromkeys(tested[name] for tested in judged if name in tested)) > 1:
            yield f"{name} differs between its runs: {', '.join(texts)}; run all of it again"
    planned = planned_tests(runs)
    if left := missing(runs):
        yield f"{left.total()} of {planned.total()} planned tests did not run"


def planned_tests(runs: Iterable[RunOutcome]) -> Counter[str]:
    """How often each test of a unit was planned: a run that continues another repeats what it left open."""
    found: Counter[str] = Counter()
    for run in runs:
        found |= Counter(run.planned or ())
    return found


def missing(runs: Iterable[RunOutcome]) -> Counter[str]:
    """Tests of a unit that were planned and never started."""
    known = list(runs)
    never = Counter(e.test for run in known for e in run.executions if not e.started)
    started = Counter(e.test for run in known for e in run.executions if e.started)
    return (planned_tests(known) | never) - started


@frozen
class Selection:
    """How many test cases were selected, of how many."""

    selected: int
    cases: int

    @property
    def partial(self) -> bool:
        """Whether some were left out."""
        return self.selected < self.cases

    def __str__(self) -> str:
        return f"{self.selected} of {self.cases} test cases were selected"


def selection(runs: Iterable[RunOutcome]) -> Selection | None:
    """What the runs of a unit selected together; None if a record does not say it."""
    known = [run for run in runs if run.planned is not None]
    if not known:
        return None
    selected = max(len(set(run.planned or ())) + run.settled for run in known)
    return Selection(selected, max(selected, *(run.cases for run in known)))


def of_several(units: Iterable[Judgement], causes: Iterable[str] = ()) -> Judgement:
    """Verdict of a night or a page: the worst; a unit in which no test was executed leaves it INCOMPLETE.

    causes: what else of the plan did not run
    """
    found = list(units)
    verdicts = [unit.verdict for unit in found]
    all_causes = [*causes, *(cause for unit in found for cause in unit.causes)]
    idle = verdicts.count(Verdict.NOT_RUN)
    if 0 < idle < len(verdicts):
        all_causes.append(f"no test was executed in {idle} of {len(verdicts)} runs")
    return Judgement(overall([*verdicts, *[Verdict.INCOMPLETE] * bool(all_causes)]), tuple(all_causes))
