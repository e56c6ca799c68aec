# SPDX-License-Identifier: MIT
"""What people add to a record after the run: waivers and notes, never a change."""

import json

import pytest

from mpbench.commands import main
from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.lines import NotesLine, RunEnd, RunStart, TestEnd, TestStart, WaiverLine
from mpbench.core.record import LOG, Clock, Record, append_to, new_directory, read
from mpbench.report import amend, publish
from mpbench.report.summarize import summarize

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
LATER = Clock(utc_s=lambda: 1_795_003_600.0, mono_ns=lambda: 99)
TESTS = {"a.py::works": "PASS", "a.py::fails[m33]": "FAIL", "a.py::lab": "INFRA"}


@pytest.fixture
def run(tmp_path):
    """Directory of a run on board b-1 with a page."""
    record = Record(new_directory(tmp_path, "mp25", CLOCK), "r1", CLOCK)
    record.board = "b-1"
    record.append(RunStart("mp25", (), "0.1.0"))
    for test, verdict in TESTS.items():
        record.append(TestStart(None, "It works.", test=test))
        record.append(TestEnd(Verdict(verdict), "", 5, test=test))
    record.append(RunEnd({}))
    record.close()
    publish.write([record.directory], record.directory)
    return record.directory


def test_a_waiver_is_appended_and_shown(run):
    """The lines before it stay; its head is of the same run and board, with its own time."""
    before = (run / LOG).read_bytes()
    assert amend.waive(run, ["a.py::fails[m33]"], " Ann ", "known erratum", LATER) == run / "index.html"
    text = (run / LOG).read_bytes()
    assert text.startswith(before)
    added = json.loads(text[len(before) :])
    assert added == {
        "v": 5,
        "n": 8,
        "kind": "waiver",
        "utc": "2026-11-18T12:06:40.000000+00:00",
        "mono_ns": 99,
        "run": "r1",
        "board": "b-1",
        "boot": None,
        "epoch": None,
        "test": "a.py::fails[m33]",
        "by": "Ann",
        "reason": "known erratum",
    }
    page = summarize([read(run)])
    assert (page.verdict.value, [case.verdict.value for case in page.attention]) == (
        "FAIL",
        ["FAIL", "INFRA"],
    )
    assert "Waived by Ann: known erratum" in (run / "index.html").read_text()
    (waived,) = [
        t for t in json.loads((run / "summary.json").read_text())["runs"][0]["tests"] if t["waivers"]
    ]
    assert (waived["verdict"], waived["waivers"][0]["by"]) == ("FAIL", "Ann")


def test_notes_are_appended_with_who_noted_them(run):
    """As a line of the record, and on the page."""
    amend.note(run, ["supply=5.0 V", "lot=A7"], "Ann", LATER)
    (line,) = read(run).of(NotesLine)
    assert (line.entries, line.by, line.head.n) == ({"supply": "5.0 V", "lot": "A7"}, "Ann", 8)


@pytest.mark.parametrize(
    ("tests", "by", "reason", "message"),
    [
        (
            ["a.py::fails"],
            "Ann",
            "why",
            "waiver of 'a.py::fails': the record has no test of this name; did you mean 'a.py::fails[m33]'?",
        ),
        (["x"], "Ann", "why", "waiver of 'x': the record has no test of this name"),
        (
            ["a.py::works"],
            "Ann",
            "why",
            "waiver of 'a.py::works': its verdict is PASS; only a FAIL can be waived",
        ),
        (
            ["a.py::lab"],
            "Ann",
            "why",
            "waiver of 'a.py::lab': its verdict is INFRA; only a FAIL can be waived",
        ),
        (["a.py::fails[m33]", "x"], "Ann", "why", "waiver of 'x': the record has no test of this name"),
        (["a.py::fails[m33]"], " ", "why", "--by: an empty text; expected at least one character"),
        (["a.py::fails[m33]"], "Ann", "", "--reason: an empty text; expected at least one character"),
        (["a.py::fails[m33]"], "Ann", "x" * 2001, "--reason: 2001 characters; at most 2000"),
    ],
)
def test_a_waiver_without_sense_is_refused(run, tests, by, reason, message):
    """Nothing is written, also if one test of several is wrong."""
    before = (run / LOG).read_bytes()
    with pytest.raises(UsageError) as refused:
        amend.waive(run, tests, by, reason)
    assert str(refused.value) == message
    assert (run / LOG).read_bytes() == before


def test_a_note_without_sense_is_refused(run):
    """No name, no text, nobody."""
    for words, by in ((["supply"], "Ann"), (["=5"], "Ann"), (["a=1", "a=2"], "Ann"), (["a=1"], "")):
        with pytest.raises(UsageError):
            amend.note(run, words, by)
    assert not list(read(run).of(NotesLine))


@pytest.mark.parametrize("name", ["manifest.json", "signatures.json"])
def test_nothing_is_added_to_a_signed_report(run, name):
    """Its signatures would be void."""
    (run / name).write_text("{}")
    with pytest.raises(UsageError, match=rf" is signed, so nothing is added to it: it has {name}$"):
        amend.note(run, ["a=1"], "Ann")


@pytest.mark.parametrize("cut", [2, 200])
def test_nothing_is_added_to_a_run_that_did_not_end(run, cut):
    """It may still be running: its own writer is the only one."""
    log = run / LOG
    log.write_bytes(log.read_bytes()[:-cut])
    before = log.read_bytes()
    with pytest.raises(UsageError, match="the run did not end"):
        append_to(run, [WaiverLine("a.py::fails[m33]", "Ann", "why")], LATER)
    assert log.read_bytes() == before


def test_a_secret_in_a_reason_is_hidden(run, monkeypatch):
    """As in any other line of a record."""
    monkeypatch.setenv("LAB_TOKEN", "s3cr3t-value")
    amend.note(run, ["access=with s3cr3t-value"], "Ann")
    (line,) = read(run).of(NotesLine)
    assert line.entries == {"access": "with ***"}


def test_waive_and_note_as_commands(run, capsys):
    """0 and the page's path; 2 and one line for a mistake."""
    assert main.main(["note", str(run), "supply=5.0 V", "--by", "Ann"]) == 0
    assert main.main(["waive", str(run), "a.py::fails[m33]", "--by", "Ann", "--reason", "erratum 7"]) == 0
    assert capsys.readouterr().out == f"{run / 'index.html'}\n" * 2
    assert main.main(["waive", str(run), "t\x1b", "--by", "Ann", "--reason", "erratum 7"]) == 2
    assert capsys.readouterr().err == (
        "mpbench: error: waiver of 't\\x1b': the record has no test of this name\n"
    )
