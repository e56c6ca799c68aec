# SPDX-License-Identifier: MIT
"""Fault 28: the lab host's disk is full, at any byte of what the bench writes; on a small tmpfs.

Each time: what does not fit is the lab's fault, in one line, and not there; what was there is whole, can be
read and continues once there is room; a night starts no further job and reports why.
"""

import asyncio
import contextlib
import os
import random
import sqlite3
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import Artefact
from mpbench.core.lines import PlanLine, ProvenanceLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import LOG, Clock, Record, new_directory, read
from mpbench.lab import night
from mpbench.lab.history import History
from mpbench.lab.journal import FILE, NightJournal
from mpbench.lab.plan import Job, NightPlan
from mpbench.report import publish as report
from mpbench.report.trend import Point
from testcases.unit.test_lab_night import PlayedCoordinator

PAGE = 4096
"""tmpfs gives room by pages; what is left in a file's last one takes bytes of any number."""
NOW_S = 1_795_000_000.0
CLOCK = Clock(utc_s=lambda: NOW_S)


class Disk:
    """A file system of some KiB, with a file that takes room."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def leave(self, pages: int) -> None:
        """Take all room but `pages` pages."""
        self.empty()
        free = os.statvfs(self.path).f_bavail
        with self._ballast.open("wb") as file:
            file.write(b"x" * (max(0, free - pages) * PAGE))
        assert os.statvfs(self.path).f_bavail == min(pages, free)

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 1 MiB; the report of a night is some 100 KiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,huge=never", "none", str(place)], check=True)
    yield Disk(place)
    subprocess.run(["umount", "-l", str(place)], check=True)


def words(chance: random.Random, most: int) -> str:
    """Text of any length."""
    return "".join(chance.choices(string.printable, k=chance.randrange(most)))


def fits(action: Callable[[], object]) -> bool:
    """Whether the disk took it; the only other outcome is an InfrastructureError of one line."""
    said = ""
    try:
        action()
    except InfrastructureError as fault:
        said = str(fault)
    assert "\n" not in said
    return not said


def tree(place: Path) -> dict[str, bytes]:
    """Every file below `place`, whole."""
    return {str(f.relative_to(place)): f.read_bytes() for f in place.rglob("*") if f.is_file()}


def a_run(root: Path, chance: random.Random, name: str = "r1") -> Record:
    """A record that has begun, of a test that passed."""
    record = Record(new_directory(root, "t", CLOCK), name, CLOCK)
    record.append(RunStart(target="t", command=(), bench="", continues=None))
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core=None, title=words(chance, 200), requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=1))
    return record


# --- what a run writes ----------------------------------------------------------------------------------


def test_28_a_record_holds_what_fitted_and_nothing_of_the_rest(disk: Disk, chance: random.Random) -> None:
    """Lines and evidence of any length, with room for any number of bytes: each is there or is not."""
    before = a_run(disk.path, chance, "before")
    before.keep([Artefact("console", chance.randbytes(5000))])
    before.close()
    old = tree(before.directory)
    record = a_run(disk.path, chance)
    written, kept, refused = 4, dict[str, bytes](), 0
    disk.leave(chance.randrange(8))

    def keep(artefact: Artefact) -> None:
        kept[str(record.keep([artefact])[0].file)] = artefact.data

    while refused < 4:
        if chance.random() < 0.3:
            artefact = Artefact("a", chance.randbytes(chance.randrange(1, 3 * PAGE)))
            if fits(partial(keep, artefact)):
                continue
        elif fits(
            lambda: record.append(
                ProvenanceLine(entries={"x": words(chance, PAGE)}, virtual=True, evidence=())
            )
        ):
            written += 1
            continue
        refused += 1
    found = read(record.directory)
    assert [line.head.n for line in found.lines] == list(range(written))
    assert found.notes == ("the run did not end: it was killed, or it is still running",)
    assert {f.name: f.read_bytes() for f in (record.directory / "evidence").iterdir()} == kept
    assert tree(before.directory) == old
    disk.empty()
    record.append(RunEnd(counts={}))
    record.close()
    assert read(record.directory).notes == ()


def test_28_a_report_is_the_old_one_or_the_new_one(disk: Disk, chance: random.Random) -> None:
    """A page that does not fit leaves the one before, whole, and nothing of itself; later it fits."""
    record = a_run(disk.path, chance)
    record.keep([Artefact("console", words(chance, 5000).encode())])
    record.close()
    output = disk.path / "page"
    report.write([record.directory], output)
    old = tree(output)
    disk.leave(chance.randrange(len(old[report.INDEX]) // PAGE))
    remark = words(chance, 100)
    wrote = fits(lambda: report.write([record.directory], output, remarks=[remark]))
    new = tree(output)
    assert new.keys() == old.keys()
    assert not wrote
    assert new[report.INDEX] == old[report.INDEX]
    disk.empty()
    report.write([record.directory], output, remarks=[remark])
    assert read(record.directory).id == "r1"


# --- what a night writes --------------------------------------------------------------------------------


def test_28_a_journal_holds_what_fitted(disk: Disk, chance: random.Random) -> None:
    """The next night, on the full disk as well, takes up what was written, and never half a line."""
    journal = NightJournal.open(disk.path, "plan", NOW_S)
    path, kinds = journal.directory / FILE, ["begun"]
    journal.add("begun", job_run=words(chance, 3000))
    disk.leave(0)
    for number in range(400):
        kind = f"{chance.choice(['attempt', 'done'])}-{number}"
        if fits(partial(journal.add, kind, job_run=words(chance, 80))):
            kinds.append(kind)
    assert len(kinds) < 400
    journal.close()
    whole = path.read_bytes()
    with contextlib.suppress(OSError), path.open("ab") as file:
        file.write(b"{")  # what a killed write may leave, if there is room
    on_full = NightJournal.open(disk.path, "plan", NOW_S + 60)
    assert on_full.resumed
    assert [line["kind"] for line in on_full._lines] == kinds
    on_full.close()
    assert tree(journal.directory) == {FILE: whole}
    disk.empty()
    again = NightJournal.open(disk.path, "plan", NOW_S + 120)
    assert again.resumed
    assert [line["kind"] for line in again._lines] == kinds
    again.close()


def test_28_a_history_remembers_all_of_a_night_or_nothing(disk: Disk, chance: random.Random) -> None:
    """SQLite on a full disk: points and quarantines are the old or the new ones, never a mix."""
    history = History(disk.path / "history.sqlite")
    old = [Point(f"old{n}", "x", "2026", {"PASS": n}, {"p": 1.0}) for n in range(chance.randrange(1, 40))]
    new = [
        Point(f"new{n}", words(chance, 300), "2026", {"FAIL": n}, {}) for n in range(chance.randrange(1, 60))
    ]
    history.remember(old)
    history.quarantine("a", "2026", "no SSH")
    disk.leave(chance.randrange(12))
    remembered = fits(lambda: history.remember(new))
    out = fits(lambda: history.quarantine("b", "2026", words(chance, 3 * PAGE)))
    disk.empty()
    assert history.points() == old + new * remembered
    assert set(history.quarantined()) == {"a", *(["b"] if out else [])}
    with contextlib.closing(sqlite3.connect(history.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


EATS = """
import os, sys, pathlib
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
directory = new_directory(pathlib.Path(sys.argv[1]), "t", Clock())
record = Record(directory, directory.name)
record.append(RunStart("t", (), "", None, os.environ["MPBENCH_UNIT"]))
record.append(PlanLine(("t",), 1))
record.append(TestStart(test="t", core=None, title="", requirements=()))
record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=1))
record.append(RunEnd(counts={}))
record.close()
with open(sys.argv[2], "ab", buffering=0) as file:
    try:
        file.write(b"x" * int(sys.argv[3]))
    except OSError:
        pass
"""
"""A run that ends well, and writes sys.argv[3] bytes beside."""


def test_28_a_night_starts_no_further_job(
    disk: Disk, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in a run: what is after it is not begun, and the disk's numbers are the reason.

    Without that check and with a disk full to the last byte, no existing file is damaged, no
    process is left, and the night is no success.
    """
    checks = chance.random() < 0.5
    reports = disk.path / "nights"
    earlier = an_earlier_night(reports, chance)
    old = tree(earlier)
    eaten = chance.randrange(600_000, 900_000) if checks else 2**20
    eat = [sys.executable, "-c", EATS]
    ballast = str(disk.path / "ballast")
    monkeypatch.setattr(night, "command", lambda _job, runs: [*eat, str(runs), ballast, str(eaten)])
    jobs = tuple(
        Job(f"job{n}", disk.path / "t.yaml", {"board": "x"}, ("t",)) for n in range(chance.randint(2, 4))
    )
    plan = NightPlan(
        disk.path / "p.yaml", "plan", reports, jobs, retry_after_s=0.01, free_mb=1 if checks else 0
    )
    journal, said = NightJournal.open(reports, "plan", NOW_S), list[str]()
    history = History(reports / "history.sqlite")
    coordinator = PlayedCoordinator()
    made = night.Night(plan, said.append, coordinator, history, journal)
    made.free_bytes = lambda path: os.statvfs(path).f_bavail * PAGE + 500_000  # megabytes are asked for
    with contextlib.nullcontext() if checks else contextlib.suppress(InfrastructureError):
        assert asyncio.run(made.run()) == 3
    journal.close()
    assert tree(earlier) == old
    words = " ".join(said)
    if checks:
        assert coordinator.said.count("acquire") == 1
        assert (
            words.count("the lab host's disk has 0 MB left, `free_mb` is 1: no further job") == len(jobs) - 1
        )
    else:
        assert "not complete" in words or "aborted" in words
    first = read(next((journal.directory / "runs").glob(f"job0-p-*/*/{LOG}")).parent)
    assert first.notes == ()
    disk.empty()
    assert history.points()[0] == OLD
    again = NightJournal.open(reports, "plan", NOW_S + 60)
    assert again.resumed != checks
    again.close()


OLD = Point("old", "x", "2020", {"PASS": 1}, {})


def an_earlier_night(reports: Path, chance: random.Random) -> Path:
    """A night that ended, and what the history has of it."""
    found = reports / "20200101T000000Z-plan"
    a_run(found / "runs/u", chance, "earlier").close()
    (found / FILE).write_text('{"kind": "end"}\n')
    History(reports / "history.sqlite").remember([OLD])
    return found
