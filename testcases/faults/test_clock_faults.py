# SPDX-License-Identifier: MIT
"""Fault 29: the lab host's wall clock jumps, forth and back, by seconds and by years.

Each time: durations are right, the order of what happened is kept, no night or run takes the place of
another, and a time window (fault 40) is never exceeded.
"""

import asyncio
import datetime
import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import define, field

from mpbench.core.facts import Verdict
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, in_order, new_directory, read
from mpbench.harness.resume import of_runs
from mpbench.lab import night, retention
from mpbench.lab.history import History
from mpbench.lab.journal import FILE, NightJournal
from mpbench.lab.plan import Job, NightPlan, TimeWindow
from mpbench.report import publish as report
from mpbench.report.trend import Point, trends
from testcases.contract.test_plugin import Place, key  # noqa: F401 - a fixture
from testcases.unit.test_lab_night import PlayedCoordinator

NOW_S = 1_795_000_000.0
YEAR_S = 365 * 86400


@define
class Jumping:
    """A wall clock that is set from time to time; the monotonic one continues."""

    chance: random.Random
    wall_s: float = NOW_S
    mono_ns: int = 10**9
    spent_ns: list[int] = field(factory=list)

    def passes(self, seconds: float) -> None:
        """Time passes, and the clock is set."""
        self.mono_ns += round(seconds * 1e9)
        self.wall_s += seconds + self.chance.choice(
            [0, 0, 0, 1, -1, 3600, -3600, -86400, YEAR_S, -30 * YEAR_S]
        )
        self.wall_s = max(0.0, self.wall_s)

    def clock(self) -> Clock:
        """As the record takes it."""
        return Clock(utc_s=lambda: self.wall_s, mono_ns=lambda: self.mono_ns)


def run_of(root: Path, jumping: Jumping, run: str, continues: str | None, **verdicts: str) -> Path:
    """A record of tests with these verdicts; the clock jumps in each."""
    record = Record(new_directory(root, "t", jumping.clock()), run, jumping.clock())
    record.append(RunStart(target="t", command=(), bench="", continues=continues))
    record.append(PlanLine(tuple(verdicts), len(verdicts)))
    for test, verdict in verdicts.items():
        record.append(TestStart(test=test, core=None, title="", requirements=()))
        begin = jumping.mono_ns
        jumping.passes(jumping.chance.uniform(0.0, 5.0))
        took = jumping.mono_ns - begin
        jumping.spent_ns.append(took)
        record.append(TestEnd(test=test, verdict=verdict, reason="", duration_ns=took))
    record.append(RunEnd(counts={}))
    record.close()
    return record.directory


def test_29_a_record_keeps_durations_and_order(chance: random.Random, tmp_path: Path) -> None:
    """Lines are numbered and have the monotonic clock; the page's times are its, whatever the date is."""
    jumping = Jumping(chance)
    names = {f"test_{n}": "PASS" for n in range(chance.randint(2, 9))}
    directory = run_of(tmp_path, jumping, "r", None, **names)
    lines = read(directory).lines
    assert all(a.head.n + 1 == b.head.n and a.head.mono_ns <= b.head.mono_ns for a, b in pairwise(lines))
    assert {datetime.datetime.fromisoformat(line.head.utc).tzinfo for line in lines} == {datetime.UTC}
    page = report.write_runs([read(directory)], tmp_path / "page")
    assert [case.duration_ms for case in page.cases] == pytest.approx([ns / 1e6 for ns in jumping.spent_ns])
    assert page.verdict is Verdict.PASS


def test_29_the_last_word_is_the_last_run_s(chance: random.Random, tmp_path: Path) -> None:
    """A chain of runs, each taking up the one before, is read in its order, whatever its names say."""
    jumping = Jumping(chance)
    tests = [f"test_{n}" for n in range(chance.randint(1, 5))]
    ids = [f"{chance.randrange(1 << 32):08x}" for _ in range(chance.randint(2, 6))]
    for before, run in zip([None, *ids], ids, strict=False):
        verdict = "PASS" if run == ids[-1] else "INFRA"
        run_of(tmp_path / "runs", jumping, run, before, **dict.fromkeys(tests, verdict))
        jumping.passes(chance.uniform(0.0, 3600.0))
    found = of_runs(tmp_path / "runs")
    assert (found.run, found.open, found.settled) == (ids[-1], frozenset(), frozenset(tests))
    assert found.ended
    runs = [read(directory) for directory in sorted((tmp_path / "runs").iterdir())]
    assert [run.id for run in in_order(runs)] == ids
    page = report.write_runs(in_order(runs), tmp_path / "page")
    assert (page.verdict, dict(page.counts)) == (Verdict.PASS, {Verdict.PASS: len(tests)})


def test_29_runs_that_claim_to_continue_each_other_are_read_once(
    chance: random.Random, tmp_path: Path
) -> None:
    """No order of a wrong record is waited for: every run is there once."""
    jumping, ids = Jumping(chance), [f"r{n}" for n in range(5)]
    runs = [read(run_of(tmp_path, jumping, run, chance.choice(ids), a="PASS")) for run in ids]
    assert sorted(run.id for run in in_order(runs)) == ids


def test_29_the_night_that_did_not_end_goes_on(chance: random.Random, tmp_path: Path) -> None:
    """Whatever the date: a killed night is taken up, with its places, an ended one never, and none twice."""
    jumping, was_open, nights = Jumping(chance), None, list[Path]()
    for number in range(12):
        journal = NightJournal.open(tmp_path, "plan", jumping.wall_s)
        assert journal.resumed == (was_open is not None)
        if was_open:
            assert journal.directory == was_open
            assert journal.held() == [("p", f"T{number - 1}")]
            journal.add("released", place="p", token=f"T{number - 1}")
        else:
            assert journal.directory not in nights
            nights.append(journal.directory)
        killed = chance.random() < 0.5
        journal.add(
            *(["held"] if killed else ["end"]), **({"place": "p", "token": f"T{number}"} if killed else {})
        )
        was_open = journal.directory if killed else None
        journal.close()
        jumping.passes(chance.uniform(0.0, 86400.0))
    assert len(list(tmp_path.glob(f"*/{FILE}"))) == len(nights)


def test_29_the_night_that_goes_on_is_never_thrown_away(chance: random.Random, tmp_path: Path) -> None:
    """However old its name makes it look; of the others as many stay as the plan says."""
    jumping, keep = Jumping(chance), chance.randint(1, 4)
    plan = NightPlan(tmp_path / "p.yaml", "plan", tmp_path / "nights", (), keep_nights=keep)
    for _ in range(10):
        journal = NightJournal.open(plan.reports, "plan", jumping.wall_s)
        journal.add("end")
        journal.close()
        old = retention.outdated(plan, journal.directory)
        assert journal.directory not in old
        assert len(list(plan.reports.iterdir())) - len(old) <= keep
        for directory in old:
            (directory / FILE).unlink()
            directory.rmdir()
        jumping.passes(chance.uniform(0.0, 86400.0))


def test_29_a_trend_stands_in_the_order_of_the_nights(chance: random.Random, tmp_path: Path) -> None:
    """What the history remembers is drawn in the order in which it happened, the page's own run last."""
    jumping, history = Jumping(chance), History(tmp_path / "history.sqlite")

    def point(n: int) -> Point:
        utc = datetime.datetime.fromtimestamp(jumping.wall_s, datetime.UTC).isoformat()
        jumping.passes(chance.uniform(0.0, 86400.0))
        return Point(f"{chance.randrange(1 << 32):08x}", "mp25", utc, {"PASS": 1}, {"p50": float(n)})

    nights = [point(n) for n in range(chance.randint(2, 9))]
    for night_point in nights:
        history.remember([night_point])
    history.remember([chance.choice(nights)])  # a resumed night is merged again
    assert history.points() == nights
    (trend,) = trends([point(99)], history.points())
    assert (trend.lines[0].first, trend.lines[0].last) == ("0", "99")


SLEEPS = "import time; time.sleep(60)"


@pytest.mark.slow
def test_29_40_a_window_is_never_exceeded(
    chance: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The night ends when it has lasted as long as was left, or when a clock that was set is outside.

    Nothing further is begun; the page says why.
    """
    monkeypatch.setattr(night, "CLOCK_POLL_S", 0.05)
    monkeypatch.setattr(night, "command", lambda *_: ["python3", "-c", SLEEPS])
    jobs = tuple(Job(f"job{n}", tmp_path / "t.yaml", {"board": "x"}, ("t",)) for n in range(2))
    window = TimeWindow(datetime.time(22), datetime.time(6))
    plan = NightPlan(tmp_path / "p.yaml", "plan", tmp_path / "nights", jobs, window=window, free_mb=0)
    journal, said = NightJournal.open(plan.reports, "plan", NOW_S), list[str]()
    begin = datetime.datetime(2026, 3, 4, 5, 59, 58) + datetime.timedelta(seconds=chance.uniform(0, 1.5))
    jump = chance.choice([datetime.timedelta(hours=h) for h in (-5, -3, 0, 1, 5, 24 * 400)])
    loop_begin: list[float] = []

    def now() -> datetime.datetime:
        """The wall clock is set after a moment."""
        loop_begin[:] = loop_begin or [asyncio.get_running_loop().time()]
        spent_s = asyncio.get_running_loop().time() - loop_begin[0]
        return begin + datetime.timedelta(seconds=spent_s) + (jump if spent_s > 0.3 else datetime.timedelta())

    history = History(plan.reports / "history.sqlite")
    coordinator = PlayedCoordinator()
    made = night.Night(plan, said.append, coordinator, history, journal, now=now)
    assert asyncio.run(made.run()) == 3
    journal.close()
    assert coordinator.said.count("acquire") == 1
    assert any("not complete: the time window is over" in line for line in said), said
    (page,) = plan.reports.glob("*/index.html")
    assert "ended early: the time window is over" in page.read_text()


JUMPS = """
import random, time
chance, real, offset = random.Random({seed}), time.time, [0.0]
def jumping():
    if chance.random() < 0.5:
        offset[0] += chance.choice([1, -1, 3600, -3600, 86400, -86400, 3e7, -3e7])
    return real() + offset[0]
time.time = jumping
"""
"""A module that Python loads before all else: at every other look the clock has been set."""

TESTS = """
import threading
def test_takes_its_time(bench): threading.Event().wait(0.2)
def test_fails(bench): raise BoardFailure("the firmware is dead")
def test_measures(bench): pass
"""


@pytest.mark.slow
def test_29_a_whole_run_with_a_clock_that_jumps(chance: random.Random, tmp_path: Path, key: bytes) -> None:  # noqa: F811
    """Verdicts are what they are without; durations are those of the monotonic clock; the page is written."""
    place = Place(tmp_path, key)
    (tmp_path / "sitecustomize.py").write_text(JUMPS.format(seed=chance.randrange(1 << 30)))
    done = place.run(TESTS, "--lg-env=played.yaml", "test_played.py", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    (log,) = (tmp_path / "runs").glob("*/record.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ends = [line for line in lines if line["kind"] == "test-end"]
    assert [end["verdict"] for end in ends] == ["PASS", "FAIL", "PASS"]
    whole_ns = lines[-1]["mono_ns"] - lines[0]["mono_ns"]
    assert 200_000_000 <= ends[0]["duration_ns"] <= whole_ns
    assert all(0 <= end["duration_ns"] <= whole_ns for end in ends)
    assert all(a["mono_ns"] <= b["mono_ns"] for a, b in pairwise(lines))
    assert len({line["utc"][:13] for line in lines}) > 1, "the clock did not jump"
    assert (log.parent / "index.html").exists()
