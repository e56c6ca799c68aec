# SPDX-License-Identifier: MIT
"""Random sequences of what happens to runs: all outlets agree, and only the whole plan is green."""

import json
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from attrs import frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine
from mpbench.core.record import LOG
from mpbench.core.verdict import NOT_STARTED, Judgement
from mpbench.harness.run_state import UNIT, RunState
from mpbench.harness.verdicts import PhaseVerdict
from mpbench.lab.unit import UnitRecords, unit_name
from mpbench.plugin.session_end import last_lines
from mpbench.report import publish

GREEN = {Verdict.PASS, Verdict.MARGINAL}
NO_PASS = {Verdict.FAIL, Verdict.ERROR, Verdict.INVALID}
OPEN = {Verdict.INFRA, Verdict.BLOCKED}
TITLE = "job on place"
ENDS = ("regular", "stopped", "killed", "killed in a test", "torn")


@frozen
class Attempt:
    """One process: which of the tests it was given (indices, may repeat), their verdicts, how it ends.

    ran: how many of them start; others: failed tests without a board
    """

    tests: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    ran: int
    end: str
    others: int = 0


VERDICTS = st.sampled_from(
    [Verdict.PASS] * 6 + [v for v in Verdict if v not in (Verdict.PASS, Verdict.INCOMPLETE)]
)
ATTEMPTS = st.builds(
    Attempt,
    tests=st.lists(st.integers(0, 3), max_size=5).map(tuple),
    verdicts=st.lists(VERDICTS, min_size=5, max_size=5).map(tuple),
    ran=st.one_of(st.just(9), st.integers(0, 5)),
    end=st.sampled_from(("regular",) * 5 + ENDS),
    others=st.sampled_from((0, 0, 0, 0, 1)),
)


def item_of(root: Path, number: int) -> Any:
    """What RunState needs of a test of pytest."""
    return SimpleNamespace(nodeid=f"t.py::test_{number}", path=root / "t.py", iter_markers=lambda _name: [])


def execute(attempt: Attempt, root: Path, continues: str | None) -> RunState:
    """Write the record of an attempt as the plug-in does."""
    state = RunState(variables={UNIT: TITLE})
    items = [item_of(root, number) for number in attempt.tests]
    names = tuple(item.nodeid for item in items)
    state.waiting = list(items)
    state.open(root, "target", PlanLine(names, len(names)), continues)
    for item, verdict in zip(items[: attempt.ran], attempt.verdicts, strict=False):
        state.begin(item)
        state.phases = [PhaseVerdict(verdict, "" if verdict is Verdict.PASS else "why")]
        state.end(item)
    if attempt.end == "killed in a test" and state.waiting:
        state.begin(state.waiting[0])
    assert state.record
    if attempt.end in ("killed", "killed in a test", "torn"):
        state.record._log.close()
        if attempt.end == "torn":
            log = state.record.directory / LOG
            log.write_bytes(log.read_bytes() + b'{"v": 5, "kind": "run-e')
        return state
    state.why = "SIGTERM was received" if attempt.end == "stopped" else ""
    state.others_failed = attempt.others
    state.skip_rest(NOT_STARTED)
    state.close()
    return state


def is_green(attempts: list[Attempt]) -> bool:
    """Whether everything that was planned ran and passed; told from the attempts alone."""
    last: dict[int, list[Verdict]] = {}
    planned: dict[int, int] = {}
    ever: dict[int, int] = {}
    seen: list[Verdict] = []
    for attempt in attempts:
        started: dict[int, list[Verdict]] = {}
        pairs = list(zip(attempt.tests, attempt.verdicts, strict=False))[: attempt.ran]
        for number, verdict in pairs:
            started.setdefault(number, []).append(verdict)
        if attempt.end == "killed in a test" and attempt.ran < len(attempt.tests):
            return False
        for number in attempt.tests:
            planned[number] = max(planned.get(number, 0), attempt.tests.count(number))
        for number, verdicts in started.items():
            last[number] = verdicts
            ever[number] = ever.get(number, 0) + len(verdicts)
            seen += verdicts
    ended = attempts[-1].end == "regular"
    whole = all(ever.get(number, 0) >= times for number, times in planned.items())
    clean = not NO_PASS & set(seen) and not any(OPEN & set(verdicts) for verdicts in last.values())
    others = any(a.others for a in attempts if a.end in ("regular", "stopped"))
    executed = bool(GREEN & {v for verdicts in last.values() for v in verdicts})
    return ended and whole and clean and not others and (executed or bool(GREEN & set(seen)))


def outlets(directory: Path) -> dict[str, Any]:
    """Verdict of every file of a report, and of the unit."""
    unit = UnitRecords.read(directory, TITLE)
    page = publish.write_runs(unit.runs, directory / "page")
    summary = json.loads((directory / "page" / publish.SUMMARY).read_text())
    title = (directory / "page" / publish.INDEX).read_text().partition("<title>")[2].partition(":")[0]
    root = ET.parse(directory / "page" / publish.JUNIT).getroot()
    red = any(child.tag in ("failure", "error") for case in root.iter("testcase") for child in case)
    words = {"unit": unit.judgement.verdict.value, "page": page.verdict.value}
    return words | {"summary": summary["verdict"], "title": title, "red": red}


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(ATTEMPTS, min_size=1, max_size=3))
@example([Attempt((0, 0), (Verdict.PASS, Verdict.FAIL), 9, "regular")])
@example([Attempt((0,), (Verdict.PASS,), 9, "regular", others=1)])
@example(
    [
        Attempt((0, 1), (Verdict.INFRA, Verdict.PASS), 9, "regular"),
        Attempt((0,), (Verdict.PASS,), 9, "regular"),
    ]
)
@example([Attempt((0, 1), (Verdict.PASS,), 1, "killed"), Attempt((1,), (Verdict.PASS,), 9, "regular")])
@example([Attempt((), (), 9, "regular")])
def test_all_outlets_agree_and_only_the_whole_plan_is_green(attempts):
    """Duplicates, early ends, interrupts, kills, torn lines, resumes: green only if the whole plan passed."""
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        directory, before = Path(name), None
        for attempt in attempts:
            state = execute(attempt, directory, before)
            before = state.record.run
        found = outlets(directory)
        verdict = Verdict(found["unit"])
        assert found["page"] == found["summary"] == found["title"] == verdict.value
        assert (verdict in GREEN) == is_green(attempts)
        assert found["red"] == (verdict not in GREEN | {Verdict.NOT_RUN})
        if len(attempts) == 1 and attempts[0].end in ("regular", "stopped"):
            assert state.judgement().verdict is verdict
            assert any(line.startswith(f"verdict {verdict.value}: ") for line in last_lines(state))
            assert (state.judgement().exit_code == 0) == (verdict in GREEN)
            assert state.judgement().exit_code == Judgement(verdict).exit_code


NAMES = st.text(st.sampled_from("ab-_./:é\n "), min_size=1, max_size=4).map(lambda text: text * 30)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_two_units_never_share_a_name(one, other):
    """Long, and with characters that are replaced: equal names are of equal jobs and places only."""
    assert (unit_name(*one) == unit_name(*other)) == (one == other)
    assert "/" not in unit_name(*one)
    assert not unit_name(*one).startswith(".")
