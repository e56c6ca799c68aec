# SPDX-License-Identifier: MIT
"""The page and the JUnit file, made from records alone."""

import base64
import contextlib
import csv
import gc
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import KMSG, SECURE_CONSOLE, Artefact
from mpbench.core.facts import Agreement, FieldVerdict, Verdict
from mpbench.core.lines import (
    HistogramLine,
    MapLine,
    MeasurementLine,
    NotesLine,
    OutlierSample,
    OutliersLine,
    PlanLine,
    ProvenanceLine,
    RunEnd,
    RunStart,
    SegmentsLine,
    SeriesLine,
    SignaturesLine,
    StepLine,
    TestEnd,
    TestStart,
    TimelineLine,
    WaiverLine,
)
from mpbench.core.record import Clock, Record, new_directory, read
from mpbench.core.sanitize import decoded, visible
from mpbench.report import exports, page
from mpbench.report import publish as report
from mpbench.report.excerpt import MAX_LINES, MAX_WIDTH, excerpt
from mpbench.report.model import ASKED, without_core
from mpbench.report.summarize import shown, summarize
from mpbench.report.tables import UNREPORTED, provenance
from mpbench.report.trend import Point, trends

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
KERNEL = (
    b"6,412,1500000,-;remoteproc remoteproc0: powering up m33\n"
    b" SUBSYSTEM=remoteproc\n"
    b"6,413,1500001,-;random: crng init done\n"
    b"3,414,1500002,-;stm32-rproc m33: TA load failed, TEE err: 0xffff000f, TEE orig: 4\n"
)
SECURE = b"E/TA:  remoteproc_load_segment:759 Fails to load segment, res = 0x0xffff000f\r\n"


def field(name="errno", predicted="EIO", observed="EIO", agreement=Agreement.AGREES) -> FieldVerdict:
    return FieldVerdict(name, predicted, observed, agreement)


def sample(tmp_path, *, target="virtual-mp25", virtual=True, hostile="", verdicts=("PASS", "FAIL"), end=True):
    """A record of one test on two cores; `hostile` is put wherever text comes from outside."""
    record = Record(new_directory(tmp_path, target, CLOCK), "r1", CLOCK)
    command = ("pytest", "--lg-env", f"targets/{target}.yaml{hostile}")
    record.append(RunStart(target=target + hostile, command=command, bench="0.1.0", continues=None))
    tests = tuple(f"testcases/test_deploy.py::test_flip[{core}]{hostile}" for core in ("m33", "m0"))
    record.append(PlanLine(tests, 2, ("BOOT-1" + hostile,)))
    record.append(SignaturesLine(("tested" + hostile,)))
    record.append(NotesLine({"supply" + hostile: "5.0 V" + hostile}, "Ann" + hostile))
    record.append(
        ProvenanceLine(entries={"kernel" + hostile: "Linux 6.12.107" + hostile}, virtual=virtual, evidence=())
    )
    for core, verdict in zip(("m33", "m0"), verdicts, strict=True):
        one_test(record, core, verdict, hostile)
    if end:
        record.append(RunEnd(counts=dict(Counter(verdicts))))
    for test, verdict in zip(tests, verdicts, strict=True):
        if end and verdict == "FAIL":
            record.append(WaiverLine(test, "Ann" + hostile, "erratum" + hostile))
    record.close()
    return record.directory


def one_test(record, core, verdict, hostile) -> None:
    name = f"testcases/test_deploy.py::test_flip[{core}]{hostile}"
    record.boot = "b-1" + hostile
    title = "A flipped byte is refused." + hostile
    record.append(TestStart(test=name, core=core + hostile, title=title, requirements=("BOOT-1" + hostile,)))
    kept = record.keep(
        [
            Artefact(KMSG + hostile, KERNEL + hostile.encode("utf-8", "surrogatepass")),
            Artefact(SECURE_CONSOLE, SECURE),
        ]
    )
    fields = (
        field("tee_code", 0xFFFF000F, 0xFFFF3072, Agreement.DIFFERS),
        field("secure_log", "" + hostile, hostile or None, Agreement.UNDECIDED),
        field(),
    )
    record.append(
        StepLine(
            test=name, name="deploy", core=core + hostile, fields=fields, evidence=kept, duration_ns=8_400_000
        )
    )
    pictures(record, name, hostile)
    record.append(TestEnd(test=name, verdict=verdict, reason="because" + hostile, duration_ns=12_000_000))


def pictures(record, name, hostile) -> None:
    """One line of each kind that the page draws, and a measurement."""
    said: Any = {"test": name, "name": "latency" + hostile, "source": "hist" + hostile}
    more: Any = {"conditions": {"load" + hostile: "cpu" + hostile}, **said}
    unit = "µs" + hostile
    ran = ((0, 0, 3_000, "dd (7)" + hostile),)
    sample = OutlierSample(3_000, "start" + hostile, irq_cpu=0, cpu=0, ran=ran)
    ranges = ((0, 24, "header" + hostile), (24, 4096, "payload"))
    bounds: Any = {"high": 10, "margin": 0.05, "verdict": "PASS", "statistic": "p50" + hostile, "samples": 7}
    for line in (
        MeasurementLine(value=3.5, unit=unit, **more, **bounds),
        SeriesLine(values=(1, 5, 2.5), unit=unit, **more),
        HistogramLine(buckets=((1, 2, 1000), (2, 4, 10), (100, 200, 1)), unit=unit, **more),
        SegmentsLine(parts=(("entry" + hostile, 2.5), ("exit", 0)), unit=unit, **more),
        TimelineLine(events=(("crash" + hostile, 5), ("up", 2_000_005)), **said),
        OutliersLine(samples=(sample,), **more),
        MapLine("image" + hostile, 4096, ranges, ((3, True), (100, False)), test=name),
    ):
        record.append(line)


class Elements(HTMLParser):
    """Every element with its attributes' names, and all text, as a browser's parser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter = Counter()
        self.values: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if (tag, attrs) == ("wbr", []):  # where a name may break; a longer name has more of them
            return
        self.tags[tag, tuple(name for name, _ in attrs)] += 1
        self.values += [value or "" for _, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text += data


def html_of(directory, tmp_path) -> str:
    return report.write([directory], tmp_path / "out").read_text("utf-8")


def test_the_page_shows_verdict_provenance_fields_and_evidence(tmp_path):
    """What a reader signs is all there: verdict, provenance, prediction, observation, relevant lines."""
    text = Elements(html_of(sample(tmp_path), tmp_path)).text
    for expected in ("FAIL", "Linux 6.12.107", "A flipped byte is refused.", "0xffff000f", "0xffff3072",
                     "[    1.500002] stm32-rproc m33: TA load failed", "Fails to load segment", "differs",
                     "testcases/test_deploy.py", "test_flip"):  # fmt: skip
        assert expected in text
    assert "crng init" not in text
    assert "SUBSYSTEM" not in text


def test_the_same_records_give_the_same_bytes(tmp_path):
    """Two reports on one record are equal, byte for byte, wherever they are written."""
    directory = sample(tmp_path)
    one, two = (report.write([directory], tmp_path / name).parent for name in ("one", "two"))
    for name in report.WRITTEN:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_virtual_board_is_said_to_be_one(tmp_path):
    """Emulation is declared on top of the page; a real board's page does not carry the banner."""
    claim = "proven under emulation, not on silicon"
    assert claim in html_of(sample(tmp_path), tmp_path)
    assert claim not in html_of(sample(tmp_path, virtual=False), tmp_path)


def test_nothing_can_be_loaded_or_run(tmp_path):
    """The policy forbids everything but the one style sheet and the one script, whose hashes it names."""
    text = html_of(sample(tmp_path), tmp_path)
    hashes = [inside(text, tag) for tag in ("style", "script")]
    policy = f"default-src 'none'; style-src '{hashes[0]}'; script-src '{hashes[1]}'; base-uri 'none'"
    assert f"content=\"{policy}; form-action 'none'\"" in text
    found = Elements(text)
    assert not {tag for tag, _ in found.tags} & {"img", "iframe", "link", "form", "object", "embed", "base"}
    assert sum(n for (tag, _), n in found.tags.items() if tag in {"style", "script"}) == 2
    names = {name for _, attributes in found.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name == "style"}
    assert not [v for v in found.values if v.startswith(("http:", "https:", "//", "javascript:", "data:"))]


def inside(text, tag) -> str:
    """Hash of what an element holds, as a policy names it."""
    content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></pre></title><h1>",
    "{{ 77777777 * 7 }}{% raw %}",
    "&lt;b&gt;",
    "\x1b[2J\x1b]0;title\x07",
    "\x00\x08\x7f\x9b31m",
    "user\u202egpj.exe\u2066\u200f",
    "]]><!--",
    "\udcff\ud800",
    "../../etc/passwd\n",
    "a\u0300\u0301\u0302",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_element_and_no_control(tmp_path, hostile):
    """Whatever a device or a file calls itself: the page has the template's elements and nothing else."""
    clean = Elements(html_of(sample(tmp_path / "clean", hostile="x"), tmp_path))
    text = html_of(sample(tmp_path / "hostile", hostile=hostile), tmp_path)
    found = Elements(text)
    assert found.tags == clean.tags
    assert found.ids == clean.ids
    assert "544444439" not in found.text
    assert visible(text) == text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_leaves_the_junit_file_well_formed(tmp_path, hostile):
    """The XML parses, whatever a device printed, and holds the two test cases and nothing more."""
    report.write([sample(tmp_path, hostile=hostile)], tmp_path / "out")
    root = ET.parse(tmp_path / "out" / report.JUNIT).getroot()
    tags = Counter(element.tag for element in root.iter())
    assert tags == {
        "testsuites": 1,
        "testsuite": 1,
        "properties": 3,
        "property": 8,
        "testcase": 2,
        "failure": 1,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[2J", "␛[2J"),
        ("\r\x00", "␍␀"),
        ("\x7f\x9b", "␡⟨U+009B⟩"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("e\u0301", "e⟨U+0301⟩"),
        ("größe µs → ok", "größe µs → ok"),
        ("\ud800", "⟨U+D800⟩"),
    ],
)
def test_what_cannot_be_seen_is_shown(text, expected):
    """Control characters, direction overrides and marks appear as symbols; people's text stays."""
    assert visible(text) == expected


def test_bytes_that_are_no_text_are_joinedas_numbers():
    """Garbled serial bytes are visible, not lost."""
    assert decoded(b"ok \xff\xfe\r\n") == "ok \\xff\\xfe\n"


@pytest.mark.parametrize(
    ("element", "verdict"),
    [
        ("failure", "FAIL"),
        ("error", "INFRA"),
        ("error", "INVALID"),
        ("error", "BLOCKED"),
        ("skipped", "NOT-RUN"),
    ],
)
def test_junit_tells_failures_from_errors(tmp_path, element, verdict):
    """Only FAIL is a failure; what gives no verdict on the board is an error, with the exact word as type."""
    report.write([sample(tmp_path, verdicts=("PASS", verdict))], tmp_path / "out")
    suite = ET.parse(tmp_path / "out" / report.JUNIT).getroot()[0]
    assert [e.get("type") for e in suite.iter(element)] == [verdict]
    counts = {k: suite.get(k) for k in ("failures", "errors", "skipped")}
    assert counts == {"failures": "0", "errors": "0", "skipped": "0"} | {
        {"failure": "failures", "error": "errors"}.get(element, element): "1"
    }


def test_a_test_without_an_end_is_invalid(tmp_path):
    """A run killed in a test gives no verdict on that test, and the page says so."""
    directory = sample(tmp_path, verdicts=("PASS", "PASS"), end=False)
    log = directory / "record.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    found = summarize([read(directory)])
    assert [t.verdict for t in found.runs[0].tests] == [Verdict.PASS, Verdict.INVALID]
    assert found.verdict is Verdict.INVALID
    assert "the run was killed in this test" in html_of(directory, tmp_path)


def test_a_killed_run_is_not_green_even_if_all_its_tests_are(tmp_path):
    """Nobody knows what a run that did not end still meant to test."""
    directory = sample(tmp_path, verdicts=("PASS", "PASS"), end=False)
    assert summarize([read(directory)]).verdict is Verdict.INCOMPLETE
    assert "it was killed, or it is still running" in html_of(directory, tmp_path)


def test_a_run_of_nothing_is_not_green(tmp_path):
    """A record without tests gives NOT-RUN."""
    record = Record(new_directory(tmp_path, "x", CLOCK), "r1", CLOCK)
    record.append(PlanLine((), 0))
    record.append(RunEnd(counts={}))
    record.close()
    assert summarize([read(record.directory)]).verdict is Verdict.NOT_RUN
    assert "No test was executed." in html_of(record.directory, tmp_path)


def test_several_runs_share_one_page(tmp_path):
    """Two boards stand side by side in the matrix, and the worst verdict is the page's."""
    one = sample(tmp_path, verdicts=("PASS", "PASS"))
    two = sample(tmp_path, target="mp25", virtual=False, verdicts=("PASS", "INFRA"))
    found = summarize([read(one), read(two)])
    assert found.columns == (
        (0, "virtual-mp25", "m33"),
        (0, "virtual-mp25", "m0"),
        (1, "mp25", "m33"),
        (1, "mp25", "m0"),
    )
    (group,) = found.groups
    assert [[c.verdict.value for c in row.cells] for row in group.rows] == [["PASS", "PASS", "PASS", "INFRA"]]
    assert found.verdict is Verdict.INFRA
    out = report.write([one, two], tmp_path / "out")
    assert len(set(Elements(out.read_text()).ids)) == len(Elements(out.read_text()).ids)


def test_evidence_stands_beside_the_page(tmp_path):
    """Every link to evidence leads to a file with these bytes."""
    out = report.write([sample(tmp_path)], tmp_path / "out")
    links = {v for v in Elements(out.read_text("utf-8")).values if v.startswith("evidence/")}
    assert {(out.parent / link).read_bytes() for link in links} == {KERNEL, SECURE}


def test_changed_evidence_is_not_quoted(tmp_path):
    """Lines from a file that is no longer what was recorded do not get on the page."""
    directory = sample(tmp_path)
    for path in (directory / "evidence").iterdir():
        path.write_bytes(b"remoteproc forged\n")
    text = html_of(directory, tmp_path)
    assert "forged" not in text
    assert "the file is missing or was changed since" in text
    assert "evidence/" not in text


def test_an_excerpt_is_bounded():
    """A flood of lines or an endless line is cut, and the page says how much is left out."""
    flood = excerpt(KMSG, b"6,1,1,-;remoteproc storm\n" * 1000)
    assert (len(flood.lines), flood.omitted) == (MAX_LINES, 1000 - MAX_LINES)
    endless = excerpt(SECURE_CONSOLE, b"E/TA: " + b"x" * 100_000)
    assert len(endless.lines[0]) < MAX_WIDTH + 40
    assert "more characters" in endless.lines[0]


def test_an_excerpt_without_lines_says_why():
    """Empty, irrelevant and binary evidence are told apart."""
    assert excerpt(KMSG, b"").whole == "(empty)"
    assert excerpt("sysfs.state", b"offline\n").whole == "offline"
    assert excerpt(KMSG, b"1,1,1,-;usb\n").missing == "no line that matters"
    assert excerpt("image", b"\0\1").missing == "binary"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tee_code", 0xFFFF3072, "0xffff3072 SIGNATURE_INVALID"),
        ("tee_code", 0, "0 (nothing refused)"),
        ("beating", True, "yes"),
        ("beating", False, "no"),
        ("identity", "", "(none)"),
        ("state", None, "unknown"),
        ("state", "running", "running"),
    ],
)
def test_values_are_joinedas_people_read_them(name, value, expected):
    """Codes in hexadecimal, truth as a word, nothing as nothing."""
    assert shown(name, value) == expected


@pytest.mark.parametrize(
    ("name", "core", "expected"),
    [("t[m33]", "m33", "t"), ("t[m33-flip]", "m33", "t[flip]"), ("t", "board", "t"), ("t[a]", "m33", "t[a]")],
)
def test_a_row_of_the_matrix_is_a_test_without_its_core(name, core, expected):
    """The core is the column."""
    assert without_core(name, core) == expected


def test_a_report_on_nothing_and_to_nowhere_is_refused(tmp_path):
    """No record is misuse; a directory that cannot be written is the lab's fault. Both name the path."""
    with pytest.raises(UsageError, match="no record at"):
        report.write([tmp_path], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match=r"cannot write the report to .*file"):
        report.write([sample(tmp_path)], tmp_path / "file")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_calculates_nothing_in_a_spreadsheet(tmp_path, hostile):
    """The CSV has one line per measurement, and no cell of it is a formula or holds a control character."""
    out = report.write([sample(tmp_path, hostile=hostile)], tmp_path / "out").parent
    lines = list(csv.reader((out / report.CSV).read_text("utf-8").splitlines()))
    assert [len(line) for line in lines] == [len(exports.COLUMNS)] * 3
    assert not any(cell.startswith(exports.FORMULA) for line in lines for cell in line)
    assert json.loads((out / report.SUMMARY).read_text())["verdict"] == "FAIL"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_a_formula_is_quoted(tmp_path, formula):
    """What a spreadsheet would calculate is text with an apostrophe before it."""
    record = Record(new_directory(tmp_path, "x", CLOCK), "r1", CLOCK)
    record.append(MeasurementLine(formula, -1, "", "", test="t"))
    record.close()
    report.write([record.directory], tmp_path / "out")
    (line,) = list(csv.reader((tmp_path / "out" / report.CSV).read_text().splitlines()))[1:]
    assert line[exports.COLUMNS.index("name")].startswith("'")
    assert line[exports.COLUMNS.index("value")] == "-1"


def run_of(tmp_path, name, verdicts, *, continues=None, target="mp25", ends=True, entries=None, value=5.0):
    """A record of tests t0, t1, ... with these verdicts; a verdict that is empty: killed in that test."""
    record = Record(new_directory(tmp_path, target, CLOCK), name, CLOCK)
    record.append(RunStart(target=target, command=(), bench="0.1.0", continues=continues))
    record.append(PlanLine(tuple(f"a.py::{test}" for test in verdicts), len(verdicts)))
    record.append(ProvenanceLine(entries=entries or {}, virtual=False, evidence=()))
    for test, verdict in verdicts.items():
        needs = (f"REQ-{test[1:]}", "REQ-ALL")
        name = f"a.py::{test}"
        record.append(TestStart(test=name, core=None, title="", requirements=needs))
        record.append(MeasurementLine(f"time of {test}", value, "ms", "", high=10, verdict="PASS", test=name))
        if verdict:
            record.append(TestEnd(test=f"a.py::{test}", verdict=verdict, reason="", duration_ns=1))
    if ends:
        record.append(RunEnd(counts={}))
    record.close()
    return read(record.directory)


def test_a_run_that_takes_another_up_replaces_what_had_no_verdict(tmp_path):
    """A retried test stands once in the matrix, with its last verdict; what nobody asked again stays."""
    first = run_of(tmp_path, "r1", {"t0": "PASS", "t1": "INFRA", "t2": ""}, ends=False)
    second = run_of(tmp_path, "r2", {"t1": "PASS"}, continues="r1")
    joined = summarize([first, second])
    assert {c.name: c.verdict.value for c in joined.cases} == {
        "a.py::t0": "PASS",
        "a.py::t2": "INVALID",
        "a.py::t1": "PASS",
    }
    assert len(joined.columns) == 1
    assert joined.verdict is Verdict.INVALID
    assert summarize([first]).verdict is Verdict.INFRA
    cells = {group.function: group.rows[0].cells[0].verdict.value for group in joined.groups}
    assert cells == {"a.py::t0": "PASS", "a.py::t1": "PASS", "a.py::t2": "INVALID"}


def test_two_runs_on_the_same_target_are_told_apart(tmp_path):
    """Their labels have the place, else the serial number, else the time."""
    runs = [run_of(tmp_path, f"r{n}", {"t0": "PASS"}, entries={"place": f"mp25-{n}"}) for n in (1, 2)]
    assert [run.label for run in summarize(runs).runs] == ["mp25 mp25-1", "mp25 mp25-2"]
    bare = [run_of(tmp_path, f"r{n}", {"t0": "PASS"}) for n in (1, 2)]
    assert [run.label for run in summarize(bare).runs] == ["mp25 2026-11-18 11:06:40"] * 2
    assert [c[0] for c in summarize(bare).columns] == [0, 1]


def test_requirements_are_traced_to_verdicts(tmp_path):
    """Each requirement has its tests and their worst verdict; one whose tests did not all run is NOT-RUN."""
    found = summarize([run_of(tmp_path, "r1", {"t0": "PASS", "t10": "NOT-RUN", "t9": "FAIL"})])
    assert [(r.id, r.verdict.value) for r in found.requirements] == [
        ("REQ-0", "PASS"),
        ("REQ-9", "FAIL"),
        ("REQ-10", "NOT-RUN"),
        ("REQ-ALL", "FAIL"),
    ]


def test_boards_stand_side_by_side(tmp_path):
    """What differs between two boards is marked, in the group of its kind."""
    runs = [
        run_of(tmp_path, f"r{n}", {"t0": "PASS"}, entries={"soc_revision": rev, "kernel": "6.12"})
        for n, rev in ((1, "REV.A"), (2, "REV.B"))
    ]
    groups = provenance(summarize(runs))
    assert [(group.name, [row.name for row in group.rows]) for group in groups] == [
        ("Board", ["soc_revision"]),
        ("Software", ["kernel"]),
        ("Run", ["bench", "command"]),
    ]
    assert [row.name for group in groups for row in group.rows if row.differs] == ["soc_revision"]


def test_what_a_board_does_not_say_is_on_its_page(tmp_path):
    """Whoever signs sees that a board named no serial number, no revision, no TF-A; once per group."""
    run = run_of(tmp_path, "r1", {"t0": "PASS"}, entries={"model": "a board", "place": "p"})
    groups = provenance(summarize([run]))
    said = {row.name: row.values[0] for group in groups for row in group.rows}
    assert (said["model"], said["place"]) == ("a board", "p")
    assert {name for group in groups for name in group.unreported} == set(ASKED) - {"model"}
    assert page.render(summarize([run])).count(UNREPORTED) == 2


def test_trends_need_runs_of_the_same_kind():
    """Runs of one label make a trend, oldest first; one run makes none; a run counts once."""
    runs = [
        Point(f"r{n}", "mp25 a", f"2026-11-{n:02} 01:00:00", {"PASS": 8 - n, "FAIL": n}, {"p50 in ms": n / 2})
        for n in (2, 1, 3)
    ]
    other = Point("x", "mp15", "2026-11-01 01:00:00", {"PASS": 1}, {})
    (found,) = trends([*runs, runs[0], other])
    assert (found.runs, found.first, found.words) == (3, "2026-11-01 01:00:00", "5 PASS, 3 FAIL")
    (line,) = found.lines
    assert (line.first, line.last) == ("0.5", "1.5")
    assert [bar.label for bar in found.bars] == ["PASS", "FAIL"] * 3


def test_a_trend_is_on_the_page(tmp_path):
    """History that a lab remembers is drawn beside the run's own point."""
    run = run_of(tmp_path, "r9", {"t0": "PASS"}, entries={"place": "a"})
    past = Point("r1", "mp25 a", "2026-11-01 01:00:00", {"FAIL": 1}, {"time of t0 in ms": 7.0})
    text = page.render(summarize([run]), [past], ["one board was left out"])
    assert "mp25 a <span" in text
    assert 'aria-label="from 7 to 5"' in text
    assert "one board was left out" in text


SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample"


def test_the_committed_sample_shows_what_a_page_can(tmp_path):
    """Its record, of an older version, gives a page with verdicts, figures without limits and evidence."""
    assert {json.loads(line)["v"] for line in (SAMPLE / "record.jsonl").read_text().splitlines()} == {3}
    run = read(SAMPLE)
    assert run.notes == ()
    found = report.write_runs([run], tmp_path)
    assert {v.value for v, _ in found.counts} >= {"PASS", "FAIL", "MARGINAL", "INFRA", "NOT-RUN"}
    assert {v.value if v else None for v, _ in found.measured} == {"PASS", "MARGINAL", None}
    kinds = {f.kind for case in found.cases for f in case.figures}
    assert kinds == {"series", "histogram", "segments", "timeline", "outliers", "map"}
    text = Elements((tmp_path / report.INDEX).read_text("utf-8"))
    assert "no limit" in text.text
    links = {v for v in text.values if v.startswith("evidence/")}
    assert links
    assert all((tmp_path / link).is_file() for link in links)


@pytest.mark.parametrize("good", [True, False])
def test_the_collector_of_cycles_is_on_again_after_a_report(tmp_path, good):
    """It is off while a report is made, and on again even if there is none."""
    with contextlib.nullcontext() if good else pytest.raises(UsageError):
        report.write([sample(tmp_path / "run") if good else tmp_path / "none"], tmp_path / "out")
    assert gc.isenabled()
