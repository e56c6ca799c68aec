# SPDX-License-Identifier: MIT
"""The JUnit file, read as a server reads it: by class name and name, whatever suite a test is in."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping

import pytest
from attrs import evolve

from mpbench.core.facts import Measurement, Verdict
from mpbench.core.lines import (
    MeasurementLine,
    NotesLine,
    PlanLine,
    ProvenanceLine,
    RecordLine,
    RunEnd,
    RunStart,
    TestEnd,
    TestStart,
    WaiverLine,
)
from mpbench.core.record import Clock, Record, Run, new_directory, read
from mpbench.report import publish

DEPLOY = "testcases/test_deploy.py::test_start[m33]"


def run_of(
    tmp_path,
    run: str,
    target="mp25",
    *,
    tests: Mapping[str, str] | None = None,
    place="",
    continues=None,
    more: tuple[RecordLine, ...] = (),
) -> Run:
    """A record of tests with these verdicts, all at the same second."""
    clock = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
    record = Record(new_directory(tmp_path / "runs", "run", clock), run, clock)
    record.append(RunStart(target, (), "0.1.0", continues))
    names = tuple(tests or {DEPLOY: "PASS"})
    record.append(PlanLine(names, len(names)))
    record.append(ProvenanceLine({"place": place} if place else {}, virtual=False))
    for test, verdict in (tests or {DEPLOY: "PASS"}).items():
        record.append(TestStart("m33", "It starts.", ("REQ-1", "REQ-2"), test=test))
        for line in more:
            record.append(line)
        record.append(
            TestEnd(Verdict(verdict), "" if verdict == "PASS" else "no beat\nfor 5 s", 5, test=test)
        )
    record.append(RunEnd({}))
    record.close()
    return read(record.directory)


def junit(tmp_path, *runs: Run) -> ET.Element:
    publish.write_runs(runs, tmp_path / "out")
    return ET.parse(tmp_path / "out" / publish.JUNIT).getroot()


def keys(root: ET.Element) -> list[tuple[str | None, str | None]]:
    """What a server knows a test by."""
    return [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]


def test_a_run_alone_has_keys_without_its_id(tmp_path):
    """Tonight's result of a test has the key of yesterday's."""
    one, two = run_of(tmp_path, "r1"), run_of(tmp_path, "r2")
    expected = [("mp25.testcases.test_deploy", "test_start[m33]")]
    assert keys(junit(tmp_path, one)) == keys(junit(tmp_path, two)) == expected
    (case,) = junit(tmp_path, one).iter("testcase")
    assert case.get("file") == "testcases/test_deploy.py"


@pytest.mark.parametrize(
    ("runs", "suites"),
    [
        ([("r1", "mp25", ""), ("r2", "mp15", "")], ["mp25", "mp15"]),
        ([("r1", "mp25", "a"), ("r2", "mp25", "b"), ("r3", "mp15", "a")], ["mp25 a", "mp25 b", "mp15"]),
        (
            [("r1", "mp25", "a"), ("r2", "mp25", "a")],
            ["mp25 a 2026-11-18 11:06:40 r1", "mp25 a 2026-11-18 11:06:40 r2"],
        ),
        (
            [("r1", "mp25", ""), ("r1", "mp25", ""), ("r1", "mp25", "")],
            [
                "mp25 2026-11-18 11:06:40 r1",
                "mp25 2026-11-18 11:06:40 r1 (2)",
                "mp25 2026-11-18 11:06:40 r1 (3)",
            ],
        ),
        ([("r1", "a", ""), ("r2", "a (2)", ""), ("r3", "a", "")], None),
        ([("r1", "a\x1b", ""), ("r2", "a␛", "")], ["a␛ r1", "a␛ r2"]),
        ([("r1", "", ""), ("r2", "", "")], None),
    ],
)
def test_every_case_of_several_runs_has_a_key_of_its_own(tmp_path, runs, suites):
    """Targets, places, runs of one target and place at one second, equal ids, names that look equal."""
    tests = {DEPLOY: "PASS", "testcases/test_deploy.py::test_start[m0]": "FAIL"}
    found = [run_of(tmp_path, run, target, place=place, tests=tests) for run, target, place in runs]
    root = junit(tmp_path, *found)
    assert len(keys(root)) == 2 * len(runs)
    assert [key for key, often in Counter(keys(root)).items() if often > 1] == []
    names = [suite.get("name") for suite in root]
    assert len(set(names)) == len(runs)
    assert suites is None or names == suites


def test_the_runs_of_a_lineage_share_no_key(tmp_path):
    """A run that continues another repeats what had no verdict; the superseded result is left out."""
    other = "testcases/test_deploy.py::test_stop[m33]"
    first = run_of(tmp_path, "r1", tests={DEPLOY: "PASS", other: "INFRA"})
    second = run_of(tmp_path, "r2", tests={other: "PASS"}, continues="r1")
    root = junit(tmp_path, first, second)
    assert [name for _, name in keys(root)] == ["test_start[m33]", "test_stop[m33]"]
    assert len({suite.get("name") for suite in root}) == 2
    assert root.find(".//error") is None


def test_names_that_differ_only_by_their_spelling_are_numbered(tmp_path):
    """`a/b.py` and `a.b.py`, and names that differ in characters that are shown as others."""
    tests = {"a/b.py::t": "PASS", "a.b.py::t": "PASS", "a/b.py::t (2)": "PASS", "a/b.py::x\x1b": "PASS"}
    tests |= {"a/b.py::x␛": "PASS", "no file": "PASS"}
    root = junit(tmp_path, run_of(tmp_path, "r1", tests=tests))
    assert keys(root) == [
        ("mp25.a.b", "t"),
        ("mp25.a.b", "t (2)"),
        ("mp25.a.b", "t (2) (2)"),
        ("mp25.a.b", "x␛"),
        ("mp25.a.b", "x␛ (2)"),
        ("mp25.no file", ""),
    ]


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [("FAIL", "failure"), ("INFRA", "error"), ("NOT-RUN", "skipped"), ("BLOCKED", "error")],
)
def test_the_reason_is_the_elements_text(tmp_path, verdict, tag):
    """All lines as text, the first one as message, the verdict as type."""
    (case,) = junit(tmp_path, run_of(tmp_path, "r1", tests={DEPLOY: verdict})).iter("testcase")
    (result,) = case.findall(tag)
    assert (result.text, result.get("message"), result.get("type")) == (
        "no beat\nfor 5 s",
        "no beat",
        verdict,
    )


def properties(element: ET.Element | None) -> list[tuple[str | None, str | None]]:
    assert element is not None
    return [(p.get("name"), p.get("value")) for p in element.findall("properties/property")]


def test_requirements_measurements_and_waivers_are_properties(tmp_path):
    """Of the case they belong to; provenance and notes are those of the suite."""
    figures = (
        Measurement("recovery", 4.25, "ms", "trace", None, 10.0, statistic="p99", conditions={"core": "m33"}),
        Measurement("restarts", 3, "", "count"),
    )
    more = tuple(evolve(MeasurementLine.of(m), test=DEPLOY) for m in figures)
    after = (NotesLine({"supply": "5.0 V"}), WaiverLine(DEPLOY, "Ann", "known erratum"))
    run = run_of(tmp_path, "r1", tests={DEPLOY: "FAIL"}, place="desk", more=(*more, *after))
    root = junit(tmp_path, run)
    assert properties(root.find("testsuite")) == [
        ("run", "r1"),
        ("place", "desk"),
        ("note: supply", "5.0 V"),
    ]
    assert properties(root.find(".//testcase")) == [
        ("requirement", "REQ-1"),
        ("requirement", "REQ-2"),
        ("measurement: recovery, p99 (core m33)", "4.25 ms (≤ 10): PASS"),
        ("measurement: restarts", "3 (no limit)"),
        ("waived by Ann", "known erratum"),
    ]
