# SPDX-License-Identifier: MIT
"""What a build of a virtual board prints: whole lines, progress, interruptions, replaced packages."""

import threading
from types import SimpleNamespace

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench.core.files import lock
from mpbench_virtual import fetch, progress, steps
from mpbench_virtual.fetch import Apt, Package
from mpbench_virtual.progress import BuildProgress, span
from mpbench_virtual.steps import BuildStep, build
from testcases.stand_in import StandIn


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test only, a clock that stands, and a build that reports a hundred times a second."""
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(steps, "TICK_S", 0.01)
    monkeypatch.setattr(fetch, "FETCHED", [])  # of other tests in this process
    monkeypatch.setattr(steps, "clock_s", lambda: 7.0)
    return tmp_path / "cache"


@pytest.fixture
def printed():
    """Makes a BuildProgress with a clock that a test sets, and collects its output."""

    def make(**options):
        found = SimpleNamespace(now_s=0.0, written=[])
        found.report = BuildProgress(write=found.written.append, clock_s=lambda: found.now_s, **options)
        return found

    return make


def test_without_a_terminal_what_is_built_is_printed_once_a_minute(printed):
    """Reports of every second become one line per minute without output; changes are printed at once."""
    found = printed(terminal=False)
    found.report("linux", "building")
    for second in range(1, 150):
        found.now_s = second
        found.report("linux", f"{second} of about 925 objects", True)
    found.now_s = 150.0
    found.report("linux", "built in 2 min 30 s")
    assert found.written == [
        "[    0 s] linux        building\n",
        "[   60 s] linux        60 of about 925 objects\n",
        "[  120 s] linux        120 of about 925 objects\n",
        "[  150 s] linux        built in 2 min 30 s\n",
    ]


def test_a_terminal_has_one_line_that_is_kept_up_to_date(printed, monkeypatch):
    """What is built is rewritten in place, cut at the last column; a change replaces it by a whole line."""
    monkeypatch.setattr(progress, "_columns", lambda: 30)
    found = printed(terminal=True)
    found.report("linux", "building")
    found.now_s = 1.0
    found.report("linux", "17 of about 925 objects", True)
    found.report("linux", "failed")
    assert found.written == [
        "\r\033[K[    0 s] linux        building\n",
        "\r\033[K[    1 s] linux        17 of ",
        "\r\033[K[    1 s] linux        failed\n",
    ]


def test_a_board_that_is_in_the_cache_prints_nothing_in_a_run(printed):
    """The layout of a pytest run leaves out what is cached."""
    found = printed(terminal=False, layout="virtual board: {step}: {what}", cached=False)
    found.report("linux", "cached")
    found.report("optee", "building")
    assert found.written == ["virtual board: optee: building\n"]


def test_lines_of_steps_that_are_built_at_the_same_time_are_whole(printed):
    """Two steps start and end together: every text that is written is one line with its end."""
    found = printed(terminal=False, layout="{step} {what}")
    together = threading.Barrier(2)

    def make(place):
        together.wait()
        (place.out / "file").touch()
        together.wait()

    build([BuildStep(name, list, make) for name in ("one", "two")], found.report)
    assert sorted(found.written) == [
        "one building\n",
        "one built in 0 s\n",
        "two building\n",
        "two built in 0 s\n",
    ]


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [(3, "2 of about 3 objects, 0 s"), (1, "2 objects, 0 s"), (0, "2 objects, 0 s")],
    ids=["of all", "more than expected", "not known"],
)
def test_objects_are_counted_in_the_log_of_a_step(objects, wanted):
    """A compiling step reports its objects, as Makefiles print them, of about as many as it has."""
    seen, go = [], threading.Event()

    def make(place):
        place.log.write_bytes(b"$ make\n  CC      a.o\n  AS      b.o\n  LD      c\nwarning:  CC x\n")
        go.wait()

    def report(step, what, passing=False):
        if passing and what == wanted:
            seen.append(step)
            go.set()

    build([BuildStep("linux", list, make, objects=objects)], report)
    assert seen[0] == "linux"


def test_steps_that_are_built_at_the_same_time_are_reported_together():
    """One line has them all."""
    go = threading.Event()
    seen = []

    def report(step, what, passing=False):
        if passing:
            seen.append((step, what))
            go.set()

    def make(_):
        go.wait()

    build([BuildStep(name, list, make) for name in ("one", "two")], report)
    assert ("building", "one: 0 s; two: 0 s") in seen


def lines_of(recorded):
    """A report function that records what stays."""

    def report(step, what, passing=False):
        if not passing:
            recorded.append((step, what.partition(" in ")[0]))

    return report


@pytest.mark.parametrize(
    ("resumes", "second"),
    [(True, "building; continues where it was interrupted"), (False, "building again")],
)
def test_an_interrupted_build_continues_and_reports_it(resumes, second):
    """Ctrl-C stops what is built; the next build finds what is complete, and prints that it continues."""
    entered, killed = threading.Event(), threading.Event()

    def make(place):
        entered.set()
        if not killed.wait(60):
            raise AssertionError("not interrupted")
        if not (place.work / "half").exists():
            (place.work / "half").touch()
            raise InfrastructureError("make ended with -2")

    parts = [
        BuildStep("base", list, lambda place: (place.out / "file").touch()),
        BuildStep("part", list, make, needs=("base",), resumes=resumes),
    ]
    first: list[tuple[str, str]] = []
    again: list[tuple[str, str]] = []
    record = lines_of(first)

    def interrupted(step, what, passing=False):
        record(step, what, passing)
        if what.startswith("interrupted"):
            killed.set()  # as the same Ctrl-C ends the tools
        elif passing and entered.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(parts, interrupted)
    assert first[2:] == [
        ("part", "building"),
        ("build", "interrupted; the next one continues with what is complete"),
        ("part", "stopped"),
    ]
    build(parts, lines_of(again))
    assert again == [("base", "cached"), ("part", second), ("part", "built")]


def test_a_build_that_waits_for_another_one_reports_it(cache):
    """While another process has the lock, the wait is reported, with its time."""
    cache.mkdir()
    seen = []
    with (cache / "build.lock").open("w") as other:
        lock(other)

        def report(step, what, passing=False):
            seen.append((step, what, passing))
            if passing:
                other.close()

        build([BuildStep("part", list, lambda _: None)], report)
    assert seen[:2] == [
        ("build", "another build is running; waiting for it", False),
        ("build", "waiting for the other build, 0 s", True),
    ]


class Archive(StandIn):
    """An archive that holds a newer version of everything; real apt is tried by every build from nothing."""

    def has(self, package):  # noqa: ARG002 - the interface of Apt
        return False

    def newest(self, package):  # noqa: ARG002
        return "1.1"

    def download(self, package, into):
        file = into / f"{package.package}.deb"
        file.write_bytes(b"package")
        return file


def test_packages_that_have_left_the_archive_are_one_sentence_with_advice(monkeypatch, capsys):
    """Two packages have left: one warning names both and what to do; the next build prints none."""
    names = ("busybox", "libc")
    recorded = {n: Package(n, "binary", "trixie", f"{n}-package", "1.0", "0" * 64) for n in names}
    monkeypatch.setattr(fetch, "packages", lambda: recorded)
    monkeypatch.setattr(Apt, "shared", Archive)
    step = BuildStep("rootfs", lambda: [fetch.fetch(n)[0].version for n in names], lambda _: None)
    lines: list[tuple[str, str]] = []
    build([step], lines_of(lines))
    assert lines[0] == ("sources", "2 fetched")
    assert capsys.readouterr().err == (
        "warning: the archive no longer has the tested versions, so newer packages are taken: "
        "busybox-package 1.1 (tested: 1.0), libc-package 1.1 (tested: 1.0); if the virtual board does not "
        "work with them, build in an empty MPBENCH_CACHE with an MPBENCH_MIRROR that has the tested ones, "
        "such as a date of snapshot.debian.org\n"
    )
    build([step], lines_of(lines))
    assert capsys.readouterr().err == ""


def test_sources_that_cannot_be_fetched_end_the_build():
    """A download that takes time is reported while it goes on, and so is its failure."""
    seen, go = [], threading.Event()

    def inputs():
        go.wait()
        raise InfrastructureError("apt-get ended with 100")

    def report(step, what, passing=False):
        seen.append((step, what, passing))
        go.set()

    with pytest.raises(InfrastructureError, match="apt-get ended with 100"):
        build([BuildStep("part", inputs, lambda _: None)], report)
    assert seen[0] == ("sources", "fetching, 0 s", True)
    assert seen[-1] == ("sources", "failed", False)


def test_a_line_is_written_at_once(capsys):
    """Standard output has the line with its end before the next step prints."""
    BuildProgress(terminal=False, clock_s=lambda: 7.0)("optee", "building")
    assert capsys.readouterr().out == "[    0 s] optee        building\n"


def test_times_are_in_minutes_from_one_minute_on():
    """Seconds below."""
    assert [span(s) for s in (0, 59.4, 60, 754)] == ["0 s", "59 s", "1 min 00 s", "12 min 34 s"]
