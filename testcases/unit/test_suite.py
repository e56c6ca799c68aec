# SPDX-License-Identifier: MIT
"""`make test`: its stages, what it counts, its last lines."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mpbench.core.shared_files import CHECKOUT
from testcases.suite.__main__ import Suite, words_of
from testcases.suite.stages import Result, Stage, result_of, skips_by_reason, stages, summary

IN = 'testcase classname="testcases.unit.test_x"'
JUNIT = f"""<testsuites><testsuite name="pytest" tests="5">
<{IN} name="test_good[a-1]" time="0.1" />
<{IN} name="test_bad" time="0.1"><failure message="no">no</failure></testcase>
<{IN} name="test_bad" time="0.1"><error message="teardown">no</error></testcase>
<{IN} name="test_a"><skipped type="pytest.skip" message="no root">x.py:1: no root</skipped></testcase>
<{IN} name="test_b"><skipped type="pytest.skip" message="no root">x.py:2: no root</skipped></testcase>
</testsuite></testsuites>"""


def test_a_stage_is_counted_by_its_junit_file(tmp_path):
    """Passed, failed and skipped with reasons; a test whose teardown failed as well is one failed test."""
    (tmp_path / "j.xml").write_text(JUNIT)
    found = result_of("unit tests", 1, 12.0, tmp_path / "j.xml")
    assert (found.passed, found.failed, found.skipped) == (1, 1, {"no root": 2})
    assert found.failures == ["testcases/unit/test_x.py::test_bad"]


def test_a_stage_without_numbers_has_none(tmp_path):
    """A linter, and a pytest that ended before it wrote its file, count nothing."""
    for junit in (None, tmp_path / "missing.xml"):
        assert result_of("lint", 4, 1.0, junit) == Result("lint", 4, 1.0)


def test_the_last_lines_have_stages_failures_and_skips():
    """Skips are added up by reason over all stages; the last line has the verdict."""
    results = [
        Result("lint", 0, 3.0),
        Result("board cases", 0, 700.0, 452, 0, {"no xtest": 2, "needs root": 1}),
        Result("contract", 1, 99.6, 5, 1, {"needs root": 2}, ["testcases/contract/test_x.py::test_y"]),
    ]
    assert summary(results, 812.0) == [
        "stage              result      passed  failed  skipped  time",
        "lint               PASS             -       -        -  3 s",
        "board cases        PASS           452       0        3  11 min 40 s",
        "contract           FAIL (1)         5       1        2  1 min 40 s",
        "failed:",
        "  contract: testcases/contract/test_x.py::test_y",
        "skipped:",
        "    3 needs root",
        "    2 no xtest",
        "FAIL in contract: 457 passed, 1 failed, 5 skipped, 13 min 32 s",
    ]


def test_many_failures_are_cut():
    """Twenty are listed, and how many more there are."""
    found = summary([Result("unit tests", 1, 1.0, 0, 25, {}, [f"t.py::test_{n:02}" for n in range(25)])], 1.0)
    assert found[2:] == [
        "failed:",
        *(f"  unit tests: t.py::test_{n:02}" for n in range(20)),
        "  and 5 more",
        "FAIL in unit tests: 0 passed, 25 failed, 0 skipped, 1 s",
    ]


def test_equal_numbers_of_skips_are_in_order_of_their_reasons():
    """The order does not depend on the order of stages."""
    results = [Result("a", 0, 1.0, 0, 0, {"z": 1, "b": 1}), Result("c", 0, 1.0, 0, 0, {"a": 2})]
    assert skips_by_reason(results) == [("a", 2), ("b", 1), ("z", 1)]


def test_every_directory_of_tests_is_in_a_stage():
    """A new directory with tests is run by `make test`; the board cases are those beside the directories."""
    named = {word for stage in stages("t.yaml") for word in stage.command if word.startswith("testcases")}
    with_tests = {
        path.parent.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("testcases/*/test_*.py")
    }
    assert with_tests <= named
    assert all((CHECKOUT / name).exists() for name in named)


def test_what_make_test_leaves_out_is_in_a_command_of_make():
    """A file with tests that are marked `thorough` is named by the command of its board."""
    words = (CHECKOUT / "Makefile").read_text().split()
    named = {path for word in words if word.startswith("testcases/contract/") for path in CHECKOUT.glob(word)}
    every = CHECKOUT.glob("testcases/contract/test_*.py")
    marked = {path for path in every if "mark.thorough" in path.read_text()}
    assert marked
    assert marked <= named


def test_every_stage_is_a_command():
    """pytest with the stage's words and a JUnit file, or a program of the environment that exists."""
    for stage in stages("targets/virtual-mp25.yaml"):
        words = words_of(stage, Path("j.xml") if stage.pytest else None, kept=stage.lane > 0)
        if stage.pytest:
            cache = ["-p", "no:cacheprovider"] if stage.lane else []
            assert words == [sys.executable, "-m", "pytest", "--junit-xml=j.xml", *cache, *stage.command]
        else:
            assert Path(words[0]).is_file()


def test_a_mistake_in_another_lane_is_not_lost(tmp_path):
    """It ends the suite as one in the first lane does."""
    wrong = Stage("wrong", ("no/such program",), 1, pytest=False)
    with pytest.raises(ValueError, match="Invalid name"):
        Suite(tmp_path, tmp_path / "out").run([wrong], 2)


TESTS = """
import pytest
def test_good(): pass
def test_skipped(): pytest.skip("no root")
"""


def suite(path, capfdbinary, lanes, **files):
    """Run one stage per file in a suite: exit code, output."""
    wanted = []
    for name, text in files.items():
        (path / f"test_{name}.py").write_text(text)
        words = ("-q", "-p", "no:mpbench.plugin", "-p", "no:labgrid", f"test_{name}.py")
        wanted.append(Stage(name, words, int(name.startswith("beside"))))
    (path / "pytest.ini").touch()
    code = Suite(path, path / "out").run(
        [Stage("python", ("python", "-c", "pass"), pytest=False), *wanted], lanes
    )
    return code, re.sub(r"\d+ s\b", "N s", capfdbinary.readouterr().out.decode())


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_all_stages_are_run_and_the_worst_decides(tmp_path, capfdbinary, lanes):
    """A failed stage stops nothing; output of another lane is whole; the table has the order of stages."""
    bad = "def test_bad(): assert False\n"
    code, printed = suite(tmp_path, capfdbinary, lanes, one=bad, two=TESTS, beside=TESTS)
    assert code == 1
    for name in ("python", "one", "two", "beside"):
        assert f"=== N s: {name}: " in printed
    assert "=== N s: one: FAIL (1) in N s\n" in printed
    assert printed.endswith(
        "stage              result      passed  failed  skipped  time\n"
        "python             PASS             -       -        -  N s\n"
        "one                FAIL (1)         0       1        0  N s\n"
        "two                PASS             1       0        1  N s\n"
        "beside             PASS             1       0        1  N s\n"
        "failed:\n"
        "  one: test_one.py::test_bad\n"
        "skipped:\n"
        "    2 no root\n"
        "FAIL in one: 2 passed, 1 failed, 2 skipped, N s\n"
    )
    assert re.search(r"1 passed, 1 skipped in [\d.]+s\n=== N s: beside: PASS in N s\n", printed)


@pytest.mark.slow
def test_lanes_run_at_the_same_time(tmp_path, capfdbinary):
    """Each lane's test waits for the other's."""
    meet = """
import pathlib, time
def test_meet():
    pathlib.Path("{mine}").touch()
    end = time.monotonic() + 300
    while not pathlib.Path("{other}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
"""
    code, printed = suite(
        tmp_path,
        capfdbinary,
        2,
        main=meet.format(mine="a", other="b"),
        beside=meet.format(mine="b", other="a"),
    )
    assert (code, printed.splitlines()[-1]) == (0, "PASS: 2 passed, 0 failed, 0 skipped, N s")


@pytest.mark.slow
def test_an_interrupted_suite_ends_its_stages(tmp_path, monkeypatch):
    """What runs in both lanes is terminated and waited for, and no further stage is started."""
    wait = "import pathlib, time\ndef test_wait():\n    pathlib.Path('{name}').touch()\n    time.sleep(600)\n"
    (tmp_path / "pytest.ini").touch()
    wanted = []
    for name, lane in (("one", 0), ("beside", 1), ("later", 1)):
        (tmp_path / f"test_{name}.py").write_text(wait.format(name=name))
        wanted.append(Stage(name, ("-p", "no:mpbench.plugin", f"test_{name}.py"), lane))
    made = Suite(tmp_path, tmp_path / "out")
    call = made._call
    running: list[subprocess.Popen[bytes]] = []

    def interrupted(name, words, output):
        """As a Ctrl-C in the first lane, once both lanes run a test."""
        if name != "one":
            return call(name, words, output)
        while not (tmp_path / "beside").exists():
            assert len(made._running) <= 1
        running.extend(made._running)
        raise KeyboardInterrupt

    monkeypatch.setattr(Suite, "_call", lambda _, *words: interrupted(*words))
    with pytest.raises(KeyboardInterrupt):
        made.run(wanted, 2)
    assert [process.poll() for process in running] == [-15]
    assert not (tmp_path / "later").exists()
    assert Path(tmp_path / "out" / "beside.log").exists()


PACKAGE_OF = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "busybox": "busybox",
    "chromium": "chromium",
    "dropbear": "dropbear-bin",
    "dropbearkey": "dropbear-bin",
    "dtc": "device-tree-compiler",
    "fdtget": "device-tree-compiler",
    "gcc": "gcc",
    "pdftotext": "poppler-utils",
    "qemu-system-arm": "qemu-system-arm",
    "ser2net": "ser2net",
    "softhsm2-util": "softhsm2",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "trace-cmd": "trace-cmd",
    "unshare": "util-linux",
}
"""Programs without which tests are skipped, and their Debian packages."""
PROGRAM = re.compile(r"which\(\"([\w.-]+)\"\)|\"(chromium)\"")


def test_no_test_is_skipped_for_a_program_that_the_set_up_can_install():
    """Every program that a test looks for has a package, and `make test` installs it."""
    names = ("unit", "contract", "peer", "faults")
    tests = [path for name in names for path in CHECKOUT.glob(f"testcases/{name}/*.py")]
    found = [PROGRAM.findall(path.read_text()) for path in tests if path.name != "test_suite.py"]
    assert {one or other for pairs in found for one, other in pairs} == set(PACKAGE_OF)
    makefile = (CHECKOUT / "Makefile").read_text().replace("\\\n", " ")
    lists = re.findall(r"^(?:TEST_)?PACKAGES := (.*)$", makefile, re.MULTILINE)
    assert set(PACKAGE_OF.values()) <= set(" ".join(lists).split())
