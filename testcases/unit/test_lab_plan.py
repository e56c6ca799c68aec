# SPDX-License-Identifier: MIT
"""The plan of a night: what is wrong with it is said with its line, before anything is touched."""

import contextlib
import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbench.core.errors import UsageError
from mpbench.lab.assignment import assign
from mpbench.lab.coordinator import PlaceInfo
from mpbench.lab.plan import ALL, TimeWindow, load
from mpbench.lab.retention import outdated

GOOD = """\
coordinator: lab:20408
reports: nights
window: {from: '22:00', to: '06:00'}
wait_minutes: 5
free_mb: 100
keep_nights: 2
quarantine: {mp25-3: its switch sticks}
jobs:
  - name: all
    target: mp25.yaml
    tags: {board: mp25}
    tests: [testcases]
    options: [-k, deploy]
    variables: {MPBENCH_PROFILE: virtual-mp25}
    boards: 2
    minutes: 30
"""


@pytest.fixture
def plan(tmp_path):
    """Write a plan beside a target; returns its path."""
    (tmp_path / "mp25.yaml").write_text("targets: {}")

    def write(text):
        path = tmp_path / "plan.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_everything_is_read(plan, tmp_path):
    """Paths are relative to the plan, what is not given has a default."""
    found = load(plan(GOOD))
    (job,) = found.jobs
    assert (found.coordinator, found.reports, found.wait_minutes) == ("lab:20408", tmp_path / "nights", 5)
    assert (job.target, job.boards, job.minutes) == (tmp_path / "mp25.yaml", 2, 30)
    assert (job.tests, job.options) == (("testcases",), ("-k", "deploy"))
    assert found.quarantine == {"mp25-3": "its switch sticks"}
    bare = load(plan("jobs: [{name: a, target: mp25.yaml, tags: {b: c}, tests: [t]}]"))
    assert (bare.jobs[0].boards, bare.window, bare.free_mb) == (ALL, None, 500)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("jobs:", "job:", 8, "`job` in the plan is an unknown key; known: coordinator, reports"),
        (
            "wait_minutes: 5",
            "wait_minutes: soon",
            4,
            "`wait_minutes` is 'soon'; expected a number from 0",
        ),
        (
            "free_mb: 100",
            "free_mb: 0x" + "f" * 5000,
            5,
            "`free_mb` is a number of 20000 bits; at most 64 are read",
        ),
        ("free_mb: 100", "free_mb: true", 5, "`free_mb` is True; expected a number"),
        ("keep_nights: 2", "keep_nights: 0", 6, "expected a number from 1"),
        ("keep_nights: 2", "free_mb: 2", 6, "`free_mb` in the plan is a duplicate key"),
        ("'22:00'", "22:00", 3, "`from` is 1320; expected '22:00', in quotes"),
        ("'06:00'", "'25:00'", 3, "`to` is '25:00'"),
        ("{from: '22:00', to: '06:00'}", "{from: '22:00'}", 3, "`window` lacks `to`"),
        ("{from: '22:00', to: '06:00'}", "always", 3, "`window` is not a mapping with from, to"),
        ("lab:20408", "lab", 1, "`coordinator` is 'lab'; expected HOST:PORT"),
        ("name: all", "name: ../x", 9, "`name` is '../x'; expected letters"),
        ("target: mp25.yaml", "target: none.yaml", 10, "none.yaml, which does not exist"),
        ("{board: mp25}", "{}", 11, "`tags` is empty: it would match every place of the lab"),
        ("{board: mp25}", "{board: a b}", 11, "labgrid's tags are words"),
        ("{board: mp25}", "[board]", 11, "`tags` is not a mapping"),
        ("[testcases]", "[]", 12, "`tests` is empty: nothing to run"),
        ("[testcases]", "testcases", 12, "`tests` is not a list"),
        ("[testcases]", "[[a]]", 12, "`tests`[0] is a list or mapping; expected one value"),
        ("[testcases]", "[1]", 12, "`tests`[0] is 1; expected text"),
        ("MPBENCH_PROFILE:", "path=x:", 14, "expected an environment variable"),
        ("virtual-mp25", '"a\\0b"', 14, "is 'a\\x00b': no path, option or variable has a NUL"),
        ("[testcases]", '["\\uD800"]', 12, "is '\\ud800': no path, option or variable has a NUL or half"),
        ("MPBENCH_PROFILE:", "LG_PLACE:", 14, "has LG_PLACE, which the night sets: a job runs on the place"),
        (
            "[-k, deploy]",
            "[--bench-resume=x]",
            13,
            "has --bench-resume=x, which the night sets: it could not",
        ),
        ("[testcases]", "[-x]", 12, "`tests` has '-x', an option: put it into `options`"),
        ("boards: 2", "boards: 0", 15, "`boards` is 0"),
        ("    minutes: 30", "    minutes: {a: b", 17, "expected"),
        (
            "minutes: 30",
            "minutes: !!python/object/apply:os.system [x]",
            16,
            "is a list or mapping; expected one value",
        ),
        ("minutes: 30", "minutes: !!python/name:os.system x", 16, "could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(plan, old, new, line, words):
    """File, line, name, value, and what would be right; nothing in the file is run."""
    path = plan(GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as e:
        load(path)
    assert str(e.value).startswith(f"{path}:{line}: ")
    assert words in str(e.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the plan is empty"),
        ("jobs: []", "`jobs` is empty"),
        ("[]", "the plan is not a mapping"),
        (b"\xff", "not UTF-8"),
        ("\x00", "special characters are not allowed"),
        ("[" * 2000, "plan.yaml:1: the plan is nested deeper than 32 levels"),
        ("a: *b", "found undefined alias"),
        ("jobs: [" + "a, " * 20_000 + "]", "plan.yaml:1: the plan has more than 20000 values"),
        ("%YAML 1." + "9" * 5000 + "\njobs: []", "plan.yaml: Exceeds the limit (4300 digits) for integer"),
        ("? {a: b}\n: c", "is a list or mapping; expected one value"),
        ("jobs:\n" + "  - {name: a, target: mp25.yaml, tags: {b: c}, tests: [t]}\n" * 2, "two jobs named a"),
    ],
)
def test_what_is_no_plan_is_one_line(plan, text, words):
    """Empty, binary, nested without end: a usage error in one line."""
    with pytest.raises(UsageError) as e:
        load(plan(text))
    assert words in str(e.value)
    assert "\n" not in str(e.value)


def test_a_missing_plan_is_one_line(tmp_path):
    """The error names the file."""
    with pytest.raises(UsageError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_refused(tmp_path_factory, text):
    """No text whatever raises anything but UsageError."""
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with contextlib.suppress(UsageError):
        load(path)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("21:59", None),
        ("22:00", 8 * 3600),
        ("23:30", 6.5 * 3600),
        ("05:59", 60),
        ("06:00", None),
        ("12:00", None),
    ],
)
def test_a_window_over_midnight(now, left):
    """Open from its begin until its end on the next day, which is outside."""
    window = TimeWindow(datetime.time(22), datetime.time(6))
    assert (
        window.left_s(datetime.datetime.combine(datetime.date(2026, 3, 4), datetime.time.fromisoformat(now)))
        == left
    )


def test_a_window_in_the_day():
    """A window that ends later than it begins is one of the same day."""
    window, day = TimeWindow(datetime.time(9), datetime.time(17)), datetime.date(2026, 3, 4)
    hours = [window.left_s(datetime.datetime.combine(day, datetime.time(h))) for h in (8, 9, 17)]
    assert hours == [None, 8 * 3600, None]


def offer(name, acquired="", **tags):
    return PlaceInfo(name, tags or {"board": "mp25"}, acquired, "")


def test_jobs_go_to_the_places_that_fit(plan):
    """By tags; free places first; those in quarantine are left out, and said so."""
    found = load(plan(GOOD))
    offers = [
        offer("mp25-1", "x/y"),
        offer("mp25-2"),
        offer("mp25-3"),
        offer("mp25-4"),
        offer("mp25-5"),
        offer("mp15-1", board="mp15"),
    ]
    assigned = assign(found, offers, {"mp25-5": "no SSH"})
    assert [u.place for u in assigned.runs] == ["mp25-2", "mp25-4"]
    assert assigned.declared == ("all on mp25-3: in quarantine: its switch sticks",)
    assert assigned.missing == ("all on mp25-5: in quarantine: no SSH",)


def test_too_few_places_are_said(plan):
    """A job that wants more boards than there are runs on those, and the lack is reported."""
    found = load(plan(GOOD))
    assigned = assign(found, [offer("mp25-1")], {})
    assert [u.place for u in assigned.runs] == ["mp25-1"]
    assert assigned.missing == ("all: 1 usable places with tags board=mp25, 2 needed",)
    assert assign(found, [], {}).runs == ()


def test_old_nights_go_signed_ones_stay(plan, tmp_path):
    """Of this plan's nights the last ones are kept, and signed ones."""
    found = load(plan(GOOD))
    for day in range(1, 6):
        (tmp_path / "nights" / f"2026110{day}T220000Z-plan").mkdir(parents=True)
        (tmp_path / "nights" / f"2026110{day}T220000Z-plan" / "journal.jsonl").touch()
    (tmp_path / "nights" / "20261101T220000Z-other").mkdir()
    (tmp_path / "nights" / "20261102T220000Z-plan" / "manifest.json").write_text("{}")
    old = ["20261101T220000Z-plan", "20261103T220000Z-plan"]
    nights = tmp_path / "nights"
    assert [path.name for path in outdated(found, nights / "20261105T220000Z-plan")] == old
    of_a_wrong_clock = nights / "19700101T000000Z-plan"
    of_a_wrong_clock.mkdir()
    old = ["20261101T220000Z-plan", "20261103T220000Z-plan", "20261104T220000Z-plan"]
    assert [path.name for path in outdated(found, of_a_wrong_clock)] == old


def test_the_example_is_a_plan():
    """What users copy is right."""
    example = Path(__file__).resolve().parents[2] / "targets" / "nightly" / "example.yaml"
    assert [job.name for job in load(example).jobs] == ["mp25", "soak"]
