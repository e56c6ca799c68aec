# SPDX-License-Identifier: MIT
"""The record: what a run leaves on disk, whatever happens to it."""

import contextlib
import hashlib
import json
import resource
from pathlib import Path

import pytest
from attrs import evolve

from mpbench.core.codec import encode
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import DUMP, IMAGE, Artefact
from mpbench.core.facts import Agreement, FieldVerdict, Verdict
from mpbench.core.lines import (
    KINDS,
    VERSION,
    EvidenceRef,
    HistogramLine,
    LineHead,
    MapLine,
    MeasurementLine,
    NotesLine,
    OutlierSample,
    OutliersLine,
    PlanLine,
    ProvenanceLine,
    RecordLine,
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
from mpbench.core.record import LOG, Clock, Record, new_directory, read, safe_name
from mpbench.core.schema import json_schema

CLOCK = Clock(utc_s=lambda: 1_795_000_000.25, mono_ns=lambda: 42)


@pytest.fixture
def record(tmp_path):
    record = Record(new_directory(tmp_path, "virtual-mp25", CLOCK), "r1", CLOCK)
    yield record
    record.close()


def ended(record: Record) -> Record:
    """A record of one test that passed."""
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core="m33", title="It works.", requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=5))
    record.append(RunEnd(counts={"PASS": 1}))
    record.close()
    return record


def test_the_directory_is_named_after_time_and_target(tmp_path):
    """A run's directory sorts by time and says what was tested; two runs of one second do not collide."""
    names = [new_directory(tmp_path, "virtual-mp25", CLOCK).name for _ in range(2)]
    assert names == ["20261118T110640Z-virtual-mp25", "20261118T110640Z-virtual-mp25-2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\nb", "a_b"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("x" * 300, "x" * 80),
        ("mp25-1", "mp25-1"),
    ],
)
def test_a_hostile_name_stays_one_part_of_a_path(name, expected):
    """A name from outside never leaves the directory of reports."""
    assert safe_name(name) == expected


def test_a_directory_that_cannot_be_made_is_the_labs_fault(tmp_path):
    """The error names the directory and the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match=r"cannot make .*file.*: Not a directory"):
        new_directory(tmp_path / "file", "x", CLOCK)


def test_every_line_says_which_run_board_and_boot_it_is_about(record):
    """Version, number, clocks, run, board, boot and lock epoch stand in every line."""
    record.board, record.boot, record.epoch = "SN1", "b-1", "7"
    ended(record)
    for number, line in enumerate(read(record.directory).lines):
        utc = "2026-11-18T11:06:40.250000+00:00"
        assert line.head == LineHead(VERSION, number, utc, 42, "r1", "SN1", "b-1", "7")


@pytest.mark.slow
def test_a_kill_at_any_byte_leaves_complete_lines(record):
    """However far the last write got, the lines before it are read and the stump is named."""
    ended(record)
    path = record.directory / LOG
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        run = read(record.directory)
        assert len(run.lines) == whole[:length].count(b"\n")
        stump = length - whole[:length].rfind(b"\n") - 1
        assert any(f"{stump} bytes ignored" in note for note in run.notes) == (stump > 0)


def test_a_run_that_did_not_end_is_said_to_be_killed_or_going_on(record):
    """Nobody takes the record of half a run for a whole one."""
    record.append(ProvenanceLine(entries={}, virtual=True, evidence=()))
    assert read(record.directory).notes == ("the run did not end: it was killed, or it is still running",)
    ended(record)
    assert read(record.directory).notes == ()


@contextlib.contextmanager
def disk_of(size: int):
    """No file of this process grows beyond `size` bytes: what a full disk does to write()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_stops_the_run_and_spoils_no_line(record, room):
    """A line that does not fit is a lab fault and leaves nothing of itself behind."""
    record.append(ProvenanceLine(entries={"kernel": "6.12"}, virtual=True, evidence=()))
    before = (record.directory / LOG).read_bytes()
    with disk_of(len(before) + room), pytest.raises(InfrastructureError, match=r"record\.jsonl"):
        record.append(ProvenanceLine(entries={"long": "x" * 1000}, virtual=True, evidence=()))
    assert (record.directory / LOG).read_bytes() == before
    record.append(ProvenanceLine(entries={"kernel": "again"}, virtual=True, evidence=()))
    assert len(read(record.directory).lines) == 2


def test_evidence_that_does_not_fit_leaves_no_file(record):
    """Half an artefact is none."""
    with disk_of(10), pytest.raises(InfrastructureError, match=r"cannot write .*File too large"):
        record.keep([Artefact("kmsg", b"x" * 100)])
    assert list((record.directory / "evidence").iterdir()) == []


def test_evidence_is_kept_once_under_its_hash(record):
    """Equal bytes are one file; text and binary are told apart so that a browser never runs them."""
    html, binary = Artefact("secure-console", b"<script>x()</script>"), Artefact("image", b"\x00\xff")
    refs = record.keep([html, binary, Artefact("again", html.data)])
    assert [r.file for r in refs] == [f"{html.sha256}.txt", f"{binary.sha256}.bin", f"{html.sha256}.txt"]
    assert len(list((record.directory / "evidence").iterdir())) == 2
    ended(record)
    assert read(record.directory).evidence(str(refs[1].file)) == binary.data


def test_evidence_has_no_secret_but_images_are_kept_to_the_byte(tmp_path):
    """A board may print what was typed at its console; hashes elsewhere are those of images and dumps."""
    record = Record(tmp_path, "r1", secrets=frozenset({"c4n4ry-s3cret"}))
    (tmp_path / "evidence").mkdir()
    printed = b"Password: c4n4ry-s3cret\r\nLogin incorrect\xff\0"
    names = ("serial console", "kmsg", IMAGE, DUMP)
    kept = record.keep([Artefact(name, printed) for name in names])
    record.close()
    found = [(tmp_path / "evidence" / ref.file).read_bytes() for ref in kept]
    assert found == [b"Password: ***\r\nLogin incorrect\xff\0"] * 2 + [printed] * 2
    assert [ref.sha256 for ref in kept] == [hashlib.sha256(data).hexdigest() for data in found]
    assert [ref.size for ref in kept] == [len(data) for data in found]


def test_evidence_that_was_changed_is_not_shown(record):
    """A file that no longer has the hash in its name counts as gone."""
    ref = str(record.keep([Artefact("kmsg", b"true")])[0].file)
    ended(record)
    run = read(record.directory)
    (record.directory / "evidence" / ref).write_bytes(b"false")
    assert run.evidence(ref) is None
    (record.directory / "evidence" / ref).unlink()
    assert run.evidence(ref) is None


def test_a_record_cannot_name_files_outside_its_evidence(record):
    """`file` is a hash with a suffix or nothing."""
    ended(record)
    run = read(record.directory)
    assert run.evidence("../record.jsonl") is None
    assert run.evidence(hashlib.sha256(b"").hexdigest()) is None


def test_a_second_writer_is_refused(record):
    """Two runs never write one record."""
    with pytest.raises(InfrastructureError, match="File exists"):
        Record(record.directory, "r2", CLOCK)


@pytest.mark.parametrize(
    "line",
    [
        RunEnd({"PASS": float("nan")}),  # type: ignore[dict-item]
        RunEnd({"PASS": object()}),  # type: ignore[dict-item]
        StepLine("deploy", "m33", ("no field verdict",), (), 1),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_written_is_refused(record, line):
    """A value of another type is the caller's mistake, and nothing of the line is written."""
    with pytest.raises(UsageError, match=f"a line of kind {line.kind} cannot be written as JSON"):
        record.append(line)
    assert (record.directory / LOG).read_bytes() == b""


EVERY = [
    RunStart("t", ("pytest",), "0.1.0", "r0", "job on place"),
    PlanLine(("t", "t"), 5, ("R-1",), 2),
    SignaturesLine(("tested", "reviewed")),
    NotesLine({"supply": "5.0 V"}, "Ann"),
    ProvenanceLine({"kernel": "6.12"}, True, (EvidenceRef("kmsg", "0" * 64, 1, "f"),)),
    TestStart("m33", "It works.", ("R-1",), test="t"),
    StepLine("deploy", "m33", (FieldVerdict("state", None, True, Agreement.UNDECIDED),), (), 5, test="t"),
    TimelineLine("crash", (("irq", 5),), "s", test="t"),
    MeasurementLine("x", 1, "ms", "s", None, 2.5, 0.1, "p99", 500, {"core": "m33"}, Verdict.PASS, test="t"),
    MeasurementLine("x", 1, "", "s", test="t"),
    SeriesLine("x", (1, 2.5), "ms", "s", test="t"),
    HistogramLine("x", ((1, 2, 3), (2.5, 4, 5)), "ns", "s", {"load": "cpu"}, test="t"),
    SegmentsLine("x", (("a", 1.5),), "µs", "s", test="t"),
    OutliersLine("x", (OutlierSample(1, "start", 0, 1, ((0, 1, 2, "dd"),)),), "s", test="t"),
    MapLine("image", 4096, ((0, 24, "header"),), ((3, True),), test="t"),
    TestEnd(Verdict.INFRA, "no power", 5, test="t"),
    RunEnd({"INFRA": 1}, "SIGTERM was received", 2),
    WaiverLine("t", "Ann", "known erratum"),
]


def test_every_kind_of_line_is_read_as_it_was_written(record):
    """All fields of all kinds come back, in classes that are equal."""
    for line in EVERY:
        record.append(line)
    record.close()
    found = read(record.directory)
    assert [evolve(line, head=LineHead()) for line in found.lines] == EVERY
    assert {type(line) for line in found.lines} == set(KINDS.values())
    assert (found.id, found.ended, [ref.name for ref in found.refs()]) == ("r1", True, ["kmsg"])


def test_the_schema_fits_the_lines(record):
    """Every line that is written has exactly the properties that the schema requires."""
    for line in EVERY:
        record.append(line)
    required = {kind["title"]: set(kind["required"]) for kind in json_schema()["oneOf"]}
    for text in (record.directory / LOG).read_text().splitlines():
        assert json.loads(text).keys() == required[json.loads(text)["kind"]]


def good_line() -> dict:
    return {
        "v": VERSION,
        "n": 0,
        "kind": "run-end",
        "utc": "2026-11-18T11:06:40.250000+00:00",
        "mono_ns": 42,
        "run": "r1",
        "board": None,
        "boot": None,
        "epoch": None,
        "counts": {},
        "why": "",
        "others_failed": 0,
    }


def line_of(line: RecordLine, **changed: object) -> bytes:
    """A written line with other values."""
    return json.dumps(encode(line) | changed).encode()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", r"record\.jsonl:2: not JSON"),
        (b"\xff", r"record\.jsonl:2: not JSON"),
        (b"[1]", "no version"),
        (b'{"v": true}', "no version"),
        (json.dumps(good_line() | {"v": 99}).encode(), "version 99 is newer"),
        (
            json.dumps(good_line() | {"counts": []}).encode(),
            r"record\.jsonl:2: `counts` is \[\]; right would be an object: verdict → number of tests",
        ),
        (
            json.dumps(good_line() | {"counts": {"PASS": "1"}}).encode(),
            "`counts` is '1'; right would be an int",
        ),
        (
            json.dumps(good_line() | {"n": True}).encode(),
            "`n` is True; right would be an integer: number of the",
        ),
        (
            json.dumps(good_line() | {"run": None}).encode(),
            "`run` is None; right would be a string: id of the run",
        ),
        (
            json.dumps(good_line() | {"kind": "x"}).encode(),
            "kind 'x' is unknown; known: run-start, plan, signatures, notes, provenance",
        ),
        (
            json.dumps(good_line() | {"kind": "provenance"}).encode(),
            "`entries` is missing; it is: name → text",
        ),
        (
            line_of(TestEnd(Verdict.PASS, "", -5, test="t")),
            "`duration_ns` is -5; right would be 0 or more: ",
        ),
        (
            json.dumps(good_line() | {"mono_ns": -1, "samples": "of no kind"}).encode(),
            "`mono_ns` is -1; right would be 0 or more: monotonic clock of the host",
        ),
        (
            json.dumps(good_line() | {"utc": "2026-13-45T00:00:00+00:00"}).encode(),
            "`utc` is '2026-13-45T00:00:00\\+00:00'; right would be: wall clock, ISO 8601",
        ),
        (json.dumps(good_line() | {"utc": "2026-11-28T10:00:00"}).encode(), "`utc` is '2026-11-28T10:00:00'"),
        (json.dumps(good_line()).replace('"n":', '"n": 3, "n":').encode(), "key 'n' is given twice"),
        (
            line_of(TestEnd(Verdict.PASS, "", 1, test="t"), verdict="GOOD"),
            "`verdict` is 'GOOD'; right would be one of PASS, FAIL, MARGINAL, ERROR, ",
        ),
        (
            line_of(SeriesLine("x", (), "", ""), values=[1, "2"]),
            "`values` is '2'; right would be a number: one per",
        ),
        (line_of(SeriesLine("x", (), "", ""), values="12"), "`values` is '12'; right would be a list"),
        (
            line_of(HistogramLine("x", (), "", ""), buckets=[[1, 2]]),
            r"`buckets` is \[1, 2\]; right would be a list of 3: \[low, high, count\]",
        ),
        (line_of(HistogramLine("x", ((1, 2, -1),), "", "")), r"`buckets` has a count below 0: \[low, high, "),
        (
            line_of(
                StepLine("x", "m33", (), (), 1), fields=[{"name": "state", "predicted": [], "observed": 1}]
            ),
            r"`fields.predicted` is \[\]; right would be a string, an integer, true, false or null: pred",
        ),
    ],
)
def test_a_line_that_is_none_is_named_by_its_number(tmp_path, line, message):
    """A broken line in the middle is no stump: the reader refuses and says where."""
    (tmp_path / LOG).write_bytes(json.dumps(good_line()).encode() + b"\n" + line + b"\n")
    with pytest.raises(UsageError, match=message):
        read(tmp_path)


def test_no_record_is_said_with_what_would_be_right(tmp_path):
    """A wrong directory is answered with an example."""
    with pytest.raises(UsageError, match=r"no record at .*give a run's directory"):
        read(tmp_path)


def test_an_older_record_is_read_as_of_today(tmp_path):
    """A line of version 1 lacks what version 2 brought, and is read with what that means."""
    old = good_line() | {"v": 1, "kind": "test-start", "test": "t", "core": None, "title": "It works."}
    (tmp_path / LOG).write_text(json.dumps(old) + "\n")
    (line,) = read(tmp_path).of(TestStart)
    assert (line.requirements, line.head.v) == ((), 1)
    newer = old | {"v": 2}
    (tmp_path / LOG).write_text(json.dumps(newer) + "\n")
    with pytest.raises(UsageError, match="`requirements` is missing"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "high", "expected"),
    [
        ("m33 recovery, p99.9 of 500", 10, ("m33 recovery", "p99.9", 500, "PASS")),
        ("m33 recovery, max of 5", None, ("m33 recovery", "max", 5, None)),
        ("interrupts of CPU 0", None, ("interrupts of CPU 0", "", None, None)),
    ],
)
def test_an_older_measurement_gets_its_fields(tmp_path, name, high, expected):
    """Before version 4 statistic and n were part of the name, and a figure without limits was a PASS."""
    old = good_line() | {"v": 3, "kind": "measurement", "test": "t", "name": name, "value": 5, "unit": "ms"}
    old |= {"source": "s", "low": None, "high": high, "margin": 0.0, "verdict": "PASS"}
    (tmp_path / LOG).write_text(json.dumps(old) + "\n")
    (line,) = read(tmp_path).of(MeasurementLine)
    assert (line.name, line.statistic, line.samples, line.verdict and line.verdict.value) == expected
    assert line.conditions == {}


@pytest.mark.parametrize("version", [2, 3])
def test_a_record_of_an_older_bench_is_read(version):
    """Records of versions 2 and 3 are complete, and their measurements have the present fields."""
    run = read(Path(__file__).parents[1] / "captures" / f"record-v{version}")
    assert {line.head.v for line in run.lines} == {version}
    assert (run.notes, run.ended) == ((), True)
    measured = list(run.of(MeasurementLine))
    assert {(m.statistic, m.samples) for m in measured} == {("min", 5), ("p50", 5), ("max", 5)}
    assert all(m.verdict is None or m.limited for m in measured)


def test_the_schema_is_printed_with_a_sentence_for_every_field():
    """Other programs get a JSON Schema: each kind with all its fields, their types and what they mean."""
    kinds = {kind["title"]: kind for kind in json_schema()["oneOf"]}
    assert kinds.keys() == KINDS.keys()
    start = kinds["test-start"]["properties"]
    assert start["kind"] == {"const": "test-start"}
    assert start["core"] == {"type": ["string", "null"], "description": "the core it runs on"}
    assert kinds["test-end"]["properties"]["verdict"]["enum"] == [verdict.value for verdict in Verdict]
    buckets = kinds["histogram"]["properties"]["buckets"]["items"]
    assert [item["type"] for item in buckets["prefixItems"]] == ["number", "number", "integer"]
    assert kinds["step"]["properties"]["fields"]["items"]["properties"]["agreement"]["enum"][0] == "agrees"
    assert kinds["provenance"]["properties"]["entries"]["additionalProperties"] == {"type": "string"}
    assert {"type": "null"} in kinds["measurement"]["properties"]["verdict"]["anyOf"]
    assert all(
        p.get("description") for k in kinds.values() for name, p in k["properties"].items() if name != "kind"
    )
