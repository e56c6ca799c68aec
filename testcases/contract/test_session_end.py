# SPDX-License-Identifier: MIT
"""A run that ends early is never green: console, exit code, record, page, summary and JUnit agree."""

import json
import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from mpbench.commands import main
from mpbench.core.record import LOG
from mpbench.core.version import bench_version
from testcases.contract.test_plugin import CHECKOUT, HEADER, Place, key, place

pytestmark = pytest.mark.slow

__all__ = ["key", "place"]

PLUGINS = CHECKOUT / "build" / "plugins"
"""Plug-ins of others, beside the environment because every pytest would load them: `make plugins`."""


def needs(name: str) -> dict[str, str]:
    """Variables with which pytest loads the plug-ins of others."""
    if not (PLUGINS / name).exists() and not (PLUGINS / f"{name}.py").exists():
        pytest.skip(f"{name} is not installed in build/plugins: `make plugins`")
    return {"PYTHONPATH": str(PLUGINS)}


def outlets(place: Place) -> tuple[str, str, str]:
    """Verdict in summary.json, on the page, and of the JUnit file: "green" or "red"."""
    (summary,) = (place.path / "runs").glob("*/summary.json")
    page = summary.with_name("index.html").read_text()
    root = ET.parse(summary.with_name("junit.xml")).getroot()
    red = [child.tag for case in root.iter("testcase") for child in case if child.tag in ("failure", "error")]
    title = page.partition("<title>")[2].partition(":")[0]
    return json.loads(summary.read_text())["verdict"], title, "red" if red else "green"


ONE = "def test_one(bench): pass\n"
EARLY = {
    "-x": (["-x"], "def test_zero(bench): assert 0\n", "FAIL", 1, "stopping after 1 failures"),
    "shouldstop": (
        [],
        "@pytest.fixture\ndef stops(request):\n    yield\n    request.session.shouldstop = 'no more time'\n"
        "def test_zero(bench, stops): pass\n",
        "INCOMPLETE",
        3,
        "no more time",
    ),
    "shouldfail": (
        [],
        "def test_zero(bench, request): request.session.shouldfail = 'session-timeout: 1 s'\n",
        "INCOMPLETE",
        3,
        "session-timeout: 1 s",
    ),
    "pytest.exit(0)": ([], "def test_zero(bench): pytest.exit('enough', 0)\n", "INVALID", 3, "enough"),
    "os._exit(0)": (
        [],
        "import os\ndef test_zero(bench): os._exit(0)\n",
        "INVALID",
        3,
        "os._exit(0) was called",
    ),
    "SIGHUP": (
        [],
        "import os, signal\ndef test_zero(bench): os.kill(os.getpid(), signal.SIGHUP)\n",
        "INVALID",
        3,
        "SIGHUP was received",
    ),
    "internal error": (
        ["-p", "broken"],
        "def test_zero(bench): pass\n",
        "INCOMPLETE",
        3,
        "internal error of pytest or a plug-in: RuntimeError: broken",
    ),
}
BROKEN = """
def pytest_runtest_logreport(report):
    if report.when == "teardown":
        raise RuntimeError("broken")
"""


@pytest.mark.parametrize("how", EARLY)
def test_an_early_end_is_never_green(place, how):
    """The cause is on the console and on the page, and what did not run is counted."""
    arguments, first, verdict, code, why = EARLY[how]
    (place.path / "broken.py").write_text(BROKEN)
    done = place.run(first + ONE, "--lg-env=played.yaml", *arguments, PYTHONPATH=str(place.path))
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert f"verdict {verdict}: " in output
    assert f"the run ended early: {why}" in output
    assert "1 of 2 planned tests did not run" in output
    assert outlets(place) == (verdict, verdict, "red")
    assert f"the run ended early: {why}" in place.page()
    assert place.lines()[-1]["why"] == why


def test_a_forked_child_is_not_the_run(place):
    """It leaves its test as the parent does, and neither runs the rest nor writes the record or the page."""
    tests = "import os, sys\ndef test_zero(bench):\n    if not os.fork(): sys.exit(0)\n    os.wait()\n" + ONE
    done = place.run(tests, "--lg-env=played.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outlets(place) == ("PASS", "PASS", "green")
    assert done.stdout.count("verdict ") == 1
    assert len(place.ends()) == 2


def test_another_program_does_not_replace_the_run(place):
    """os.execvp(): the exit code would be its."""
    done = place.run(
        "import os\ndef test_zero(bench): os.execvp('true', ['true'])\n" + ONE, "--lg-env=played.yaml"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "would replace the process of the run" in done.stdout
    assert outlets(place) == ("ERROR", "ERROR", "red")


def test_a_file_that_cannot_be_collected_is_no_fail_of_the_board(place):
    """--continue-on-collection-errors runs the rest: what is not known cannot have passed, nor failed."""
    (place.path / "test_broken.py").write_text("import no_such_module\n")
    done = place.run(
        ONE, "--lg-env=played.yaml", "--continue-on-collection-errors", "test_broken.py", "test_played.py"
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert outlets(place) == ("INCOMPLETE", "INCOMPLETE", "red")
    assert "1 test file could not be collected" in done.stdout
    assert place.lines()[-1]["others_failed"] == 0


def test_python_without_assertions_is_refused(place):
    """-O: `assert 0` in a helper of a test, and with --assert=plain in the test itself, would be a PASS."""
    done = place.run("def test_zero(bench): assert 0\n", "--lg-env=played.yaml", PYTHONOPTIMIZE="1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Python runs without assertions (-O, PYTHONOPTIMIZE): a test could not fail" in done.stderr
    assert not (place.path / "runs").exists()


def test_a_test_that_asserts_nothing_is_a_mistake_in_it(place):
    """`return` in the place of `assert`, and a coroutine that nothing awaits: neither PASS nor FAIL."""
    tests = "def test_zero(bench): return False\nasync def test_one(bench): assert 0\n"
    done = place.run(tests, "--lg-env=played.yaml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verdict ERROR: 2 ERROR" in done.stdout


def test_a_killed_run_is_incomplete_on_a_later_page(place):
    """After SIGKILL there is no page; `mpbench report` makes one, which names what did not run."""
    tests = "import os, signal\ndef test_zero(bench): pass\n"
    tests += "def test_one(bench): os.kill(os.getpid(), signal.SIGKILL)\ndef test_two(bench): pass\n"
    assert place.run(tests, "--lg-env=played.yaml").returncode == -signal.SIGKILL
    (log,) = (place.path / "runs").glob("*/record.jsonl")
    assert main.main(["report", str(log.parent)]) == 0
    assert outlets(place) == ("INVALID", "INVALID", "red")
    assert "1 of 3 planned tests did not run" in place.page()


def test_a_test_that_runs_twice_has_its_worst_result(place):
    """Both executions are on the page; console, exit code and page have the FAIL."""
    tests = "seen = []\ndef test_zero(bench):\n    seen.append(1)\n    assert len(seen) > 1\n"
    twice = ("--keep-duplicates", "test_played.py", "test_played.py")
    done = place.run(tests, "--lg-env=played.yaml", *twice)
    assert done.returncode == 1, done.stdout
    assert "verdict FAIL: 1 PASS, 1 FAIL" in done.stdout
    assert outlets(place) == ("FAIL", "FAIL", "red")
    assert place.lines()[-1]["counts"] == {"FAIL": 1, "PASS": 1}


def test_a_partial_run_says_so(place):
    """By option and by path: of how many cases, and which requirements have no evidence."""
    (place.path / "test_other.py").write_text(
        HEADER + "@pytest.mark.requirement('R-2')\ndef test_two(bench, core): pass\n"
    )
    tests = "@pytest.mark.requirement('R-1')\ndef test_one(bench): pass\ndef test_zero(bench): pass\n"
    done = place.run(tests, "--lg-env=played.yaml", "-k", "one", "test_played.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS: 1 PASS\npartial: 1 of 4 test cases were selected\n" in done.stdout
    assert "requirements without evidence: R-2\n" in done.stdout
    (summary,) = (place.path / "runs").glob("*/summary.json")
    found = json.loads(summary.read_text())
    assert found["selected"] == [{"label": "played", "selected": 1, "cases": 4}]
    assert found["without_evidence"] == ["R-2"]
    assert "1 of 4 test cases were selected" in place.page()


def test_a_selection_at_collection_is_partial(place):
    """--lf collects what failed last, --ignore leaves out files; one that skips itself ends no run."""
    (place.path / "test_other.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    (place.path / "test_more.py").write_text(HEADER + "def test_two(bench): pass\n")
    tests = "import os\ndef test_zero(bench): assert 'GOOD' in os.environ\n" + ONE
    cached = ("--lg-env=played.yaml", "-p", "cacheprovider", "test_played.py", "--ignore=test_more.py")
    assert "partial: 2 of 3 test cases were selected\n" in place.run(tests, *cached).stdout
    shutil.rmtree(place.path / "runs")
    done = place.run(tests, *cached, "--lf", GOOD="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS: 1 PASS\npartial: 1 of 3 test cases were selected\n" in done.stdout
    assert "1 of 3 test cases were selected" in place.page()


def test_a_file_that_skips_itself_is_said(place):
    """Its tests are in no plan: console and page name it with its reason."""
    (place.path / "test_other.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    done = place.run(ONE, "--lg-env=played.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    words = "it skipped itself: test_other.py: could not import &#x27;no_such_module&#x27;"
    assert words.replace("&#x27;", "'") in done.stdout
    assert words in place.page().replace("&#39;", "&#x27;")


UNPLANNED = """
@pytest.mark.xfail(run=False, reason="hangs")
def test_one(bench): assert 0
@pytest.mark.parametrize("n", [])
def test_two(bench, n): assert 0
def test_three(request): request.getfixturevalue("bench")
def test_four(bench): pass
"""


def test_what_did_not_run_is_no_fail_and_what_is_not_planned_does_not_run(place):
    """xfail(run=False), no parameters: NOT-RUN. A test that asks for the board at run time ends the run."""
    done = place.run(UNPLANNED, "--lg-env=played.yaml", "-rs", "-o", "empty_parameter_set_mark=xfail")
    assert done.returncode == 2, done.stdout + done.stderr
    assert (
        "test_three uses the board by request.getfixturevalue() alone, and is no planned test" in done.stdout
    )
    assert place.ends()["test_one"] == ("NOT-RUN", "hangs")
    assert place.ends()["test_two[NOTSET]"][0] == "NOT-RUN"
    assert place.ends()["test_four"] == ("NOT-RUN", "not started: the run was stopped")
    assert "a plug-in could not end" not in done.stderr
    assert not (place.path / "tries").exists()


RESUMED = """
import os
def test_zero(bench): assert 0
def test_one(bench):
    if "GOOD" not in os.environ: raise InfrastructureError("no answer")
"""


def test_a_resumed_run_is_no_better_than_what_it_leaves_out(place):
    """A FAIL of the run that is continued is not run again, and counts on console and page of this one."""
    assert place.run(RESUMED, "--lg-env=played.yaml").returncode == 1
    (first,) = (place.path / "runs").iterdir()
    first.rename(place.path / "first")
    done = place.run(RESUMED, "--lg-env=played.yaml", "--bench-resume=first", GOOD="1")
    assert done.returncode == 1, done.stdout + done.stderr
    words = "not run again: 1 test case of the run that this one continues, with FAIL there\n"
    assert f"verdict FAIL: 1 PASS\n{words}" in done.stdout
    assert outlets(place) == ("FAIL", "FAIL", "red")
    assert words.strip() in place.page()


def resumed_on_another(place, tests, file):
    """A run that resumes the one before it, on a board in which `file` (%d: the run's number) differs."""
    played = place.path / "played.py"
    good = played.read_text()
    for number in (1, 2):
        known = '"/proc/device-tree/compatible"'
        played.write_text(good.replace(known, f"{file % number}, {known}"))
        resume = [f"--bench-resume={p}" for p in place.path.glob("first")]
        done = place.run(tests, "--lg-env=played.yaml", *resume)
        for run in (place.path / "runs").iterdir():
            run.rename(place.path / ("first" if number == 1 else "second"))
    return done


def test_a_run_is_not_resumed_on_another_board(place):
    """What passed on one board is not settled on another: exit code 2, no test runs on it."""
    tests = "\n".join(RESUMED.split("def test_zero(bench): assert 0\n"))
    done = resumed_on_another(place, tests, '"/proc/device-tree/serial-number": b"S%d\\0"')
    assert done.returncode == 2, done.stdout + done.stderr
    assert "this is board S2, and the run that is continued was on S1: start anew" in done.stdout


def test_a_run_is_not_resumed_with_other_software(place):
    """What passed with one kernel is not settled with another: exit code 2, no test runs on it."""
    done = resumed_on_another(place, RESUMED, '"/proc/version": b"Linux version 6.%d\\n"')
    assert done.returncode == 2, done.stdout + done.stderr
    words = "kernel is Linux version 6.2, and the run that is continued had Linux version 6.1: start anew"
    assert words in done.stdout


def test_a_run_is_not_resumed_with_another_bench(place):
    """What an earlier version judged is not settled: exit code 2, before the board is started."""
    place.run(RESUMED, "--lg-env=played.yaml")
    (first,) = (place.path / "runs").iterdir()
    log = first / LOG
    log.write_text(log.read_text().replace(bench_version(), "0.0.1"))
    done = place.run(RESUMED, "--lg-env=played.yaml", f"--bench-resume={first}")
    assert done.returncode == 2, done.stdout + done.stderr
    words = f"bench is {bench_version()}, and the run that is continued had 0.0.1: start anew"
    assert words in done.stderr


SUBTESTS = """
def test_zero(bench, subtests):
    with subtests.test("a"): assert 0
    with subtests.test("b"): pass
def test_one(bench, subtests):
    with subtests.test("a"): pytest.skip("no such core")
def test_two(bench, subtests):
    with subtests.test("a"): raise InfrastructureError("no answer")
"""


def test_subtests_count_for_their_test_and_each_is_shown_as_it_was(place):
    """A later one is not failed by an earlier one; -rA lists a test of which one skipped itself."""
    done = place.run(SUBTESTS, "--lg-env=played.yaml", "-rA")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verdict FAIL: 1 FAIL, 1 INFRA, 1 NOT-RUN\n" in done.stdout
    assert "a plug-in could not end the session" not in done.stderr
    assert "SUBFAILED[a] test_played.py::test_zero" in done.stdout
    assert "SUBFAILED[b]" not in done.stdout
    assert "no such core" in done.stdout.partition("short test summary info")[2]


@pytest.mark.parametrize(
    ("plugin", "arguments", "words"),
    [
        ("xdist", ["-n", "2"], "pytest-xdist (-n, --dist): a board is tested by one process; for several "
         "boards use `mpbench nightly PLAN`, or one pytest per place with LG_PLACE"),
        ("pytest_rerunfailures", ["--reruns", "2"],
         "pytest-rerunfailures (--reruns 2): a verdict is not retried"),
        ("pytest_forked", ["--forked"], "pytest-forked (--forked): tests of a board share its session"),
        ("pytest_timeout", ["--timeout=9", "--timeout-method=thread"],
         "pytest-timeout with the method `thread` (a time limit of 9.0 s) ends the process without teardown"),
    ],
)  # fmt: skip
def test_a_plug_in_that_changes_verdicts_is_refused_in_one_line(place, plugin, arguments, words):
    """Exit code 2, with what to do instead; the board is not touched."""
    done = place.run(ONE, "--lg-env=played.yaml", *arguments, **needs(plugin))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith(f"ERROR: {words}")
    assert done.stderr.strip().count("\n") == 0
    assert not (place.path / "runs").exists()


@pytest.mark.parametrize(
    ("plugin", "mark", "words"),
    [
        ("pytest_rerunfailures", "flaky(reruns=2)",
         "pytest-rerunfailures (mark `flaky` of test_played.py::test_one)"),
        ("pytest_timeout", "timeout(9, method='thread')",
         "(mark of test_played.py::test_one) ends the process"),
    ],
)  # fmt: skip
def test_a_mark_that_changes_verdicts_is_refused_in_one_line(place, plugin, mark, words):
    """The test is named."""
    done = place.run(f"@pytest.mark.{mark}\n{ONE}", "--lg-env=played.yaml", **needs(plugin))
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr


def test_a_time_limit_is_no_fail_of_the_board(place):
    """pytest-timeout: the test is INVALID, and the next one runs."""
    tests = "import time\ndef test_zero(bench): time.sleep(60)\n" + ONE
    limit = ("--timeout=1", "-o", "timeout_func_only=true")
    done = place.run(tests, "--lg-env=played.yaml", *limit, **needs("pytest_timeout"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert place.ends() == {
        "test_zero": (
            "INVALID",
            "Timeout (>1.0s) from pytest-timeout. The lab or the board was slow: no verdict",
        ),
        "test_one": ("PASS", ""),
    }


def test_other_plug_ins_that_are_only_installed_change_nothing(place):
    """xdist, rerunfailures, timeout and forked without their options."""
    done = place.run(ONE, "--lg-env=played.yaml", **needs("xdist"))
    assert (done.returncode, outlets(place)) == (0, ("PASS", "PASS", "green")), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["skipping", "labgrid", "terminal", "junitxml"])
def test_a_plug_in_that_is_needed_is_missed_in_one_line(place, name):
    """-p no:NAME in somebody's set-up: exit code 2."""
    done = place.run(ONE, "-p", f"no:{name}", LG_ENV="played.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"pytest's plug-in `{name}` is switched off (-p no:{name}), and the bench needs it" in done.stderr


@pytest.mark.parametrize("name", ["hooks", "session_end"])
def test_a_part_of_the_bench_is_missed_in_one_line(place, name):
    """Without it a run would have no verdict: exit code 2."""
    done = place.run(ONE, "--lg-env=played.yaml", "-p", f"no:mpbench.plugin.{name}")
    assert done.returncode == 2, done.stdout + done.stderr
    words = f"`mpbench.plugin.{name}` is switched off (-p no:mpbench.plugin.{name}), and no run is judged"
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["cacheprovider", "capture", "logging", "warnings"])
def test_a_plug_in_that_is_not_needed_may_be_off(place, name):
    """The run is judged and recorded without it."""
    done = place.run(ONE, "-p", f"no:{name}", "--lg-env=played.yaml")
    assert (done.returncode, outlets(place)) == (0, ("PASS", "PASS", "green")), done.stdout + done.stderr


def run_into(place: Place, stdout, **variables: str) -> subprocess.CompletedProcess:
    (place.path / "test_played.py").write_text(HEADER + ONE + "def test_two(bench): pass\n" * 1)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
    env |= {"TRIES": str(place.path / "tries"), "MPBENCH_REPORTS": str(place.path / "runs")} | variables
    command = [sys.executable, "-m", "pytest", "-p", "mpbench.plugin", "--lg-env=played.yaml"]
    return subprocess.run(
        command, cwd=place.path, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


def test_a_full_standard_output_is_no_fail_of_the_board(place):
    """Exit code 3 with a last word; record and page are written."""
    with open("/dev/full", "w") as full:
        done = run_into(place, full)
    assert done.returncode == 3, done.stderr
    assert done.stderr == "mpbench: cannot write to standard output: No space left on device\n"
    assert outlets(place)[0] == "INCOMPLETE"


def test_a_standard_output_of_another_encoding_is_written(place):
    """Characters that it lacks are escaped, in progress lines too."""
    tests = "".join(f"def test_{n}(bench): pytest.skip('→ ü')\n" for n in range(4))
    done = place.run(ONE + tests, "--lg-env=played.yaml", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5/5 tests \\xb7 4 NOT-RUN" in done.stdout
    assert done.stderr == ""


def test_reports_that_are_removed_during_the_run_are_the_labs_fault(place):
    """Exit code 3: what is left of the record gets a page in a temporary directory, which is named."""
    tests = "import os, shutil\ndef test_zero(bench): shutil.rmtree(os.environ['MPBENCH_REPORTS'])\n" + ONE
    done = place.run(tests, "--lg-env=played.yaml", TMPDIR=str(place.path))
    output = done.stdout + done.stderr
    assert done.returncode == 3, output
    assert "Traceback" not in output
    (page,) = place.path.glob("mpbench-*/*/index.html")
    assert f"was removed during the run; what is left is in {page.parent}\n" in done.stdout
    assert f"report: {page}" in done.stdout
    assert json.loads(page.with_name("summary.json").read_text())["verdict"] == "INCOMPLETE"
    shutil.rmtree(page.parents[1])
