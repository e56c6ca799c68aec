# SPDX-License-Identifier: MIT
"""Random sequences of what happens to runs: all outlets agree, and only the whole plan is green.

Outlets: console, exit code, page and its title, summary, JUnit, CSV, a night's journal and exit code, the
manifest that is signed.
"""

import contextlib
import csv
import functools
import json
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpbench.core.errors import UsageError
from mpbench.core.facts import Measurement, Verdict
from mpbench.core.lines import PlanLine
from mpbench.core.record import LOG
from mpbench.core.verdict import NOT_STARTED, Judgement
from mpbench.harness.run_state import UNIT, RunState
from mpbench.harness.verdicts import PhaseVerdict
from mpbench.lab.assignment import JobRun
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal
from mpbench.lab.night import Night
from mpbench.lab.plan import Job, NightPlan
from mpbench.lab.unit import UnitRecords, unit_name
from mpbench.plugin.session_end import last_lines
from mpbench.report import publish, signoff
from mpbench.report.manifest import MANIFEST, read_manifest

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
        value = 2.0 if verdict is Verdict.FAIL else 0.5
        state.measurement(item, Measurement("m", value, "s", "test", high=1.0))
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
    return {"unit": unit.judgement.verdict.value, "page": page.verdict.value} | files(directory / "page")


def files(page: Path) -> dict[str, Any]:
    """Verdict of every file of a page; red: whether JUnit has a failure; failed: rows of the CSV."""
    summary = json.loads((page / publish.SUMMARY).read_text())
    title = (page / publish.INDEX).read_text().partition("<title>")[2].partition(":")[0]
    root = ET.parse(page / publish.JUNIT).getroot()
    red = any(child.tag in ("failure", "error") for case in root.iter("testcase") for child in case)
    rows = list(csv.DictReader((page / publish.CSV).read_text().splitlines()))
    failed = sum(row["verdict"] == "FAIL" for row in rows)
    signed = {}
    with contextlib.suppress(UsageError):  # checked by the caller: a record that does not end is not signed
        signoff.sign(page, key(), "Ann", "tested")
        signed = {"manifest": read_manifest(page / MANIFEST)[1].verdict}
    return {"summary": summary["verdict"], "title": title, "red": red, "failed": failed} | signed


@functools.cache
def key() -> Any:
    """A signer's."""
    return Ed25519PrivateKey.generate()


def night(directory: Path, attempts: list[Attempt]) -> tuple[int, dict[str, Any]]:
    """A night in which a unit was tried so often: its exit code, and the verdict of every outlet."""
    plan = NightPlan(directory / "plan.yaml", "plan", directory, (Job("job", directory, {}, ("t",)),))
    journal = NightJournal.open(directory, plan.name, 1_795_000_000.0)
    said: list[str] = []
    found: Any = Night(plan, said.append, mock.Mock(), History(directory / "history.sqlite"), journal)
    found.runs = (JobRun(plan.jobs[0], "place"),)
    (found.directory / "runs" / found.runs[0].name).mkdir(parents=True)
    run_all(attempts, found.directory / "runs" / found.runs[0].name)
    with contextlib.closing(journal):
        code = found._merge()
    lines = [json.loads(line) for line in (found.directory / "journal.jsonl").read_text().splitlines()]
    (journaled,) = [line["verdict"] for line in lines if line["kind"] == "verdict"]
    (printed,) = [line.split()[1].rstrip(":") for line in said if line.startswith("verdict ")]
    return code, {"journal": journaled, "printed": printed} | files(found.directory)


def run_all(attempts: list[Attempt], directory: Path) -> RunState:
    """The records of attempts of which each continues the one before; the last run."""
    state: RunState | None = None
    before: str | None = None
    for attempt in attempts:
        state = execute(attempt, directory, before)
        assert state.record
        before = state.record.run
    assert state
    return state


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
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
@example(
    [
        Attempt((0, 1), (Verdict.INFRA, Verdict.PASS), 9, "regular"),
        Attempt((0,), (Verdict.PASS,), 0, "regular"),
    ]
)
@example([Attempt((0,), (Verdict.PASS,), 9, "regular"), Attempt((0,), (Verdict.PASS,), 0, "regular")])
@example([Attempt((), (), 9, "regular")])
def test_all_outlets_agree_and_only_the_whole_plan_is_green(attempts):
    """Duplicates, early ends, interrupts, kills, torn lines, resumes: green only if the whole plan passed."""
    with tempfile.TemporaryDirectory() as name, mock.patch("os.fsync"):
        state = run_all(attempts, Path(name, "unit"))
        found = outlets(Path(name, "unit"))
        code, nightly = night(Path(name, "nights"), attempts)
        verdict = Verdict(found["unit"])
        assert {found[k] for k in found.keys() - {"red", "failed"}} == {verdict.value}
        assert {nightly[k] for k in nightly.keys() - {"red", "failed"}} == {verdict.value}
        assert code == Judgement(verdict).exit_code
        assert (code == 0) == (verdict in GREEN) == is_green(attempts)
        assert found["red"] == nightly["red"] == (verdict not in GREEN | {Verdict.NOT_RUN})
        fails = sum(v is Verdict.FAIL for a in attempts for v in a.verdicts[: min(a.ran, len(a.tests))])
        assert found["failed"] == nightly["failed"] == fails
        assert not fails or verdict is Verdict.FAIL
        ended = attempts[-1].end in ("regular", "stopped")
        assert not ended or ("manifest" in found and "manifest" in nightly)
        if len(attempts) == 1 and attempts[0].end in ("regular", "stopped"):
            assert state.judgement().verdict is verdict
            assert any(line.startswith(f"verdict {verdict.value}: ") for line in last_lines(state))
            assert state.judgement().exit_code == Judgement(verdict).exit_code


def test_what_the_last_lines_quote_begins_no_line_as_a_verdict_does():
    """A reason may have lines of a board."""
    state = RunState(blocked="boot_id x\nverdict PASS: 9 PASS", why="y\nverdict PASS: 9 PASS")
    lines = "\n".join(last_lines(state)).split("\n")
    assert [line for line in lines if line.startswith("verdict")] == [
        "verdict INCOMPLETE: no test was started"
    ]
    assert lines[:2] == ["the board is not usable: boot_id x", "    verdict PASS: 9 PASS"]


NAMES = st.text(st.sampled_from("ab-_./:é\n "), min_size=1, max_size=4).map(lambda text: text * 30)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_two_units_never_share_a_name(one, other):
    """Long, and with characters that are replaced: equal names are of equal jobs and places only."""
    assert (unit_name(*one) == unit_name(*other)) == (one == other)
    assert "/" not in unit_name(*one)
    assert not unit_name(*one).startswith(".")
