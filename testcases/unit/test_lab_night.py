# SPDX-License-Identifier: MIT
"""A night whose coordinator is played: deadlines, a lab that fails on the way, and children that end."""

import asyncio
import contextlib
import datetime
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import lock, open_own
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd
from mpbench.core.record import Record
from mpbench.lab import assignment, night
from mpbench.lab.assignment import JobRun
from mpbench.lab.child import Child, wait_for_orphan
from mpbench.lab.coordinator import PlaceInfo
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal, only_night
from mpbench.lab.plan import Job, NightPlan, TimeWindow
from mpbench.lab.unit import unit_name
from mpbench.report import signoff
from testcases.stand_in import StandIn

SLEEPER = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); {SLEEPER}"


class PlayedCoordinator(StandIn):
    """Has one place for everybody, and fails on demand."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.lacks = ""
        self.said: list[str] = []

    async def _ask(self, what: str) -> None:
        self.said.append(what)
        if what == self.fails:
            raise InfrastructureError(f"no answer to {what}")

    async def await_there(self, _deadline_s):
        return self.fails != "there"

    async def renew(self, _token):
        return self.fails != "renew"

    async def places(self):
        await self._ask("places")
        return [PlaceInfo("p", {"board": "x"}, "", "")]

    async def reserve(self, _place, _tags):
        await self._ask("reserve")
        return "T"

    async def await_allocated(self, _token, _deadline_s):
        await self._ask("allocated")
        return True

    async def await_exported(self, _place, _token, _deadline_s):
        await self._ask("exported")
        return self.lacks

    async def acquire(self, _place, _token, _deadline_s):
        await self._ask("acquire")

    async def release(self, _place, _token):
        await self._ask("release")

    async def close(self):
        await self._ask("close")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A night with one job on one place, which runs this Python script instead of pytest."""
    journals = []

    def maker(script="", fails="", minutes=1.0, jobs=("job",), **more):
        monkeypatch.setattr(night, "command", lambda *_: [sys.executable, "-c", script])
        made = (Job(name, tmp_path / "t.yaml", {"board": "x"}, ("t",), minutes=minutes) for name in jobs)
        plan = NightPlan(
            tmp_path / "plan.yaml", "plan", tmp_path / "nights", tuple(made), retry_after_s=0.01, **more
        )
        journals.append(NightJournal.open(plan.reports, plan.name, 1_795_000_000.0))
        said: list[str] = []
        history = History(plan.reports / "history.sqlite")
        found = night.Night(plan, said.append, PlayedCoordinator(fails), history, journals[-1])
        return found, said

    yield maker
    for journal in journals:
        journal.close()


@pytest.mark.parametrize("fails", ["reserve", "allocated", "exported", "acquire"])
def test_a_coordinator_that_fails_is_tried_once_more(make, fails):
    """Whatever fails on the way to a place: it is given back, tried once more, and the code is 3."""
    found, said = make(fails=fails)
    assert asyncio.run(found.run()) == 3
    assert found.coordinator.said.count("reserve") == night.ATTEMPTS
    assert found.coordinator.said.count("release") == (0 if fails == "reserve" else night.ATTEMPTS)
    assert f"job on p: not complete: no answer to {fails}" in said
    assert found.coordinator.said[-1] == "close"


def test_a_place_whose_exporter_stays_away_is_not_quarantined(make):
    """Nothing of the board is exported: that is reported, the place is not acquired and not quarantined."""
    found, said = make(wait_minutes=0.5)
    found.coordinator.lacks = "*/p/*"
    assert asyncio.run(found.run()) == 3
    words = "place p: nothing is exported for */p/*: exporter offline for 0.5 min"
    assert f"job on p: not complete: {words}" in said
    assert "acquire" not in found.coordinator.said
    assert found.coordinator.said.count("reserve") == found.coordinator.said.count("release") == 1
    assert found.history.quarantined() == {}


def test_a_coordinator_that_stays_away_is_waited_for(make):
    """One that is started again in the night is there after seconds; here it never comes."""
    found, said = make(fails="there", wait_minutes=0.5)
    assert asyncio.run(found.run()) == 3
    assert "job on p: not complete: the coordinator did not answer within 0.5 min" in said
    assert "reserve" not in found.coordinator.said


RECORD = """
import os, pathlib, sys
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
directory = new_directory(pathlib.Path(sys.argv[1]), "t", Clock())
record = Record(directory, directory.name)
record.append(RunStart("t", (), "", None, os.environ["MPBENCH_UNIT"]))
record.append(PlanLine(("t",), 1))
record.append(TestStart(test="t", core=None, title="", requirements=()))
record.append(TestEnd(test="t", verdict="INFRA", reason="no SSH server answers", duration_ns=0))
record.append(RunEnd(counts={}))
record.close()
"""


@pytest.mark.parametrize(("fails", "quarantined"), [("", True), ("renew", False)])
def test_only_a_board_that_was_asked_to_the_end_is_quarantined(make, monkeypatch, fails, quarantined):
    """No verdict in two attempts: the board is quarantined, unless the place was lost before the end."""
    found, _ = make(fails=fails)
    monkeypatch.setattr(night, "command", lambda _job, runs: [sys.executable, "-c", RECORD, str(runs)])
    assert asyncio.run(found.run()) == 3
    assert ("p" in found.history.quarantined()) is quarantined


def test_a_night_is_signed_as_a_whole(make, monkeypatch, tmp_path):
    """Its page is made again from its records, remarks and trends; logs and journal are signed too."""
    found, _ = make()
    monkeypatch.setattr(night, "command", lambda _job, runs: [sys.executable, "-c", RECORD, str(runs)])
    assert asyncio.run(found.run()) == 3
    signoff.new_key(tmp_path / "ann.pem")
    signoff.sign(found.directory, signoff.load_key(tmp_path / "ann.pem"), "Ann", "tested")
    checked = signoff.verify(found.directory, signoff.load_trusted([tmp_path / "ann.pub"]))
    assert (checked.wrong, checked.manifest.verdict) == ((), "INFRA")
    (found.directory / "journal.jsonl").write_text("")
    assert signoff.verify(found.directory, {}).wrong[0] == "journal.jsonl was changed"


def test_a_place_that_cannot_be_released_is_said(make):
    """The night continues; the journal has it, so that the next one releases it."""
    found, said = make(fails="release")
    assert asyncio.run(found.run()) == 3
    assert "place p could not be released: no answer to release" in said
    assert found.journal.held() == [("p", "T")]


def test_leftovers_of_a_killed_night_are_released_first(make):
    """What a killed night held is given back before anything is asked for."""
    found, _ = make(script="raise SystemExit(2)")
    found.journal.add("held", place="old", token="T0")
    asyncio.run(found.run())
    assert found.coordinator.said[:2] == ["release", "places"]
    assert ("old", "T0") not in found.journal.held()


def test_a_pytest_without_a_record_is_said(make):
    """A usage error leaves no record: its code and its log are named."""
    found, said = make(script="raise SystemExit(4)")
    assert asyncio.run(found.run()) == 3
    assert any("pytest ended with 4 and without a record; see" in line for line in said)


def test_a_run_has_a_deadline(make):
    """At its deadline it is asked to end as by Ctrl-C, and said so; the place is released."""
    found, said = make(script=SLEEPER, minutes=0.005)
    asyncio.run(found.run())
    assert "job on p: stopped after 0.005 min" in said
    assert any(line.startswith("job on p: pytest ended with ") for line in said)
    assert found.coordinator.said.count("release") == night.ATTEMPTS


def test_the_end_of_the_window_ends_what_runs(make):
    """When the window closes, runs are asked to end, nothing new begins, and the page says why."""
    early = datetime.datetime(2026, 3, 4, 5, 59, 59, 500_000)
    found, said = make(script=SLEEPER, window=TimeWindow(datetime.time(22), datetime.time(6)))
    found.now = lambda: early
    assert asyncio.run(found.run()) == 3
    assert found.coordinator.said.count("reserve") == 1
    assert "job on p: not complete: the time window is over" in said
    assert "ended early: the time window is over" in (found.directory / "index.html").read_text()


def test_only_the_first_signal_counts(make):
    """A second one changes nothing: the teardown that runs is the only one."""
    found, _ = make()
    found.end("SIGTERM was received")
    found.end("SIGINT was received")
    assert found.why == "SIGTERM was received"
    assert asyncio.run(found.run()) == 3
    assert "reserve" not in found.coordinator.said


def test_a_child_that_does_not_end_is_killed(tmp_path):
    """Ctrl-C first; after the grace it and its children are gone."""

    async def run() -> int:
        child = await Child.start([sys.executable, "-c", STUBBORN], {}, tmp_path / "log", tmp_path / "pid")
        while not (tmp_path / "log").read_text():
            await asyncio.sleep(0.01)
        return await child.end(0.1)

    assert asyncio.run(run()) == -9


def test_a_run_that_survived_its_night_is_waited_for(tmp_path):
    """Its lock is released when it ends; its exit code is not known."""
    mark, end = tmp_path / "pid", tmp_path / "end"
    os.mkfifo(end)

    async def run() -> int | None:
        child = await Child.start(["sh", "-c", f"read x <'{end}'"], {}, tmp_path / "log", mark)
        waits = asyncio.create_task(wait_for_orphan(mark, 60))
        await asyncio.sleep(0)  # it has found the lock held
        end.write_text("\n")
        assert await waits == child.process.pid
        await child.wait()
        return await wait_for_orphan(mark, 60)

    assert asyncio.run(run()) is None


@pytest.mark.parametrize("text", [b"", b"garbage", b"-1", b"0", b"1" * 4000, b"\xff"])
def test_a_mark_that_holds_no_process_id_ends_nothing(tmp_path, text):
    """The child is waited for all the same."""
    mark = tmp_path / "x.pid"
    mark.write_bytes(text)
    with open_own(mark) as held:
        assert lock(held, wait=False)

        async def run() -> int | None:
            waits = asyncio.create_task(wait_for_orphan(mark, 0.01))
            await asyncio.sleep(0)
            held.close()
            return await waits

        assert asyncio.run(run()) == 0


def test_a_mark_or_log_that_is_a_link_starts_nothing(tmp_path):
    """What it leads to is not emptied."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "link").symlink_to(victim)
    for log, mark in ((tmp_path / "link", tmp_path / "m"), (tmp_path / "l", tmp_path / "link")):
        with pytest.raises(InfrastructureError, match="it is a symbolic link"):
            asyncio.run(Child.start(["true"], {}, log, mark))
    assert victim.read_text() == "kept"


def test_a_run_that_survived_its_night_and_does_not_end_is_killed(make):
    """It had the time that any run has; then the board is free again, and it is said."""
    found, said = make(script="raise SystemExit(2)")

    async def run() -> int:
        (found.directory / "logs").mkdir()
        mark = found.directory / "logs" / "job-p.pid"
        child = await Child.start([sys.executable, "-c", STUBBORN], {}, found.directory / "log", mark)
        while not (found.directory / "log").read_text():
            await asyncio.sleep(0.01)
        await found.run()
        assert said[0] == f"job-p: process {child.process.pid} of a killed night has ended"
        assert not mark.exists()
        return await child.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night, "STOP_S", 0.05)
        assert asyncio.run(run()) == -9


def test_a_program_that_is_not_there_is_told(tmp_path):
    """No log directory, no run: InfrastructureError."""
    with pytest.raises(OSError, match="No such file"):
        (tmp_path / "none" / "x").write_text("")
    with pytest.raises(InfrastructureError, match=r"cannot write .*/none/log: No such file"):
        asyncio.run(Child.start(["x"], {}, tmp_path / "none" / "log", tmp_path / "pid"))


def test_two_nights_never_share_a_directory(make):
    """A second one is refused in one line."""
    found, _ = make()
    with (
        only_night(found.plan),
        pytest.raises(UsageError, match="another nightly writes to"),
        only_night(found.plan),
    ):
        pass


def test_outside_of_its_window_a_night_does_nothing(make, monkeypatch):
    """Code 5, with the hours."""
    found, said = make(window=TimeWindow(datetime.time(22), datetime.time(6)))
    monkeypatch.setattr(TimeWindow, "left_s", lambda *_: None)
    assert night.run(found.plan, said.append) == 5
    assert said == ["outside the window, 22:00 to 06:00: nothing was run"]


PASSED = RECORD.replace('"INFRA", reason="no SSH server answers"', '"PASS", reason=""')


def passing(_job, runs):
    """In place of a pytest: a record of one test that passed, of the unit that the night named."""
    return [sys.executable, "-c", PASSED, str(runs)]


def summary_of(found) -> dict:
    return json.loads((found.directory / "summary.json").read_text())


def test_a_night_in_which_everything_ran_and_passed_is_green(make, monkeypatch):
    """PASS on console, page and summary, and in the journal; the exit code is 0."""
    found, said = make()
    monkeypatch.setattr(night, "command", passing)
    assert asyncio.run(found.run()) == 0
    assert "verdict PASS: 1 PASS" in said
    assert (summary_of(found)["verdict"], summary_of(found)["causes"]) == ("PASS", [])
    lines = [json.loads(line) for line in (found.directory / "journal.jsonl").read_text().splitlines()]
    sources = hashlib.sha256((found.directory / "sources.json").read_bytes()).hexdigest()
    assert {"kind": "verdict", "verdict": "PASS", "causes": "", "sources": sources} in lines


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{\n", "a record of an earlier attempt is damaged: "),
        (None, "record.jsonl is a record of another unit: job on q"),
    ],
)
def test_a_record_that_cannot_be_trusted_makes_its_unit_invalid(make, monkeypatch, text, cause):
    """A damaged record, or one of another unit, is not resumed; the rest of the night goes on."""
    found, said = make(jobs=("job", "other"))
    monkeypatch.setattr(night, "command", passing)
    directory = found.directory / "runs" / JobRun(found.plan.jobs[0], "p").name / "run"
    (directory / "evidence").mkdir(parents=True)
    if text:
        (directory / "record.jsonl").write_text(text)
    else:
        record = Record(directory, "r1")
        record.append(RunStart("t", (), "", None, "job on q"))
        record.append(PlanLine(("t",), 1))
        record.append(TestEnd("PASS", "", 1, test="t"))
        record.append(RunEnd({}))
        record.close()
    assert asyncio.run(found.run()) == 3
    summary = summary_of(found)
    assert summary["verdict"] == "INVALID"
    (named,) = summary["causes"]
    assert named.startswith("job on p: ")
    assert cause in named
    assert named in said
    assert "Traceback" not in named
    assert summary["counts"] == {"PASS": 1}
    assert found.coordinator.said.count("acquire") == 1, "the other job ran"


def test_a_unit_that_ran_nothing_stays_incomplete_when_the_night_is_resumed(make):
    """The journal says that it is done, its directory has no record: no later process calls that green."""
    found, _ = make()
    found.journal.add("done", job_run=JobRun(found.plan.jobs[0], "p").name)
    assert asyncio.run(found.run()) == 3
    assert summary_of(found)["causes"] == ["job on p: nothing was run"]
    assert summary_of(found)["verdict"] == "INCOMPLETE"


def test_a_board_in_quarantine_leaves_the_night_incomplete(make):
    """Nothing was run for a job of the plan: the night says so, and is not green."""
    found, said = make()
    found.history.quarantine("p", "2026-11-02 03:00", "no SSH")
    assert asyncio.run(found.run()) == 3
    cause = "job on p: in quarantine: since 2026-11-02 03:00: no SSH"
    assert summary_of(found)["causes"] == [cause, "job: 0 usable places with tags board=x, 1 needed"]
    assert cause in said


def test_a_job_that_was_changed_in_a_killed_night_runs_anew(make, monkeypatch):
    """What another definition of it did does not count: tests, options, variables, target or bench differ."""
    found, _ = make()
    job = found.plan.jobs[0]
    changes = (
        {"tests": ("t", "u")},
        {"options": ("-x",)},
        {"variables": {"A": "1"}},
        {"target": Path("b.yaml")},
    )
    names = {JobRun(evolve(job, **change), "p").name for change in ({}, *changes)}
    monkeypatch.setattr(assignment, "bench_version", lambda: "9.9")
    names.add(JobRun(job, "p").name)
    assert len(names) == 6
    found.journal.add("done", job_run=JobRun(evolve(job, tests=("old",)), "p").name)
    monkeypatch.setattr(night, "command", passing)
    assert asyncio.run(found.run()) == 0
    assert found.coordinator.said.count("acquire") == 1


LONG = "x" * 90


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("job", f"{LONG}1"), ("job", f"{LONG}2")),
        (("job", "board/1"), ("job", "board:1")),
        (("job-a", "b"), ("job", "a-b")),
        (("job", "Ä"), ("job", "Ö")),
    ],
)
def test_units_never_share_a_directory(one, other):
    """Names that are equal in their first characters, or after replacing odd ones, have another hash."""
    assert unit_name(*one) != unit_name(*other)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}-[0-9a-f]{16}", unit_name(*one))


def test_a_place_is_released_after_its_pytest_whatever_happens(make):
    """A night that is cancelled ends its pytest first."""
    found, _ = make(script=SLEEPER)
    ended = []

    async def release(_place, _token):
        pids = [int(mark.read_text()) for mark in (found.directory / "logs").glob("*.pid")]
        ended.append([pid for pid in pids if os.path.exists(f"/proc/{pid}")])

    found.coordinator.release = release

    async def run() -> None:
        running = asyncio.create_task(found.run())
        while not list((found.directory / "logs").glob("*.pid")):
            await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert ended == [[]]


@pytest.mark.slow
@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_night_after_its_teardown(make, signal_name):
    """A terminal that is closed ends a night as SIGTERM does."""
    found, said = make(script=SLEEPER)
    found.journal.close()
    program = (
        "import sys; from pathlib import Path; from mpbench.lab import night, plan; "
        "from testcases.unit.test_lab_night import PlayedCoordinator; "
        "night.command = lambda *_: [sys.executable, '-c', sys.argv[2]]; "
        "night.Coordinator = lambda _: PlayedCoordinator(); "
        "sys.exit(night.run(plan.load(Path(sys.argv[1])), lambda line: print(line, flush=True)))"
    )
    (found.plan.path.parent / "t.yaml").write_text("")
    found.plan.path.write_text(
        "reports: nights\nwait_minutes: 1\njobs:\n"
        "- {name: job, target: t.yaml, tags: {board: x}, tests: [t]}\n"
    )
    command = [sys.executable, "-c", program, str(found.plan.path), SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            said.append(line.strip())
            if line.endswith(": acquired\n"):
                process.send_signal(getattr(signal, signal_name))
    assert process.returncode == 3
    assert f"job on p: not complete: {signal_name} was received" in said
    assert any(line.startswith("verdict INCOMPLETE") for line in said)
