# SPDX-License-Identifier: MIT
"""Soaks without a board: goals, journals, progress; leaks and distributions from numbers."""

import argparse
import json
from contextlib import contextmanager
from io import FileIO

import pytest
from attrs import evolve

from mpbench.board.resource_snapshot import resource_counters
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.facts import Verdict
from mpbench.core.files import AppendFile
from mpbench.deployment.heartbeat import Watched, watched
from mpbench.deployment.leaks import Snapshot, leaks, snapshot, steady
from mpbench.harness.options import goal_text
from mpbench.harness.soak import Goal, Soak, SoakJournal, goal
from mpbench.recovery.facts import RecoveryFacts, Timeline
from mpbench.recovery.measure import disagreements, distribution, durations, measurements
from mpbench.recovery.run import Crash
from testcases.stand_in import StandIn
from testcases.test_soak import cycle

MS = 1_000_000
TIMES = Timeline(*(n * MS for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)))


# --- goals


def test_goals_are_cycles_or_a_time():
    """500x counts; 90s, 30m and 2h measure; anything else is explained."""
    assert goal("500x") == Goal("500x", 500, None)
    assert [goal(text).seconds for text in ("90s", "30m", "2h", "1d")] == [90, 1800, 7200, 86400]
    for wrong in ("", "0x", "-1x", "500", "2 hours", "x"):
        with pytest.raises(UsageError, match="is not a length of a soak: 500x for cycles"):
            goal(wrong)
    with pytest.raises(argparse.ArgumentTypeError, match="'500' is not a length of a soak"):
        goal_text("500")


# --- the journal


def journal(path, key="soak 5x") -> SoakJournal:
    made = SoakJournal(path / "soak.jsonl", key)
    made.open()
    return made


def test_an_interrupted_soak_goes_on_where_it_was(tmp_path):
    """Cycles on the disk count, also when the last write was cut by a kill."""
    first = journal(tmp_path)
    first.add(took_s=1.0)
    first.add(took_s=2.0)
    first.close()
    with first.path.open("a") as file:
        file.write('{"n": 3, "took')
    second = journal(tmp_path)
    second.add(took_s=3.0)
    second.close()
    assert (second.resumed, [c["n"] for c in second.cycles]) == (2, [1, 2, 3])
    lines = [json.loads(line) for line in second.path.read_text().splitlines()]
    assert lines == [{"key": "soak 5x"}, *({"n": n, "took_s": float(n)} for n in (1, 2, 3))]


def test_a_complete_or_another_soak_is_begun_anew(tmp_path):
    """What reached its goal, or had another one, is no beginning of this soak."""
    first = journal(tmp_path)
    first.add(took_s=1.0)
    first.close()
    other = journal(tmp_path, "soak 9x")
    assert other.cycles == []
    other.add(took_s=1.0)
    other.complete()
    other.close()
    again = journal(tmp_path, "soak 9x")
    assert again.cycles == []
    again.close()


def test_a_foreign_file_is_no_journal(tmp_path):
    """Whatever else lies there is replaced, not misread."""
    (tmp_path / "soak.jsonl").write_text("[1]\nnot json\n")
    made = journal(tmp_path)
    assert made.cycles == []
    made.close()


@pytest.mark.parametrize("took", ["[]", "true", '"2"', "null", "1e999", "NaN"])
def test_a_damaged_cycle_is_none(tmp_path, took):
    """Times that are no numbers are not counted."""
    (tmp_path / "soak.jsonl").write_text(f'{{"key": "soak 5x"}}\n{{"n": 1}}\n{{"n": 2, "took_s": {took}}}\n')
    found = journal(tmp_path)
    assert found.cycles == [{"n": 1}]
    found.close()


def test_a_journal_that_cannot_be_kept_is_the_labs_fault(tmp_path):
    """A directory where the file should be, or a full disk, ends the soak with a line that says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match=r"cannot write .*x\.jsonl: File exists"):
        SoakJournal(tmp_path / "file" / "x.jsonl", "k").open()
    made = journal(tmp_path)
    made.close()
    made._file = AppendFile(made.path, FileIO("/dev/full", "ab"))
    with pytest.raises(InfrastructureError, match=r"cannot write .*soak\.jsonl: No space left"):
        made.add(took_s=1.0)
    made.close()


# --- the cycles


def soaked(tmp_path, text: str, clock=lambda: 0.0) -> tuple[list[int], list[str], SoakJournal]:
    lines, done = [], []
    kept = journal(tmp_path, text)
    made = Soak(goal(text), "m33", kept, lambda line, worth: lines.append(f"{worth} {line}"), clock)
    for number in made.cycles():
        kept.add(took_s=1.0)
        done.append(number)
    kept.close()
    return done, lines, kept


def test_a_soak_counts_to_its_goal_and_tells_how_far_it_is(tmp_path):
    """Every cycle has its progress line; the last one says 100 %."""
    seconds = iter(range(100))
    done, lines, kept = soaked(tmp_path, "4x", lambda: float(next(seconds)))
    assert done == [1, 2, 3, 4]
    assert lines[0] == "True soak m33: 0 cycles of 4x, 0%"
    assert "2 cycles of 4x, 50%" in lines[2]
    assert lines[2].endswith(" left")
    assert lines[-1] == "True soak m33: 4 cycles of 4x, 100%"
    assert json.loads(kept.path.read_text().splitlines()[-1]) == {"complete": True}


def test_a_resumed_soak_says_so(tmp_path):
    """The first line of the second run tells how far the first one came."""
    first = journal(tmp_path, "4x")
    first.add(took_s=1.0)
    first.close()
    done, lines, _ = soaked(tmp_path, "4x")
    assert done == [2, 3, 4]
    assert lines[0] == "True soak m33: 1 cycles of 4x, 25%, resumed"
    assert "resumed" not in lines[1]


def test_a_soak_by_time_ends_with_the_time(tmp_path):
    """Time of cycles that an earlier run did counts as well."""
    kept = journal(tmp_path, "60s")
    kept.add(took_s=59.5)
    kept.close()
    seconds = iter(n / 4 for n in range(100))
    done, lines, _ = soaked(tmp_path, "60s", lambda: next(seconds))
    assert done == [2]
    assert "1 cycles of 60s, 99%, 0 s left" in lines[0]
    assert "100%" in lines[-1]


def test_a_long_rest_is_told_in_minutes(tmp_path):
    """A person reads minutes, not hundreds of seconds."""
    _, lines, _ = soaked(tmp_path, "10m", iter([0.0, 0.0, 0.0, 599.0, 599.0, 600.0, 600.0]).__next__)
    assert lines[0].endswith("10 min 00 s left")


# --- the first difference


class Crashes:
    """Crashes of a board that are all like this one; what was recorded of them."""

    def __init__(self, step: Crash) -> None:
        self.step, self.bench = step, self
        self.recorded: list[Crash] = []

    def failure(self, _core, *, record):
        assert not record, "the soak records what differs only"
        return self.step

    def append(self, step):
        self.recorded.append(step)


def crashes(observed: RecoveryFacts, times: Timeline = TIMES) -> Crashes:
    seen, agreed = Evidence((Artefact("kmsg", b"log"),)), compare(RECOVERED, observed)
    return Crashes(Crash("crash", "m33", RECOVERED, observed, agreed, seen, 1, times))


RECOVERED = RecoveryFacts(*("watchdog", 1, "up", "stop", "off", 0, "", "running", 1, True, "starve m33"))


def test_a_cycle_as_predicted_leaves_only_its_times():
    """Five hundred good crashes are no thousand pages."""
    made = crashes(RECOVERED)
    assert cycle(made, "m33") is made.step
    assert made.recorded == []


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (crashes(evolve(RECOVERED, boots=2)), BoardFailure, "boots was predicted 0x00000001"),
        (crashes(evolve(RECOVERED, commands=None)), InvalidRun, "not observed: commands"),
        (crashes(RECOVERED, evolve(TIMES, executed_ns=MS)), AssertionError, "contradict each other"),
    ],
)
def test_the_first_difference_ends_a_soak_with_its_evidence(made, error, words):
    """What differs, was not seen or contradicts itself is recorded whole, and no further cycle is done."""
    with pytest.raises(error, match=words):
        cycle(made, "m33")
    assert made.recorded == [made.step]
    assert made.recorded[0].evidence.get("kmsg") == b"log"


# --- leaks

LOOK = """mappings=8
ranges=112
processes=61
core dumps=0
free_kib=223360
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
vmap_area            612    640     64   64    1 : tunables    0    0    0 : slabdata     10     10      0
kmalloc-64          1000   1024     64   64    1 : tunables    0    0    0 : slabdata     16     16      0
"""
BEFORE = snapshot(LOOK, {"shm_in": 10, "shm_out": 9, "session_in": 1})


def test_a_snapshot_is_read_from_the_boards_words():
    """Numbers by name, kernel objects by cache, memory, and what probes counted in minus out."""
    assert BEFORE.exact == {"mappings": 8, "processes": 61, "core dumps": 0, "shm": 1, "session": 1}
    assert BEFORE.slabs == {"kmalloc-64": (1000, 64), "vmap_area": (112, 64)}, "freed ranges don't count"
    assert BEFORE.free_kib == 223360


def test_freed_address_ranges_are_no_leak():
    """The kernel keeps them until there are many; only those in use count."""
    later = LOOK.replace("vmap_area            612", "vmap_area           2078")
    assert leaks(BEFORE, snapshot(later, {"shm_in": 1, "session_in": 1}), 50) == []
    leaked = snapshot(later.replace("ranges=112", "ranges=712"), {"shm_in": 1, "session_in": 1})
    assert leaks(BEFORE, leaked, 50) == ["kernel objects vmap_area: 112 before, 712 after 50 cycles"]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (
            evolve(BEFORE, exact=dict(BEFORE.exact) | {"mappings": 9}),
            "mappings: 8 before, 9 after 500 cycles",
        ),
        (evolve(BEFORE, exact=dict(BEFORE.exact) | {"shm": 2}), "shm: 1 before, 2 after 500 cycles"),
        (
            evolve(BEFORE, slabs={"kmalloc-64": (1513, 64)}),
            "kernel objects kmalloc-64: 1000 before, 1513 after",
        ),
        (evolve(BEFORE, slabs={"new": (600, 8)}), "kernel objects new: 0 before, 600 after 500 cycles"),
        (evolve(BEFORE, free_kib=223360 - 8193), "available memory: 8193 KiB less after 500 cycles"),
    ],
)
def test_what_grew_is_named(after, words):
    """Each kind of leak is found by itself, with both numbers."""
    found = leaks(BEFORE, after, 500)
    assert len(found) == 1
    assert found[0].startswith(words)


def test_noise_is_no_leak():
    """Slabs of the CPUs, some memory, and anything that shrank are not a leak."""
    after = Snapshot({"mappings": 7}, {"kmalloc-64": (1512, 64)}, 223360 - 8192)
    assert leaks(BEFORE, after, 500) == []


def test_what_comes_and_goes_is_no_leak():
    """Of several looks the least of each number counts: a leak is in all of them."""
    looks = [evolve(BEFORE, exact={"processes": n}) for n in (62, 61, 63)]
    assert steady(looks).exact == {"processes": 61}


def test_a_board_that_says_nothing_is_the_labs_fault():
    """Without /proc there is no leak check, and no silent pass of one."""

    class Mute(StandIn):
        def execute(self, _command, _timeout_s=None):
            return Reply(0, b"", b"")

    with pytest.raises(InfrastructureError, match="cannot read resource counters: /proc missing"):
        resource_counters(Mute())


# --- times


def test_durations_come_from_times_that_were_seen():
    """An interval with an end that nobody saw is no sample."""
    found = durations([TIMES, evolve(TIMES, irq_ns=None, beat_ns=None)])
    assert found["detection"] == [1.0]
    assert found["recovery"] == [5.0, 5.0]
    assert found["recovery by log"] == [5.0, 5.0]
    assert found["first heartbeat"] == [2.0]


def test_times_of_two_sources_that_contradict_are_told():
    """Kernel log and trace share a clock: an order that can't be is a fault of the measurement."""
    assert disagreements(TIMES) == []
    assert disagreements(evolve(TIMES, stopped_ns=None)) == []
    assert disagreements(evolve(TIMES, executed_ns=3 * MS - 1000)) == [], "both are cut to microseconds"
    assert disagreements(evolve(TIMES, executed_ns=MS)) == [
        "executed at 1000000 ns is before queued at 3000000 ns"
    ]
    assert disagreements(evolve(TIMES, detected_ns=0)) == [
        "detected at 0 ns is before interrupt at 1000000 ns"
    ]


def test_linux_reports_a_crash_before_or_after_it_queues_the_work():
    """The order of rproc_report_crash() in 6.12.107, and in 6.12.117."""
    assert disagreements(evolve(TIMES, detected_ns=2 * MS, queued_ns=3 * MS)) == []
    assert disagreements(evolve(TIMES, detected_ns=3 * MS, queued_ns=2 * MS)) == []


def test_a_percentile_needs_its_samples():
    """p90 of ten samples would be a matter of chance, so it is left out; the median never is."""
    assert dict(distribution(range(1, 11))) == {"min": 1, "p50": 5, "max": 10}
    assert dict(distribution(range(1, 101))) == {"min": 1, "p50": 50, "p90": 90, "max": 100}
    assert list(distribution([])) == []


def test_a_time_beyond_its_limit_is_a_fail():
    """Limits come from the target; an interval without one has no verdict."""
    found = list(measurements([TIMES], "m33", {"recovery": 4.0}))
    assert {m.verdict for m in found if m.name == "recovery"} == {Verdict.FAIL}
    assert {m.verdict for m in found if m.name != "recovery"} == {None}
    first = found[0]
    assert (first.name, first.statistic, first.n, first.conditions) == (
        "detection",
        "min",
        1,
        {"core": "m33"},
    )


# --- the watcher of heartbeats


class Spawner(StandIn):
    """A session whose spawned watcher does nothing but be closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.command = ""

    def spawn(self, command):
        self.command = command
        return self

    def close(self):
        self.closed += 1


class Log(StandIn):
    """A kernel log that matches or not."""

    def __init__(self, matches: bool) -> None:
        self.matches = matches

    def mark(self):
        return 0

    def wait_for(self, *_):
        return self.matches


@contextmanager
def beats(matches: bool):
    session = Spawner()
    with watched(session, Log(matches), Watched("m33", "/d/trace0", "/s/state")):
        yield session
    assert session.closed == 1


def test_the_watcher_ends_with_its_block():
    """It looks at the core's trace file, and is gone afterwards."""
    with beats(True) as session:
        assert "</d/trace0" in session.command
        assert "mpbench beat m33 $2" in session.command


def test_a_watcher_that_sees_nothing_is_the_labs_fault():
    """Times of heartbeats from a watcher that does not work would be missing without a word."""
    with (
        pytest.raises(
            InfrastructureError, match="m33: the watcher on the board saw no heartbeat in /d/trace0"
        ),
        beats(False),
    ):
        pass
