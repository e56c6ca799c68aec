# SPDX-License-Identifier: MIT
"""Notes of the operator and the signatures that a target file asks for: read, refused, recorded."""

import pytest
from attrs import evolve

from mpbench.board.identification import About
from mpbench.core.errors import UsageError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.facts import Provenance
from mpbench.core.lines import LineHead, NotesLine, PlanLine, ProvenanceLine, SignaturesLine
from mpbench.core.notes import notes_in, notes_of, signatures_of
from mpbench.core.record import Clock, read
from mpbench.harness.environment import asked_lines, read_environment
from mpbench.harness.run_state import RunState

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)


def test_notes_are_texts_and_numbers_by_name():
    """A number becomes its text, blanks around a text go."""
    assert notes_of({"supply": " 5.0 V ", "lot": 1234, 7: 2.5}) == {
        "supply": "5.0 V",
        "lot": "1234",
        "7": "2.5",
    }
    assert notes_in(["supply=5.0 V", "remark=a = b"], "--bench-note") == {
        "supply": "5.0 V",
        "remark": "a = b",
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["a"], "bench_notes: ['a'] is no mapping; e.g. `bench_notes: {supply: 5.0 V}`"),
        ({"a": None}, "bench_notes: 'a' is None; expected a text in quotes or a number"),
        ({"a": True}, "bench_notes: 'a' is True; expected a text in quotes or a number"),
        ({"a": [1]}, "bench_notes: 'a' is [1]; expected a text in quotes or a number"),
        ({"a": ""}, "bench_notes: a: an empty text; expected at least one character"),
        ({" ": "x"}, "bench_notes: an empty text; expected at least one character"),
        ({"a": "x" * 2001}, "bench_notes: a: 2001 characters; at most 2000"),
    ],
)
def test_other_notes_of_a_target_file_are_refused(option, message):
    """The message has the value and what would be right."""
    with pytest.raises(UsageError) as refused:
        notes_of(option)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["supply"], "--bench-note: 'supply' has no `=`; expected NAME=TEXT, e.g. 'supply=5.0 V'"),
        (["=5 V"], "--bench-note: an empty text; expected at least one character"),
        (["supply= "], "--bench-note: supply: an empty text; expected at least one character"),
        (["a=1", "a=2"], "--bench-note: 'a' is given twice"),
    ],
)
def test_other_notes_of_a_command_line_are_refused(words, message):
    """A note has a name and a text, once."""
    with pytest.raises(UsageError) as refused:
        notes_in(words, "--bench-note")
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("tested", "bench_signatures: 'tested' is no list of roles; e.g. `[tested, reviewed]`"),
        ([1], "bench_signatures: [1] is no list of roles; e.g. `[tested, reviewed]`"),
        ([""], "bench_signatures: an empty text; expected at least one character"),
        (["r"] * 21, "bench_signatures: 21 roles; at most 20"),
    ],
)
def test_other_roles_are_refused(option, message):
    """A list of words, each a signature."""
    with pytest.raises(UsageError) as refused:
        signatures_of(option)
    assert str(refused.value) == message


def target(tmp_path, options: str):
    path = tmp_path / "mp25.yaml"
    path.write_text(f"targets: {{main: {{}}}}\noptions: {options}\n")
    return read_environment(str(path))


def test_a_run_records_notes_and_roles_of_its_target_file(tmp_path):
    """The command line overrides the target file; the lines follow the start of the run."""
    config = target(tmp_path, "{bench_notes: {supply: 5.0 V, lot: A7}, bench_signatures: [tested, reviewed]}")
    state = RunState(clock=CLOCK)
    plan = PlanLine((), 0)
    state.open(tmp_path / "runs", "mp25", plan, asked=asked_lines(config, ["supply=4.75 V"]))
    state.close()
    assert state.directory
    lines = read(state.directory).lines
    assert [line.kind for line in lines] == ["run-start", "plan", "signatures", "notes", "run-end"]
    assert [evolve(line, head=LineHead()) for line in lines[2:4]] == [
        SignaturesLine(("tested", "reviewed")),
        NotesLine({"supply": "4.75 V", "lot": "A7"}, by=""),
    ]


def test_a_board_that_was_never_reached_has_its_place(tmp_path):
    """With the versions that its consoles show: who looks at the page knows which board it is."""
    state = RunState(clock=CLOCK)
    state.open(tmp_path / "runs", "mp25", PlanLine((), 0))
    state.record_consoles(Evidence((Artefact("console", b"U-Boot 2025.01\r\n"),)), {"place": "mp25-3"})
    state.close()
    assert state.directory
    (line,) = read(state.directory).of(ProvenanceLine)
    assert line.entries == {"u-boot": "2025.01", "place": "mp25-3"}


def test_a_board_that_its_resource_emulates_is_virtual(tmp_path):
    """Also if its own files name a real one, as a distribution's device tree does."""
    state = RunState(clock=CLOCK)
    state.open(tmp_path / "runs", "mp15", PlanLine((), 0))
    found = About(Provenance({"compatible": "st,stm32mp157c-dk2"}), False, Evidence())
    state.identified(found, {"qemu": "10.0.13"})
    state.close()
    assert state.directory
    assert state.board
    assert state.board.virtual
    assert [line.virtual for line in read(state.directory).of(ProvenanceLine)] == [True]


def test_a_target_file_without_them_adds_no_line(tmp_path):
    """Nothing is asked for: nothing is recorded."""
    assert asked_lines(target(tmp_path, "{}"), []) == []


def test_a_mistake_in_a_target_file_names_the_file(tmp_path):
    """A note of the command line is not blamed on the file."""
    config = target(tmp_path, "{bench_signatures: tested}")
    with pytest.raises(UsageError, match=r"^\S*/mp25\.yaml: bench_signatures: 'tested' is no list of roles"):
        asked_lines(config, [])
    with pytest.raises(UsageError, match=r"^--bench-note: 'x' has no `=`"):
        asked_lines(config, ["x"])
