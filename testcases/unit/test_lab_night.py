# SPDX-License-Identifier: MIT
"""A night whose coordinator is played: deadlines, a lab that fails on the way, and children that end."""

import asyncio
import datetime
import os
import sys

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.lab import night
from mpbench.lab.child import Child, wait_for_orphan
from mpbench.lab.coordinator import PlaceInfo
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal, only_night
from mpbench.lab.plan import Job, NightPlan, TimeWindow
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

    async def acquire(self, _place):
        await self._ask("acquire")

    async def release(self, _place, _token):
        await self._ask("release")

    async def close(self):
        await self._ask("close")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A night with one job on one place, which runs this Python script instead of pytest."""
    journals = []

    def maker(script="", fails="", minutes=1.0, **more):
        monkeypatch.setattr(night, "command", lambda *_: [sys.executable, "-c", script])
        job = Job("job", tmp_path / "t.yaml", {"board": "x"}, ("t",), minutes=minutes)
        plan = NightPlan(
            tmp_path / "plan.yaml", "plan", tmp_path / "nights", (job,), retry_after_s=0.01, **more
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
    assert f"job-p: not complete: no answer to {fails}" in said
    assert found.coordinator.said[-1] == "close"


def test_a_place_whose_exporter_stays_away_is_not_quarantined(make):
    """Nothing of the board is exported: that is reported, the place is not acquired and not quarantined."""
    found, said = make(wait_minutes=0.5)
    found.coordinator.lacks = "*/p/*"
    assert asyncio.run(found.run()) == 3
    words = "place p: nothing is exported for */p/*: exporter offline for 0.5 min"
    assert f"job-p: not complete: {words}" in said
    assert "acquire" not in found.coordinator.said
    assert found.coordinator.said.count("reserve") == found.coordinator.said.count("release") == 1
    assert found.history.quarantined() == {}


def test_a_coordinator_that_stays_away_is_waited_for(make):
    """One that is started again in the night is there after seconds; here it never comes."""
    found, said = make(fails="there", wait_minutes=0.5)
    assert asyncio.run(found.run()) == 3
    assert "job-p: not complete: the coordinator did not answer within 0.5 min" in said
    assert "reserve" not in found.coordinator.said


RECORD = """
import pathlib, sys
from mpbench.core.lines import PlanLine, RunEnd, RunStart, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
directory = new_directory(pathlib.Path(sys.argv[1]), "t", Clock())
record = Record(directory, directory.name)
record.append(RunStart(target="t", command=(), bench="", continues=None))
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
    assert "job-p: stopped after 0.005 min" in said
    assert any(line.startswith("job-p: pytest ended with ") for line in said)
    assert found.coordinator.said.count("release") == night.ATTEMPTS


def test_the_end_of_the_window_ends_what_runs(make):
    """When the window closes, runs are asked to end, nothing new begins, and the page says why."""
    early = datetime.datetime(2026, 3, 4, 5, 59, 59, 500_000)
    found, said = make(script=SLEEPER, window=TimeWindow(datetime.time(22), datetime.time(6)))
    found.now = lambda: early
    assert asyncio.run(found.run()) == 3
    assert found.coordinator.said.count("reserve") == 1
    assert "job-p: not complete: the time window is over" in said
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
    with pytest.raises(InfrastructureError, match="cannot start"):
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
