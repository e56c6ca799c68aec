# SPDX-License-Identifier: MIT
"""Faults 43 and 48: reports that somebody changed before or after they were signed."""

import contextlib
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import asdict

from mpbench.commands import main
from mpbench.core.errors import UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine, ProvenanceLine, RunEnd, RunStart, SignaturesLine, TestEnd, TestStart
from mpbench.core.record import LOG, Clock, Record, new_directory
from mpbench.report import publish, signoff
from mpbench.report.manifest import MANIFEST, SIGNATURES, dump
from mpbench.report.signing import document_id
from mpbench.report.sources import read_sources
from mpbench.report.summarize import summarize
from mpbench.report.tree import tree_of

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
NAMES = (
    "x",
    "index.html ",
    "\x1b[2J\x1b[31mPASS",
    "a\nWRONG: nothing",
    "..\u202e",
    "evidence2",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
)


def run_in(root: Path, chance: random.Random, run: str = "r1") -> Path:
    """A run of a few tests with evidence, at least one FAIL, and its page; asks for two signatures."""
    record = Record(new_directory(root, "mp25", CLOCK), run, CLOCK)
    tests = [f"a.py::t{n}" for n in range(chance.randrange(2, 6))]
    record.append(RunStart("mp25", (), "0.1.0"))
    record.append(SignaturesLine(("tested", "reviewed")))
    record.append(PlanLine(tuple(tests), len(tests)))
    record.append(ProvenanceLine({}, False, record.keep([Artefact("console", chance.randbytes(40))])))
    for test in tests:
        verdict = Verdict.FAIL if test == tests[0] else Verdict.PASS
        record.append(TestStart(None, "It works.", ("REQ-1",), test=test))
        record.append(TestEnd(verdict, "" if verdict is Verdict.PASS else "it does not", 5, test=test))
    record.append(RunEnd({}))
    record.close()
    publish.write([record.directory], record.directory)
    return record.directory


def pick(directory: Path, chance: random.Random) -> Path:
    """A file of the report, none of the signatures'."""
    return chance.choice(sorted(p for p in directory.rglob("*") if p.is_file() and p.name not in signoff.OWN))


def flip(directory: Path, chance: random.Random) -> None:
    """One bit of one file."""
    path = pick(directory, chance)
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def remove(directory: Path, chance: random.Random) -> None:
    """One file."""
    pick(directory, chance).unlink()


def improve(directory: Path, chance: random.Random) -> None:
    """Every FAIL of page and exports becomes a PASS, but not that of the record."""
    names = chance.sample(publish.WRITTEN, chance.randrange(1, 5))
    for name in {*names, publish.SUMMARY}:
        text = (directory / name).read_text("utf-8")
        (directory / name).write_text(text.replace("FAIL", "PASS"), "utf-8")


def change_record(directory: Path, chance: random.Random) -> None:
    """A line of the record is missing."""
    lines = (directory / LOG).read_bytes().splitlines(keepends=True)
    del lines[chance.randrange(len(lines) - 1)]
    (directory / LOG).write_bytes(b"".join(lines))


def swap_record(directory: Path, chance: random.Random) -> None:
    """The record of another run, or the page of another run."""
    other = run_in(directory.parent / "other", chance, "r2")
    for name in chance.choice(((LOG,), publish.WRITTEN)):
        shutil.copy(other / name, directory / name)
    shutil.rmtree(other.parent)


def link_away(directory: Path, chance: random.Random) -> None:
    """A file is replaced by a link to its own bytes, outside."""
    path = pick(directory, chance)
    outside = directory.parent / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def add(directory: Path, chance: random.Random) -> None:
    """A file, directory, FIFO, socket or link with a hostile name, somewhere."""
    where = chance.choice([directory, directory / "evidence"])
    path = where / chance.choice(NAMES)
    makers: list[Callable[[Path], object]] = [Path.touch, Path.mkdir, os.mkfifo, bind, loop]
    chance.choice(makers)(path)


def bind(path: Path) -> None:
    """A socket of this name; bound with a short path, as those of sockets are."""
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            made.bind(f"/proc/self/fd/{here}/{path.name}".encode("utf-8", "surrogateescape"))
        finally:
            os.close(here)


def loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


CHANGES = (flip, remove, improve, change_record, swap_record, link_away, add)


def forge_manifest(directory: Path) -> None:
    """A manifest of the directory as it is, with a verdict PASS."""
    (directory / MANIFEST).unlink(missing_ok=True)
    page = summarize([read_sources(directory).runs(directory)[0]])
    found = signoff.manifest_of(page, tree_of(directory, signoff.OWN))
    assert found.document == document_id(page)
    (directory / MANIFEST).write_bytes(found.text().replace(b'"verdict": "FAIL"', b'"verdict": "PASS"'))


@pytest.mark.parametrize("change", CHANGES)
def test_43_nothing_that_was_changed_is_signed(change, chance, tmp_path, capsys):
    """Whatever was changed, and with a manifest there or none: exit code 2, one line, no signature."""
    signoff.new_key(tmp_path / "ann.pem")
    report = run_in(tmp_path / "runs", chance)
    change(report, chance)
    if chance.random() < 0.5 and change in (flip, improve, remove):
        with contextlib.suppress(UsageError):  # the record itself was changed, and is none
            forge_manifest(report)
    words = ["signoff", str(report), "--by", "Ann", "--key", str(tmp_path / "ann.pem")]
    assert main.main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), "\x1b" in err, err.startswith("mpbench: error: ")) == ("", 1, False, True)
    assert not os.path.lexists(report / SIGNATURES)


def test_43_a_forged_verdict_is_not_signed(chance, tmp_path, capsys):
    """Page, exports and manifest say PASS, all consistent among one another; the record says FAIL."""
    signoff.new_key(tmp_path / "ann.pem")
    report = run_in(tmp_path / "runs", chance)
    improve(report, random.Random(0))
    forge_manifest(report)
    assert main.main(["signoff", str(report), "--by", "Ann", "--key", str(tmp_path / "ann.pem")]) == 2
    assert "makes from the record; it has a manifest.json: more signatures need" in capsys.readouterr().err
    assert not os.path.lexists(report / SIGNATURES)


@pytest.mark.parametrize("change", CHANGES)
def test_48_every_change_after_the_signatures_is_found(change, chance, tmp_path, capsys):
    """Exit code 1 with a line for each difference, escaped; 0 before the change."""
    report, trust = signed(tmp_path, chance)
    assert main.main(["verify", str(report), "--trust", trust]) == 0
    capsys.readouterr()
    change(report, chance)
    assert main.main(["verify", str(report), "--trust", trust]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert all(line.startswith("  WRONG: ") for line in lines[3:])
    assert len(lines) > 3
    assert out.replace("\n", "").isprintable()


def test_48_no_signature_can_be_removed_or_moved(chance, tmp_path):
    """Of two signatures that are asked for, each that is gone, changed or in another place is found."""
    report, trust = signed(tmp_path, chance)
    keys = signoff.load_trusted([Path(trust)])
    one, two = signoff.read_signatures(report)
    for left in ([], [one], [two], [two, one], [one, one], [two, two], [one, two, two]):
        (report / SIGNATURES).write_bytes(dump([asdict(s) for s in left]))
        assert signoff.verify(report, keys).wrong, left
    (report / SIGNATURES).unlink()
    assert signoff.verify(report, keys).wrong == (
        "no signature as reviewed",
        "no signature as tested",
        "not signed",
    )


def signed(tmp_path: Path, chance: random.Random) -> tuple[Path, str]:
    """A report with the two signatures that it asks for, and the directory of the public keys."""
    report = run_in(tmp_path / "runs", chance)
    for name, role in (("ann", "tested"), ("bob", "reviewed")):
        signoff.new_key(tmp_path / "keys" / f"{name}.pem")
        signoff.sign(report, signoff.load_key(tmp_path / "keys" / f"{name}.pem"), name, role, CLOCK)
    return report, str(tmp_path / "keys")
