# SPDX-License-Identifier: MIT
"""What a night leaves on the disk, and what the next one makes of it."""

import contextlib
import json
import os
import sqlite3

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.lines import RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench.core.verdict import NOT_STARTED
from mpbench.harness.resume import of_runs
from mpbench.lab import history as history_of_nights
from mpbench.lab.history import History
from mpbench.lab.journal import FILE, NightJournal
from mpbench.report.trend import Point

NOW_S = 1_795_000_000.0
CLOCK = Clock(utc_s=lambda: NOW_S, mono_ns=lambda: 42)


def test_a_night_that_did_not_end_is_resumed(tmp_path):
    """Held places, attempts and what is done are known again; after its end a new night begins."""
    first = NightJournal.open(tmp_path, "plan", NOW_S)
    assert not first.resumed
    first.add("held", place="a", token="T1")
    first.add("held", place="b", token="T2")
    first.add("released", place="b", token="T2")
    first.add("attempt", job_run="u")
    first.add("done", job_run="v")
    first.close()
    again = NightJournal.open(tmp_path, "plan", NOW_S + 60)
    assert again.resumed
    assert again.directory == first.directory
    assert again.held() == [("a", "T1")]
    assert (again.attempts("u"), again.attempts("v")) == (1, 0)
    assert (again.is_done("u"), again.is_done("v")) == (False, True)
    again.add("end")
    again.close()
    fresh = NightJournal.open(tmp_path, "plan", NOW_S + 120)
    assert not fresh.resumed
    assert fresh.directory != first.directory
    fresh.close()


def test_a_kill_at_any_byte_leaves_whole_lines(tmp_path):
    """Whatever part of the last line was written, the night resumes with the lines before it."""
    journal = NightJournal.open(tmp_path, "plan", NOW_S)
    journal.add("held", place="a", token="T1")
    journal.add("attempt", job_run="u")
    journal.close()
    path = journal.directory / FILE
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        again = NightJournal.open(tmp_path, "plan", NOW_S)
        again.add("attempt", job_run="x")
        again.close()
        lines = path.read_text().splitlines()
        assert [json.loads(line)["kind"] for line in lines][-1] == "attempt"
        assert len(lines) == whole[:length].count(b"\n") + 1


def test_a_journal_that_cannot_be_written_is_the_labs_fault(tmp_path):
    """The error names the directory."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="file"):
        NightJournal.open(tmp_path / "file", "plan", NOW_S)


def test_history_remembers_points_and_quarantined_places(tmp_path):
    """A run counts once, where it was remembered first; a place is out until it is readmitted."""
    history = History(tmp_path / "new" / "history.sqlite")
    points = [
        Point("r2", "mp25 a", "2026-11-02", {"PASS": 3}, {"p50": 1.5}),
        Point("r1", "x", "2026-11-01", {}, {}),
    ]
    history.remember(points)
    history.remember(points[:1])
    assert history.points() == points
    history.quarantine("mp25-1", "2026-11-02 03:00", "no SSH")
    assert history.quarantined() == {"mp25-1": "since 2026-11-02 03:00: no SSH"}
    assert history.readmit("mp25-1")
    assert not history.readmit("mp25-1")
    assert history.quarantined() == {}


def test_quarantines_of_an_older_history_are_kept(tmp_path):
    """Its table had another name."""
    path = tmp_path / "history.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE sick (place TEXT PRIMARY KEY, utc TEXT NOT NULL, reason TEXT NOT NULL)")
        db.execute("INSERT INTO sick VALUES ('mp25-1', '2026-11-02 03:00', 'no SSH')")
        db.commit()
    for _ in range(2):
        assert History(path).quarantined() == {"mp25-1": "since 2026-11-02 03:00: no SSH"}


@pytest.mark.parametrize("damage", ["text", "point", "lock"])
def test_a_history_that_cannot_be_used_is_set_aside(tmp_path, monkeypatch, damage):
    """Damaged or locked: it stays beside the new one under another name, and the night's page says so."""
    path = tmp_path / "history.sqlite"
    monkeypatch.setattr(history_of_nights, "BUSY_S", 0.01)
    History(path).remember([Point("r1", "x", "2026-11-01", {}, {})])
    with contextlib.closing(sqlite3.connect(path)) as db:
        if damage == "text":
            path.write_text("no database" * 100)
        elif damage == "point":
            db.execute("UPDATE point SET counts = '{'")
            db.commit()
        else:
            db.execute("BEGIN EXCLUSIVE")
        kept = path.read_bytes()
        found, note = History.opened(path, NOW_S)
        assert found.points() == []
    why = {"text": "file is not a database", "point": "a point is damaged: ", "lock": "database is locked"}
    assert note.startswith(f"the history of earlier nights is not used, because {path}: {why[damage]}")
    assert note.endswith(
        "; it is set aside as history.sqlite.20261118T110640Z.unusable: "
        "trends start anew, and no place is quarantined"
    )
    assert (tmp_path / "history.sqlite.20261118T110640Z.unusable").read_bytes() == kept
    assert History.opened(path, NOW_S) == (found, "")


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (
            f"DROP TABLE point; CREATE VIEW point AS {ENDLESS} SELECT x AS run, x AS label, x AS utc, "
            "x AS counts, x AS measured, x AS rowid FROM n",
            "interrupted",
        ),
        (
            "INSERT INTO point VALUES ('r', 'a', 'u', '[]', '{}')",
            "a point is damaged: not of the types of Point",
        ),
        (
            "INSERT INTO point VALUES ('r', 'a', 'u', '{}', '{\"x\": NaN}')",
            "damaged: NaN is no number of JSON",
        ),
        ("INSERT INTO point VALUES ('r', 'a', 'u', '{\"x\": 1, \"x\": 2}', '{}')", "'x' is given twice"),
        ("INSERT INTO point VALUES ('r', x'00', 'u', '{}', '{}')", "not of the types of Point"),
        ("INSERT INTO point VALUES ('r', zeroblob(2000000), 'u', '{}', '{}')", "string or blob too big"),
    ],
)
def test_a_hostile_history_is_the_labs_fault_in_bounded_time(tmp_path, monkeypatch, statements, words):
    """A view without an end in place of the table, values of other types, huge ones."""
    monkeypatch.setattr(history_of_nights, "WORK_S", 0.2)
    found = History(tmp_path / "history.sqlite")
    assert found.points() == []
    with contextlib.closing(sqlite3.connect(found.path)) as db, db:
        db.executescript(statements)
    with pytest.raises(InfrastructureError, match=words):
        found.points()


def test_a_history_is_a_regular_file(tmp_path):
    """A FIFO would be waited for."""
    os.mkfifo(tmp_path / "history.sqlite")
    with pytest.raises(InfrastructureError, match="it is no regular file"):
        History(tmp_path / "history.sqlite").points()


def test_a_journal_that_cannot_be_read_stops_no_later_night(tmp_path):
    """A new night begins, and says which one is not resumed."""
    broken = tmp_path / "20260101T000000Z-plan" / FILE
    broken.mkdir(parents=True)
    journal = NightJournal.open(tmp_path, "plan", NOW_S)
    journal.close()
    assert not journal.resumed
    assert journal.note.startswith(f"an earlier night is not resumed: cannot read {broken}: ")


def test_a_night_of_another_plan_is_not_resumed(tmp_path):
    """Although its name ends as that of this plan's nights."""
    other = NightJournal.open(tmp_path, "fooZ-plan", NOW_S)
    other.close()
    journal = NightJournal.open(tmp_path, "plan", NOW_S)
    journal.close()
    assert not journal.resumed
    assert journal.directory != other.directory


def test_damaged_lines_of_a_journal_are_counted(tmp_path):
    """What they said is unknown, so their units run again; the page says how many there were."""
    journal = NightJournal.open(tmp_path, "plan", NOW_S)
    journal.add("done", job_run="u")
    journal.close()
    path = journal.directory / FILE
    path.write_text(
        '{"kind": "held", "token": "T"}\n{"kind": "held", "place": "p", "token": []}\n{"kind"\n[]\n'
        + path.read_text()
    )
    again = NightJournal.open(tmp_path, "plan", NOW_S)
    again.close()
    assert again.note == "2 damaged lines of journal.jsonl are ignored: units without a line run again"
    assert (again.held(), again.is_done("u")) == ([], True)


def test_a_history_that_is_none_is_the_labs_fault(tmp_path):
    """A broken file is named, and nothing is overwritten."""
    (tmp_path / "history.sqlite").write_text("no database" * 100)
    with pytest.raises(InfrastructureError, match=r"history\.sqlite: file is not a database"):
        History(tmp_path / "history.sqlite").points()


def run_of(root, name, verdicts, begun=()):
    """A record of tests with (verdict, reason), and of tests that began and did not end."""
    record = Record(new_directory(root, name, CLOCK), name, CLOCK)
    for test in (*verdicts, *begun):
        record.append(TestStart(test=test, core=None, title="", requirements=()))
        if test in verdicts:
            verdict, reason = verdicts[test]
            record.append(TestEnd(test=test, verdict=verdict, reason=reason, duration_ns=1))
    record.close()


def test_only_what_has_no_verdict_is_open(tmp_path):
    """Verdicts stand, a test in which the run was killed is not asked again, what never began is."""
    run_of(
        tmp_path,
        "r1",
        {
            "pass": ("PASS", ""),
            "fail": ("FAIL", "x"),
            "infra": ("INFRA", "x"),
            "blocked": ("BLOCKED", "x"),
            "skipped": ("NOT-RUN", "no RTC"),
            "never": ("NOT-RUN", NOT_STARTED),
            "reset": ("INVALID", "the board was reset"),
        },
        begun=["killed"],
    )
    found = of_runs(tmp_path)
    assert found.open == {"infra", "blocked", "never"}
    assert found.settled == {"pass", "fail", "skipped", "reset", "killed"}
    assert (found.run, found.judged) == ("r1", True)
    settled = {name: verdict.value for name, verdict in found.verdicts.items()}
    assert settled == dict.fromkeys(("reset", "killed"), "INVALID") | {
        "pass": "PASS",
        "fail": "FAIL",
        "skipped": "NOT-RUN",
    }


def test_the_last_word_counts(tmp_path):
    """A later run settles what an earlier one left open; no run at all leaves nothing."""
    run_of(tmp_path, "r1", {"a": ("INFRA", "x"), "b": ("INFRA", "x")})
    run_of(tmp_path, "r2", {"a": ("PASS", "")})
    found = of_runs(tmp_path)
    assert (found.settled, found.open, found.run) == (frozenset("a"), frozenset("b"), "r2")
    nothing = of_runs(tmp_path / "none")
    assert (nothing.run, nothing.judged) == (None, False)


def test_a_broken_record_is_not_taken_up(tmp_path):
    """A broken record is an error with its line."""
    run_of(tmp_path, "r1", {"a": ("PASS", "")})
    log = next(tmp_path.glob("*/record.jsonl"))
    log.write_text("{\n" + log.read_text())
    with pytest.raises(UsageError, match=r"record\.jsonl:1: not JSON"):
        of_runs(tmp_path)


def started(root, name, *, continues=None, target="mp25", unit="", verdict="PASS"):
    """Directory of a run of one test."""
    record = Record(new_directory(root, target, CLOCK), name, CLOCK)
    record.append(RunStart(target, (), "0.1.0", continues, unit))
    record.append(TestEnd(Verdict(verdict), "", 1, test=f"test_{name}"))
    record.append(RunEnd({}))
    record.close()
    return record.directory


def test_a_run_is_resumed_with_those_that_it_continues_and_no_other(tmp_path):
    """Neighbours of the run, older ones of the same target and broken ones too, settle nothing."""
    started(tmp_path, "old")
    started(tmp_path, "a", verdict="PASS")
    last = started(tmp_path, "b", continues="a", verdict="INFRA")
    broken = started(tmp_path, "x")
    (broken / "record.jsonl").write_text("{\n")
    found = of_runs(last, "mp25")
    assert (set(found.settled), set(found.open), found.run) == ({"test_a"}, {"test_b"}, "b")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({}, {}, "{dir} has 2 runs that continue no other: give the directory of one"),
        ({"target": "mp15"}, {"continues": "a"}, "{a} is a run of target 'mp15', this is one of 'mp25'"),
        ({"unit": "x on 2"}, {"continues": "a"}, "{a} is a run of unit 'x on 2', this is one of 'x on 1'"),
    ],
)
def test_what_passed_on_another_board_or_long_ago_is_not_settled(tmp_path, first, second, words):
    """`--bench-resume reports/runs` names runs of all boards: refused, never PASS without a test."""
    a = started(tmp_path, "a", **{"unit": "x on 1", **first})
    started(tmp_path, "b", **{"unit": "x on 1", **second})
    with pytest.raises(UsageError) as refused:
        of_runs(tmp_path, "mp25", "x on 1")
    assert str(refused.value) == words.format(dir=tmp_path, a=a)


def test_a_line_of_a_night_with_other_types_holds_nothing(tmp_path):
    """A damaged line is no place, and stops no night."""
    night = tmp_path / "20261128T000000Z-plan"
    night.mkdir()
    (night / "journal.jsonl").write_text(
        '{"kind": "held", "place": "a", "token": []}\n{"kind": "held", "place": "b", "token": "t"}\n'
    )
    journal = NightJournal.open(tmp_path, "plan", 1_795_000_000.0)
    assert journal.held() == [("b", "t")]
    journal.close()
