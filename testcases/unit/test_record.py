# SPDX-License-Identifier: MIT
"""The record: what a run leaves on disk, whatever happens to it."""

import contextlib
import hashlib
import json
import resource

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.record import (
    COMMON,
    LOG,
    SCHEMA,
    SINCE,
    VERSION,
    Clock,
    Record,
    json_schema,
    new_directory,
    read,
    safe_name,
)

CLOCK = Clock(utc_s=lambda: 1_795_000_000.25, mono_ns=lambda: 42)


@pytest.fixture
def record(tmp_path):
    record = Record(new_directory(tmp_path, "virtual-mp25", CLOCK), "r1", CLOCK)
    yield record
    record.close()


def ended(record: Record) -> Record:
    """A record of one test that passed."""
    record.append("test-start", test="t", core="m33", title="It works.", requirements=[])
    record.append("test-end", test="t", verdict="PASS", reason="", duration_ns=5)
    record.append("run-end", counts={"PASS": 1})
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
        assert line.keys() >= COMMON.keys()
        assert (line["n"], line["run"], line["board"]) == (number, "r1", "SN1")
        assert (line["boot"], line["epoch"], line["mono_ns"]) == ("b-1", "7", 42)
        assert line["utc"] == "2026-11-18T11:06:40.250000+00:00"


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
    record.append("provenance", entries={}, virtual=True, evidence=[])
    assert read(record.directory).notes == ("the run did not end: it was killed, or it is still going on",)
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
    record.append("provenance", entries={"kernel": "6.12"}, virtual=True, evidence=[])
    before = (record.directory / LOG).read_bytes()
    with disk_of(len(before) + room), pytest.raises(InfrastructureError, match=r"record\.jsonl"):
        record.append("provenance", entries={"long": "x" * 1000}, virtual=True, evidence=[])
    assert (record.directory / LOG).read_bytes() == before
    record.append("provenance", entries={"kernel": "again"}, virtual=True, evidence=[])
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
    assert [r["file"] for r in refs] == [f"{html.sha256}.txt", f"{binary.sha256}.bin", f"{html.sha256}.txt"]
    assert len(list((record.directory / "evidence").iterdir())) == 2
    ended(record)
    assert read(record.directory).evidence(str(refs[1]["file"])) == binary.data


def test_evidence_that_was_changed_is_not_shown(record):
    """A file that no longer has the hash in its name counts as gone."""
    ref = str(record.keep([Artefact("kmsg", b"true")])[0]["file"])
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


def test_a_line_has_exactly_the_fields_of_its_kind(record):
    """A missing or unknown field is the caller's mistake, found before anything is written."""
    with pytest.raises(UsageError, match=r"kind run-end has exactly \['counts'\].*\['count'"):
        record.append("run-end", count={})
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        record.append("run-end", counts={"PASS": float("nan")})
    assert (record.directory / LOG).read_bytes() == b""


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
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", r"record\.jsonl:2: not JSON"),
        (b"\xff", r"record\.jsonl:2: not JSON"),
        (b"[1]", "no version"),
        (b'{"v": true}', "no version"),
        (json.dumps(good_line() | {"v": 99}).encode(), "version 99 is newer"),
        (json.dumps(good_line() | {"counts": []}).encode(), r"`counts` is \[\]; right would be object"),
        (json.dumps(good_line() | {"n": True}).encode(), "`n` is True; right would be int"),
        (json.dumps(good_line() | {"run": None}).encode(), "`run` is None; right would be str"),
        (json.dumps(good_line() | {"kind": "x"}).encode(), "kind 'x' is unknown"),
        (
            json.dumps(good_line() | {"kind": "provenance"}).encode(),
            "'entries', .* missing",
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
    assert read(tmp_path).lines[0]["requirements"] == SINCE[2]["test-start"]["requirements"]
    newer = old | {"v": 2}
    (tmp_path / LOG).write_text(json.dumps(newer) + "\n")
    with pytest.raises(UsageError, match=r"\['requirements'\] missing"):
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
    (line,) = read(tmp_path).lines
    assert (line["name"], line["statistic"], line["samples"], line["verdict"]) == expected
    assert line["conditions"] == {}


def test_the_schema_is_printed_with_a_sentence_for_every_field():
    """Other programs get a JSON Schema: each kind with all its fields, their types and what they mean."""
    kinds = {kind["title"]: kind for kind in json_schema()["oneOf"]}
    assert kinds.keys() == SCHEMA.keys()
    start = kinds["test-start"]
    assert set(start["required"]) == COMMON.keys() | SCHEMA["test-start"].keys()
    assert start["properties"]["kind"] == {"const": "test-start"}
    assert start["properties"]["core"] == {
        "type": ["string", "null"],
        "description": "the core it runs on",
    }
    assert all(
        p.get("description") for k in kinds.values() for name, p in k["properties"].items() if name != "kind"
    )
