# SPDX-License-Identifier: MIT
"""What a page about several runs was made of is kept beside it, and read with care."""

import json

import pytest
from attrs import evolve

from mpbench.commands import main
from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory, read
from mpbench.core.verdict import Judgement
from mpbench.report import publish
from mpbench.report.sources import SOURCES, Sources, read_sources
from mpbench.report.trend import Point

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
POINT = Point("r0", "mp25", "2026-11-17 11:06:40", {"PASS": 1}, {"recovery in ms": 4.5})


def run_in(root, run):
    record = Record(new_directory(root, "mp25", CLOCK), run, CLOCK)
    record.append(RunStart("mp25", (), "0.1.0"))
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(None, "It works.", test="t"))
    record.append(TestEnd(Verdict.PASS, "", 5, test="t"))
    record.append(RunEnd({}))
    record.close()
    return record.directory


def contents(directory):
    return {name: (directory / name).read_bytes() for name in (*publish.WRITTEN, SOURCES)}


def test_a_page_is_made_again_from_what_is_beside_it(tmp_path, capsys):
    """Records inside are named where they are, others are copied; remarks and trends come back."""
    night = tmp_path / "night"
    inside, outside = run_in(night / "runs" / "job", "r1"), run_in(tmp_path / "else", "r2")
    lacks = Judgement(Verdict.INCOMPLETE, ("job on b: nothing was run",))
    publish.write_runs([read(inside), read(outside)], night, [POINT], ["place b was busy"], [lacks])
    found = read_sources(night)
    assert found.records[0] == f"runs/job/{inside.name}/record.jsonl"
    assert found.records[1].startswith("records/")
    assert (found.remarks, found.history, found.others) == (("place b was busy",), (POINT,), (lacks,))
    before = contents(night)
    (night / "index.html").unlink()
    assert main.main(["report", str(night)]) == 0
    assert capsys.readouterr().out == f"{night / 'index.html'}\n"
    assert contents(night) == before


def test_a_page_beside_its_record_needs_no_sources(tmp_path):
    """A file of an earlier page is removed."""
    run = run_in(tmp_path, "r1")
    publish.write([run], run, remarks=["x"])
    assert (run / SOURCES).exists()
    publish.write([run], run)
    assert not (run / SOURCES).exists()
    assert read_sources(run) == Sources()


def test_of_a_long_history_only_what_the_page_shows_is_kept(tmp_path):
    """The last 60 runs of each label, and the page that is made again is the same."""
    run = run_in(tmp_path, "r1")
    past = [evolve(POINT, run=f"p{n}", label=label) for n in range(100) for label in ("mp25", "mp15")]
    publish.write([run], run, past)
    assert [p.run for p in read_sources(run).history] == [f"p{n}" for n in range(40, 100)] * 2
    before = contents(run)
    publish.write([run], run, read_sources(run).history)
    assert contents(run) == before


GOOD = {"version": 1, "records": ["record.jsonl"], "remarks": [], "history": [], "others": []}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        GOOD | {"version": 2},
        GOOD | {"more": 1},
        GOOD | {"records": "record.jsonl"},
        GOOD | {"records": [1]},
        GOOD | {"records": ["../x/record.jsonl"]},
        GOOD | {"records": ["/x/record.jsonl"]},
        GOOD | {"records": [""]},
        GOOD | {"records": ["a//record.jsonl"]},
        GOOD | {"records": ["x.jsonl"]},
        GOOD | {"remarks": [None]},
        GOOD | {"history": [1]},
        GOOD | {"others": [{"verdict": "GREEN", "causes": []}]},
        GOOD | {"history": [{"run": "r"}]},
        GOOD | {"history": [{"run": "r", "label": "l", "utc": "u", "counts": [], "values": {}}]},
        GOOD | {"history": [{"run": "r", "label": "l", "utc": "u", "counts": {"PASS": "x"}, "values": {}}]},
        GOOD | {"history": [{"run": 1, "label": "l", "utc": "u", "counts": {}, "values": {}}]},
    ],
)
def test_other_sources_are_refused(tmp_path, content):
    """One line, whatever is in the file."""
    (tmp_path / SOURCES).write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"sources\.json: not written by `mpbench report`: ") as refused:
        read_sources(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff"])
def test_what_is_no_json_is_refused(tmp_path, text):
    """Also what is too deep."""
    (tmp_path / SOURCES).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"sources\.json: not JSON: "):
        read_sources(tmp_path)


def test_sources_that_are_a_link_are_not_followed(tmp_path):
    """Nor is a broken one overlooked."""
    (tmp_path / SOURCES).symlink_to("nowhere")
    with pytest.raises(UsageError, match="it is a symbolic link"):
        read_sources(tmp_path)
