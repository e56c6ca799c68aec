# SPDX-License-Identifier: MIT
"""What a person signs besides verdicts: document id, end, notes, waivers, what was not run, evidence."""

import hashlib
import re

import pytest

from mpbench.core.errors import UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.facts import Agreement, FieldVerdict, Verdict
from mpbench.core.lines import (
    NotesLine,
    PlanLine,
    RecordLine,
    RunEnd,
    RunStart,
    SignaturesLine,
    StepLine,
    TestEnd,
    TestStart,
    WaiverLine,
)
from mpbench.core.record import LOG, Clock, Record, Run, new_directory, read
from mpbench.report import page
from mpbench.report.signing import document_id, evidence, signing
from mpbench.report.summarize import summarize

UTC_S = 1_795_000_000.0


def run_with(tmp_path, *more: RecordLine, run="r1", target="mp25", verdicts=("PASS", "FAIL")) -> Run:
    """A record of tests a.py::t0, t1, ... that took 90 s, with more lines before and, if waivers, after."""
    now = [0]
    clock = Clock(utc_s=lambda: UTC_S + now[0], mono_ns=lambda: now[0] * 10**9)
    record = Record(new_directory(tmp_path, target, clock), run, clock)
    record.append(RunStart(target, (), "0.1.0"))
    if not any(isinstance(line, PlanLine) for line in more):
        record.append(PlanLine(tuple(f"a.py::t{n}" for n in range(len(verdicts))), len(verdicts)))
    for line in (line for line in more if not isinstance(line, WaiverLine)):
        record.append(line)
    for n, verdict in enumerate(verdicts):
        test, fields = f"a.py::t{n}", (FieldVerdict("errno", "EIO", "EIO", Agreement.AGREES),)
        record.append(TestStart(None, "It works.", ("REQ-1",), test=test))
        kept = record.keep([Artefact("kmsg", b"one"), Artefact("image", bytes([n]))])
        record.append(StepLine("deploy", "m33", fields, kept, 5, test=test))
        record.append(StepLine("deploy", "m33", fields, kept, 5, test=test))
        record.append(TestEnd(Verdict(verdict), "no region" if verdict == "NOT-RUN" else "", 5, test=test))
    now[0] = 90
    record.append(RunEnd({}))
    now[0] = 3600
    for line in (line for line in more if isinstance(line, WaiverLine)):
        record.append(line)
    record.close()
    return read(record.directory)


def text_of(*runs: Run) -> str:
    """The page without its tags, on one line."""
    html = page.render(summarize(runs)).replace("<wbr>", "")
    return " ".join(re.sub(r"<[^>]*>", " ", html[html.index("<body>") :]).split())


def test_end_and_duration_are_those_of_the_run(tmp_path):
    """A waiver that was added an hour later makes the run no longer."""
    run = run_with(tmp_path, WaiverLine("a.py::t1", "Ann", "known erratum"))
    (view,) = summarize([run]).runs
    assert (view.utc, view.end, view.duration_s) == ("2026-11-18 11:06:40", "2026-11-18 11:08:10", 90.0)
    assert "2026-11-18 11:06:40 to 2026-11-18 11:08:10 UTC, 90.0 s." in text_of(run)


def test_a_run_that_did_not_end_has_no_duration(tmp_path):
    """A killed run has a start only."""
    run = run_with(tmp_path)
    log = run.directory / LOG
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    (view,) = summarize([read(run.directory)]).runs
    assert (view.end, view.duration_s) == ("", None)
    assert "2026-11-18 11:06:40 to no end UTC." in text_of(read(run.directory))


def test_the_document_id_is_that_of_the_records(tmp_path):
    """It changes with any byte of any record, and with their order; it is on the page."""
    one, two = run_with(tmp_path), run_with(tmp_path, run="r2")
    digests = [hashlib.sha256((run.directory / LOG).read_bytes()).hexdigest() for run in (one, two)]
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    expected = f"{digest[:4]}-{digest[4:8]}-{digest[8:12]}-{digest[12:16]}"
    assert document_id(summarize([one, two])) == expected
    assert document_id(summarize([two, one])) != expected
    assert f"Document {expected} ." in text_of(one, two)
    (one.directory / LOG).write_bytes((one.directory / LOG).read_bytes().replace(b'"r1"', b'"r3"'))
    assert document_id(summarize([read(one.directory), two])) != expected


def test_notes_are_shown_with_who_noted_them(tmp_path):
    """The last note of a name counts."""
    run = run_with(
        tmp_path, NotesLine({"supply": "5.0 V", "lot": "A7"}), NotesLine({"supply": "4.75 V"}, "Ann")
    )
    (view,) = summarize([run]).runs
    assert [(n.name, n.text, n.by) for n in view.operator] == [("supply", "4.75 V", "Ann"), ("lot", "A7", "")]
    shown = text_of(run)
    assert "Name Note Noted by supply 4.75 V Ann lot A7 target file or command line" in shown


def test_a_waived_fail_is_a_fail(tmp_path):
    """Who accepted it, when and why is shown; the verdict stays."""
    run = run_with(tmp_path, WaiverLine("a.py::t1", "Ann", "known erratum"))
    found = summarize([run])
    assert found.verdict is Verdict.FAIL
    assert [case.verdict.value for case in found.attention] == ["FAIL"]
    shown = text_of(run)
    assert "a.py::t1 FAIL Ann 2026-11-18 12:06:40 known erratum" in shown
    assert "Waived by Ann: known erratum" in shown
    assert "FAIL , 1 waived." in shown


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("a.py::t9", "waiver of 'a.py::t9': the record has no test of this name"),
        ("a.py::t0", "waiver of 'a.py::t0': its verdict is PASS; only a FAIL can be waived"),
    ],
)
def test_a_waiver_of_anything_but_a_fail_is_refused(tmp_path, test, message):
    """An unknown test, and a test that passed."""
    with pytest.raises(UsageError) as refused:
        summarize([run_with(tmp_path, WaiverLine(test, "Ann", "why not"))])
    assert str(refused.value) == message


def test_what_was_not_run_is_listed_by_reason(tmp_path):
    """Each reason with its number of cases; none is left out."""
    run = run_with(tmp_path, verdicts=("PASS", "NOT-RUN", "NOT-RUN", "BLOCKED"))
    found = signing(summarize([run])).not_run
    assert [(g.reason, g.verdict.value, [case.name for _, case in g.cases]) for g in found] == [
        ("no region", "NOT-RUN", ["a.py::t1", "a.py::t2"]),
        ("no reason recorded", "BLOCKED", ["a.py::t3"]),
    ]
    assert "Not run 2 NOT-RUN no region a.py::t1 a.py::t2 1 BLOCKED no reason recorded a.py::t3" in text_of(
        run
    )


def test_each_requirement_has_all_its_evidence(tmp_path):
    """Every case of it, every file once; evidence that is gone is said to be missing."""
    run = run_with(tmp_path)
    (first, _) = summarize([run]).requirements[0].cases
    one, image = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"\0").hexdigest()
    assert [(p.name, p.file) for p in evidence(first)] == [("kmsg", f"{one}.txt"), ("image", f"{image}.bin")]
    assert f"PASS a.py::t0 : 2 steps, kmsg {one[:12]}, image {image[:12]}" in text_of(run)
    (run.directory / "evidence" / f"{image}.bin").unlink()
    assert f"PASS a.py::t0 : 2 steps, kmsg {one[:12]}, image (missing)" in text_of(run)


def test_what_was_not_selected_is_said_too(tmp_path):
    """How many of how many, and which requirements have no evidence for that reason."""
    run = run_with(tmp_path, PlanLine(("a.py::t0", "a.py::t1"), 9, ("REQ-1", "REQ-2")))
    shown = text_of(run)
    assert "Not run 2 of 9 test cases were selected; the others are not on this page." in shown
    assert "REQ-2 No test case of this requirement" in shown


def test_the_roles_of_a_target_file_have_a_line_each(tmp_path):
    """Without any, the usual three; of several runs the strictest counts."""
    plain = run_with(tmp_path)
    assert signing(summarize([plain])).lines == ("tested", "reviewed", "released")
    one = run_with(tmp_path, SignaturesLine(("tested", "reviewed")), run="r2")
    two = run_with(tmp_path, SignaturesLine(("reviewed", "reviewed")), run="r3")
    assert signing(summarize([one, two, plain])).lines == ("tested", "reviewed", "reviewed")
    assert "The target file asks for 2 signatures: tested, reviewed." in text_of(one)
