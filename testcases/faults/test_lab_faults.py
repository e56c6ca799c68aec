# SPDX-License-Identifier: MIT
"""Faults of a lab (22 to 25, 27, 30): labgrid's own programs, nights that are killed, boards that are played.

Whatever happens: no board is driven by two runs, no fault becomes a verdict, done stays done.
"""

import os
import signal
from collections.abc import Iterator

import pytest

from testcases.contract.nightlab import NightLab, finished, played
from testcases.faults.conftest import THOROUGH

pytestmark = pytest.mark.slow

GATED = """
def test_before(bench): pass
def test_middle(bench):
    gate("middle")
    bench.read("/proc/version")
    bench.act("m33", DeployFacts(), "touch", lambda: "OK")
def test_after(bench): bench.read("/proc/version")
from mpbench.deployment.facts import DeployFacts
"""
"""A run that waits in its middle, and then looks at the board."""
LOOPING = """
def test_before(bench): pass
def test_middle(bench):
    gate("middle")
    while not time.sleep(0.001):
        bench.board.session.read("/proc/version")
        if (DIR / f"{PLACE}.over").exists():
            break
def test_after(bench): bench.read("/proc/version")
import time
"""
"""A test without end that reads through the session only, which checks the place's owner."""


PLACES = ("killed-a", "killed-b", "term", "released", "contested", "pytest", "exporter", "restart", "slow")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NightLab]:
    """A coordinator, a place for each fault, and two exporters: one of them will be killed."""
    found = NightLab(tmp_path_factory.mktemp("lab"))
    try:
        found.places(*PLACES)
        found.coordinate()
        boards = {name: played(number) for number, name in enumerate(PLACES)}
        found.export({"exporter": boards.pop("exporter")}, "host-1")
        found.export({"slow": boards.pop("slow")}, "host-3")
        found.export(boards, "host-2")
        yield found
    finally:
        found.close()


@pytest.fixture(autouse=True, scope="module")
def first(lab) -> None:
    """The lab's own processes are there before what may leak is counted."""


def only(place: str) -> dict:
    """A job for one place."""
    return {"tags": {"board": "played", "name": place}}


def test_a_killed_night_is_resumed(lab):
    """SIGKILL in mid-run: done stays done, the running test is INVALID, the rest is run, places come free."""
    lab.shut("killed-a", "middle")
    plan = lab.plan(GATED, "killed", job={"tags": {"board": "played", "what": "killed"}})
    night = lab.begin(plan)
    lab.reached("killed-a", "middle")
    second = ("job-killed-b", "test_after")
    lab.until(lambda: lab.ends(plan).get(second) == ["PASS"], "the run on the other place")
    night.kill()
    night.communicate()
    lab.until(lambda: lab.ends(plan).get(("job-killed-a", "test_middle")), "the end of its pytest")
    lab.open("killed-a", "middle")
    code, said = lab.nightly(plan)
    assert "resuming " in said
    assert code == 3, said
    ends = lab.ends(plan)
    assert ends["job-killed-a", "test_before"] == ["PASS"]
    assert ends["job-killed-a", "test_middle"] == ["INVALID"]
    assert ends["job-killed-a", "test_after"] == ["NOT-RUN", "PASS"]
    assert {ends["job-killed-b", name][0] for name in ("test_before", "test_middle", "test_after")} == {
        "PASS"
    }
    assert lab.summary(plan)["counts"] == {"PASS": 5, "INVALID": 1}
    assert len(lab.looks("killed-a")) == 2
    assert (lab.who()["killed-a"], lab.who()["killed-b"]) == ("None", "None")


def test_sigterm_twice_ends_a_night_once(lab):
    """The run is asked to end and tears down, its places are released, the page is written; once."""
    lab.shut("term", "middle")
    plan = lab.plan(GATED, "term", job=only("term"))
    night = lab.begin(plan)
    lab.reached("term", "middle")
    for _ in range(2):
        night.send_signal(signal.SIGTERM)
    code, said = finished(night)
    assert code == 3, said
    assert said.count("pytest ended with") == 1
    assert "not complete: SIGTERM was received" in said
    assert lab.ends(plan)["job-term", "test_middle"] == ["INVALID"]
    assert lab.ends(plan)["job-term", "test_after"] == ["NOT-RUN"]
    assert "ended early: SIGTERM was received" in lab.page(plan)
    assert lab.who()["term"] == "None"
    assert "Traceback" not in said


def test_an_exporter_that_answers_late_is_asked_again(lab):
    """labgrid's coordinator gives up on it after ten seconds; the night asks until its own deadline."""
    exporter = lab.processes["host-3"]
    plan = lab.plan(GATED, "slow", job=only("slow"))
    exporter.send_signal(signal.SIGSTOP)
    try:
        night = lab.begin(plan)
        log = lab.directory / "coordinator.log"
        lab.until(lambda: "failed to acquire" in log.read_text(), "the coordinator's own deadline")
    finally:
        exporter.send_signal(signal.SIGCONT)
    code, said = finished(night)
    assert code == 0, said
    assert "second attempt" not in said
    assert set(map(tuple, lab.ends(plan).values())) == {("PASS",)}


def test_a_place_released_by_somebody_else_is_left_alone(lab):
    """The next action finds the lock lost, also the session itself; a second attempt has the place again."""
    lab.shut("released", "middle")
    plan = lab.plan(LOOPING, "released", job=only("released"))
    night = lab.begin(plan)
    lab.reached("released", "middle")
    before = lab.looked("released")
    lab.open("released", "middle")
    lab.until(lambda: lab.looked("released") > before, "the test's own looks at the board")
    lab.client("-p", "released", "release")
    lab.until(lambda: lab.ends(plan).get(("job-released", "test_after")), "the end of the first attempt")
    (lab.gates / "released.over").touch()
    code, said = finished(night)
    assert code == 0, said
    assert lab.ends(plan)["job-released", "test_middle"] == ["INFRA", "PASS"]
    assert lab.ends(plan)["job-released", "test_after"][-1] == "PASS"
    assert "lost the lock of place released: it was released during the run" in lab.page(plan)
    first, second = lab.looks("released")
    assert second != first


@THOROUGH
def test_two_nights_want_one_board(lab):
    """Exactly one has it at a time; the other waits its turn; both pass."""
    plans = [lab.plan(f"def test_{n}(bench): pass\n", n, job=only("contested")) for n in ("left", "right")]
    nights = [lab.begin(plan) for plan in plans]
    for night in nights:
        code, said = finished(night)
        assert code == 0, said
    turns = lab.looks("contested")
    assert len(turns) == len(set(turns)) == 2


@THOROUGH
def test_an_exporter_that_dies_loses_no_place(lab):
    """The run continues, as its consoles do not need the exporter; afterwards the place is free."""
    lab.shut("exporter", "middle")
    plan = lab.plan(GATED, "exporter", job=only("exporter"))
    night = lab.begin(plan)
    lab.reached("exporter", "middle")
    lab.kill("host-1")
    lab.open("exporter", "middle")
    code, said = finished(night)
    assert code == 0, said
    assert set(lab.ends(plan)["job-exporter", "test_middle"]) == {"PASS"}
    assert lab.who()["exporter"] == "None"
    again = lab.plan("def test_again(bench): pass\n", "again", job=only("exporter"), wait_minutes=0.5)
    code, said = lab.nightly(again)
    assert code in (0, 3), said
    verdicts = set(lab.ends(again).get(("job-exporter", "test_again"), ["INFRA"]))
    assert "FAIL" not in verdicts
    assert lab.who()["exporter"] == "None"


def test_a_killed_run_does_not_end_the_night(lab):
    """SIGKILL to one pytest: what it ran is INVALID and stays so, the rest is run once more."""
    lab.shut("pytest", "middle")
    plan = lab.plan(GATED, "pytest", job=only("pytest"))
    night = lab.begin(plan)
    lab.reached("pytest", "middle")
    os.kill(lab.looks("pytest")[-1], signal.SIGKILL)
    lab.open("pytest", "middle")
    code, said = finished(night)
    assert code == 3, said
    assert lab.summary(plan)["counts"] == {"PASS": 2, "INVALID": 1}
    assert lab.ends(plan)["job-pytest", "test_after"] == ["PASS"]


def test_a_restarted_coordinator_gives_no_board_to_two_runs(lab):
    """It has forgotten who has what, and a second night gets the place: one drives, the other does not.

    The first run finds its lock lost and leaves the board alone; the second waits until the first has gone,
    or is refused by the lab host's own lock. Reads of two runs never interleave.
    """
    lab.shut("restart", "middle")
    first = lab.plan(GATED, name="first", job=only("restart"))
    second = lab.plan("def test_second(bench): bench.read('/proc/version')\n", "second", job=only("restart"))
    one = lab.begin(first)
    lab.reached("restart", "middle")
    lab.kill("coordinator")
    lab.coordinate(lab.coordinator)
    lab.kill("host-2")
    lab.export({"restart": played(PLACES.index("restart"))}, "host-2")  # as its service would
    two = lab.begin(second)
    lab.until(
        lambda: lab.ends(second).get(("job-restart", "test_second")), "the second night's first attempt"
    )
    lab.open("restart", "middle")
    (code_one, said_one), (_, said_two) = finished(one), finished(two)
    assert code_one in (0, 3), said_one
    assert lab.ends(first)["job-restart", "test_middle"][0] == "INFRA"
    verdicts = {v for plan in (first, second) for found in lab.ends(plan).values() for v in found}
    assert verdicts <= {"PASS", "INFRA", "BLOCKED"}, said_two
    turns = lab.looks("restart")
    assert len(turns) == len(set(turns)), "two runs drove one board in turns"
    lab.close()  # the last test of this lab: what it restarted is ended
