# SPDX-License-Identifier: MIT
"""The verdict of runs, units, nights and pages: green is what was planned, ran and passed, nothing else."""

from pathlib import Path

import pytest

from mpbench.core.facts import Verdict
from mpbench.core.record import read
from mpbench.core.verdict import (
    NO_END,
    NO_PLAN,
    NOT_STARTED,
    Execution,
    Judgement,
    RunOutcome,
    Selection,
    of_several,
    of_unit,
    outcome,
    selection,
)
from mpbench.report.summarize import summarize

CAPTURES = Path(__file__).parents[1] / "captures"
SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


NEVER = Execution("a", Verdict.NOT_RUN, NOT_STARTED)


def ran(*tests: str, planned: tuple[str, ...] | None = None, **more) -> RunOutcome:
    """A run of tests "NAME VERDICT"; planned: those, if not given."""
    executions = tuple(Execution(name, Verdict(word)) for name, word in (test.split() for test in tests))
    names = tuple(e.test for e in executions)
    return RunOutcome(names if planned is None else planned, executions, **more)


@pytest.mark.parametrize(
    ("runs", "verdict", "causes"),
    [
        ([ran("a PASS", "b PASS")], "PASS", ()),
        ([ran("a PASS", "b MARGINAL")], "MARGINAL", ()),
        ([ran("a PASS", "b NOT-RUN")], "PASS", ()),
        ([ran("a NOT-RUN")], "NOT-RUN", ()),
        ([ran()], "NOT-RUN", ()),
        ([], "INCOMPLETE", ("nothing was run",)),
        ([ran("a PASS", planned=("a", "b"))], "INCOMPLETE", ("1 of 2 planned tests did not run",)),
        ([ran("a PASS", planned=("a", "a"))], "INCOMPLETE", ("1 of 2 planned tests did not run",)),
        ([ran("a PASS", "a FAIL", planned=("a", "a"))], "FAIL", ()),
        ([ran("a FAIL", "a PASS", planned=("a",))], "FAIL", ()),
        ([ran("a PASS", ended=False)], "INCOMPLETE", (NO_END,)),
        ([ran("a PASS", why="SIGHUP")], "INCOMPLETE", ("the run ended early: SIGHUP",)),
        ([ran("a FAIL", why="stopping after 1")], "FAIL", ("the run ended early: stopping after 1",)),
        ([ran("a PASS", others=1)], "FAIL", ()),
        ([RunOutcome(None, (Execution("a", Verdict.PASS),))], "INCOMPLETE", (NO_PLAN,)),
        ([RunOutcome(None, (Execution("a", Verdict.PASS),), old=True)], "PASS", ()),
        ([RunOutcome(None, (), ended=False), ran("a PASS")], "PASS", ()),
        ([ran("b PASS", settled=1, earlier=(Verdict.FAIL,))], "FAIL", ()),
        ([ran("b PASS", settled=1, earlier=(Verdict.PASS, Verdict.NOT_RUN))], "PASS", ()),
        (
            [ran("a PASS", "b INFRA", board="1"), ran("b PASS", board="2")],
            "INCOMPLETE",
            ("its runs were on different boards: 1, 2",),
        ),
        ([ran("a PASS", "b INFRA", board="1"), ran("b INFRA"), ran("b PASS", board="1")], "PASS", ()),
        (
            [ran("a PASS", "b INFRA", tested={"kernel": "1"}), ran("b PASS", tested={"kernel": "2"})],
            "INCOMPLETE",
            ("kernel differs between its runs: 1, 2; run all of it again",),
        ),
        (
            [ran("a FAIL", "b INFRA", tested={"bench": "7"}), ran("b PASS", tested={"bench": "8"})],
            "FAIL",
            ("bench differs between its runs: 7, 8; run all of it again",),
        ),
        ([ran("a INFRA", tested={"kernel": "1"}), ran("a PASS", tested={"kernel": "2"})], "PASS", ()),
        ([ran("a PASS", "b INFRA", tested={"tf-a": "1"}), ran("b PASS", tested={"u-boot": "2"})], "PASS", ()),
        ([ran("a INFRA", "b BLOCKED"), ran("a PASS", "b PASS")], "PASS", ()),
        ([ran("a FAIL"), ran("a PASS")], "FAIL", ()),
        ([ran("a INVALID"), ran("a PASS")], "INVALID", ()),
        ([ran("a INFRA", "b PASS"), RunOutcome(("a",), (NEVER,))], "INFRA", ()),
        ([ran("a PASS", planned=("a", "b"), ended=False), ran("b PASS")], "PASS", ()),
        ([ran("a PASS", planned=("a", "b", "c"), ended=False), ran("b PASS")], "INCOMPLETE",
         ("1 of 3 planned tests did not run",)),
        ([ran("a INFRA", "b PASS"), ran("a PASS", ended=False)], "INCOMPLETE", (NO_END,)),
    ],
)  # fmt: skip
def test_what_was_planned_ran_and_passed_is_green(runs, verdict, causes):
    """Every execution counts; a run that continues another supersedes only what the lab prevented there."""
    assert of_unit(runs) == Judgement(Verdict(verdict), causes)


def test_a_planned_test_that_never_started_did_not_run():
    """It is recorded as NOT-RUN with a reason of its own, unlike a test that skipped itself."""
    never = Execution("b", Verdict.NOT_RUN, NOT_STARTED)
    found = of_unit([RunOutcome(("a", "b"), (Execution("a", Verdict.PASS), never))])
    assert found == Judgement(Verdict.INCOMPLETE, ("1 of 2 planned tests did not run",))
    assert of_unit([RunOutcome((), (never,), old=True)]).verdict is Verdict.INCOMPLETE
    skipped = Execution("b", Verdict.NOT_RUN, "this board has no RTC")
    assert of_unit([RunOutcome(("a", "b"), (Execution("a", Verdict.PASS), skipped))]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("units", "causes", "expected"),
    [
        (["PASS", "PASS"], (), Judgement(Verdict.PASS)),
        (["PASS", "FAIL"], (), Judgement(Verdict.FAIL)),
        (["PASS"], ("job on p: in quarantine",), Judgement(Verdict.INCOMPLETE, ("job on p: in quarantine",))),
        (["NOT-RUN"], (), Judgement(Verdict.NOT_RUN)),
        (["PASS", "NOT-RUN"], (),
         Judgement(Verdict.INCOMPLETE, ("no test was executed in 1 of 2 runs",))),
        ([], (), Judgement(Verdict.NOT_RUN)),
    ],
)  # fmt: skip
def test_a_night_is_green_only_if_every_unit_ran(units, causes, expected):
    """The worst unit decides; one in which nothing was executed is no pass, nor is a job without a place."""
    assert of_several((Judgement(Verdict(word)) for word in units), causes) == expected


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("PASS", 0), ("MARGINAL", 0), ("FAIL", 1), ("ERROR", 1), ("INFRA", 3), ("INVALID", 3),
     ("INCOMPLETE", 3), ("BLOCKED", 3), ("NOT-RUN", 5)],
)  # fmt: skip
def test_a_verdict_has_its_exit_code(verdict, code):
    """0 pass, 1 fail or a mistake in a test, 3 no verdict, 5 nothing executed."""
    assert Judgement(Verdict(verdict)).exit_code == code


def test_a_selection_is_of_all_cases():
    """Tests that the continued run settled were selected too; a record without a plan says nothing."""
    first = ran("a INFRA", "b PASS", planned=("a", "b"), cases=9)
    assert selection([first]) == Selection(2, 9)
    assert selection([ran("a PASS", cases=9, settled=1)]) == Selection(2, 9)
    assert str(Selection(2, 9)) == "2 of 9 test cases were selected"
    assert (Selection(2, 9).partial, Selection(9, 9).partial) == (True, False)
    assert selection([RunOutcome(None, ())]) is None


@pytest.mark.parametrize(
    ("directory", "verdict"),
    [(CAPTURES / "record-v2", "INVALID"), (CAPTURES / "record-v3", "INVALID"), (SAMPLE, "FAIL")],
)
def test_an_older_record_has_an_unknown_plan(directory, verdict):
    """Its verdict is that of its tests, and the page says that nobody knows what was selected."""
    run = read(directory)
    assert outcome(run).planned is None
    page = summarize([run])
    assert (page.verdict, page.causes, page.selections) == (Verdict(verdict), (), ())
    assert page.runs[0].notes == (
        "plan unknown: this record is older than plans, and does not say which tests were selected",
    )
