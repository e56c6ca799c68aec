# SPDX-License-Identifier: MIT
"""pytest with the bench's plugin, run as a user runs it; the board's drivers are played by a few lines."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]

PLAYED = """
import enum, os
import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.strategy import Strategy, never_retry
from mpbench.core.errors import BoardFailure, InfrastructureError

for name in ("SessionDriver", "RemoteprocDriver", "ConsoleRecorder"):
    del target_factory.drivers[name], target_factory.all_classes[name]

@target_factory.reg_driver
@attr.s(eq=False)
class SessionDriver(Driver):
    alive = True
    boot = b"b-1\\n"
    listeners = ()
    def on_reconnect(self, _): pass
    def get_status(self): return int(self.alive)
    def execute(self, command):
        from mpbench.board.session.shell_protocol import Reply
        return Reply(1, b"", b"")
    def reconnect(self, deadline_s, *, same_boot=False):
        if "LINK_GONE" in os.environ:
            raise InfrastructureError("no SSH server answers")
        type(self).alive = True
    def read(self, path):
        if not self.alive:
            raise InfrastructureError("connection lost")
        return self.boot if path.endswith("boot_id") else b"1\\n"
    def read_many(self, paths):
        files = {p: self.read(p) for p in paths if "u-boot" not in p}
        return dict.fromkeys(paths, "ENOENT") | files | {"/proc/device-tree/compatible": b"mpbench,virt-x\\0"}

@target_factory.reg_driver
@attr.s(eq=False)
class RemoteprocDriver(Driver):
    states = {}
    def core_state(self, core): return self.states.get(core, "offline")
    def trace(self, core): return None
    def drivers(self): return {"m0": "", "m33": "stm32-rproc"}
    def write(self, core, file, text, deadline_s):
        self.states[core] = "offline"
        return "OK"

@target_factory.reg_driver
@attr.s(eq=False)
class ConsoleRecorder(Driver):
    losses, away = [], ""
    def mark(self): return 0
    def since(self, mark, until=None): return b"U-Boot 2025.01-3 (Apr)\\n"
    def wait_for(self, *_): return False

class Status(enum.Enum):
    shell = 1

@target_factory.reg_driver
@attr.s(eq=False)
class PlayedStrategy(Strategy):
    @never_retry
    def transition(self, status):
        with open(os.environ["TRIES"], "a") as f:
            f.write("x")
        if "NO_SSH" in os.environ:
            raise InfrastructureError("no SSH server answers")
"""

ENVIRONMENT = """
targets:
  main:
    resources: {}
    drivers:
      - SessionDriver: {}
      - RemoteprocDriver: {}
      - ConsoleRecorder: {name: console}
      - ConsoleRecorder: {name: secure}
      - PlayedStrategy: {}
options: {bench_profile: virtual-mp25, bench_signing_key: key.pem}
imports: [played.py]
"""

HEADER = """
import pytest
import mpbench.harness.fixture
from mpbench.core.errors import BoardFailure, InvalidRun, InfrastructureError

class Quiet:
    def __init__(self, session): pass
    mark = lambda self: 0
    since = lambda self, mark: b""
    wait_for = lambda self, *_: False

mpbench.harness.fixture.KernelLogFollower = Quiet
"""


NOT_LOADED = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""The latter imports Hypothesis, which is the bench's own tests', in every run."""
PYTEST = (sys.executable, "-m", "pytest", "-p", "mpbench.plugin", *NOT_LOADED)


@pytest.fixture(scope="module")
def key() -> bytes:
    private = rsa.generate_private_key(65537, 2048)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Place:
    """A directory with an environment, a key and test cases; `run` starts pytest there."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        (path / "played.py").write_text(PLAYED)
        (path / "played.yaml").write_text(ENVIRONMENT)
        (path / "wrong.py").write_text("def ")
        (path / "key.pem").touch(0o600)
        (path / "key.pem").write_bytes(key)

    def run(self, tests: str, *arguments: str, cwd: Path | None = None, **variables: str):
        (self.path / "test_played.py").write_text(HEADER + tests)
        variables |= {"TRIES": str(self.path / "tries"), "MPBENCH_REPORTS": str(self.path / "runs")}
        return pytest_in(cwd or self.path, *arguments, **variables)

    def page(self) -> str:
        return next((self.path / "runs").glob("*/index.html")).read_text()

    def lines(self) -> list[dict]:
        text = next((self.path / "runs").glob("*-played*/record.jsonl")).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def ends(self) -> dict[str, tuple[str, str]]:
        found = [line for line in self.lines() if line["kind"] == "test-end"]
        return {line["test"].split("::")[1]: (line["verdict"], line["reason"]) for line in found}


def pytest_in(cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*PYTEST, *arguments],
        cwd=cwd,
        env=plain_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def plain_environment() -> dict[str, str]:
    """The environment without variables that change what a pytest does."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}


@pytest.fixture
def place(tmp_path, key) -> Place:
    return Place(tmp_path, key)


def test_every_fault_has_its_verdict_in_record_and_page(place):
    """PASS, FAIL, ERROR, INFRA, INVALID and NOT-RUN are distinguished; the exit code is the FAIL's."""
    done = place.run(
        '''
def test_good(bench, core):
    """It works."""
def test_wrong(bench):
    """A wrong value is a failure."""
    assert 1 == 2
def test_board(bench):
    raise BoardFailure("m33 does not stop")
def test_lab(bench):
    raise InfrastructureError("the power port does not answer")
def test_ground(bench):
    raise InvalidRun("events were dropped")
def test_bug(bench):
    {}["no such key"]
def test_core(bench):
    bench.deploy("m7", b"")
def test_skipped(bench):
    pytest.skip("this board has no RTC")
def test_without_a_board():
    pass
''',
        "--lg-env=played.yaml",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert place.ends() == {
        "test_good[m33]": ("PASS", ""),
        "test_good[m0]": ("PASS", ""),
        "test_wrong": ("FAIL", "assert 1 == 2"),
        "test_board": ("FAIL", "m33 does not stop"),
        "test_lab": ("INFRA", "the power port does not answer"),
        "test_ground": ("INVALID", "events were dropped"),
        "test_bug": ("ERROR", "KeyError: 'no such key' (test_played.py:26)"),
        "test_core": (
            "ERROR",
            "profile virtual-mp25: no core 'm7'; it has m33 (1), m0 (2) (test_played.py:28)",
        ),
        "test_skipped": ("NOT-RUN", "this board has no RTC"),
    }
    assert "verdict FAIL: 2 PASS, 2 FAIL, 2 ERROR, 1 INFRA, 1 INVALID, 1 NOT-RUN" in done.stdout
    assert f"report: {next((place.path / 'runs').glob('*/index.html'))}" in done.stdout
    assert "A wrong value is a failure." in place.page()
    assert '>       {}["no such key"]' in done.stdout, "the traceback of a mistake is shown"
    assert "proven under emulation" in place.page()


def test_the_record_says_which_run_board_and_boot_each_line_is_about(place):
    """From the moment the board is known, every line names it; provenance holds key, target and versions."""
    place.run("def test_good(bench, core): pass", "--lg-env=played.yaml")
    lines = place.lines()
    assert len({line["run"] for line in lines}) == 1
    known = lines[[line["kind"] for line in lines].index("provenance") :]
    assert {(line["board"], line["boot"]) for line in known} == {("1", "b-1")}
    entries = known[0]["entries"]
    assert entries["u-boot"] == "2025.01-3"
    assert entries["core drivers"] == "m0: unknown, m33: stm32-rproc"
    assert entries["signing key"].startswith("sha256 ")
    assert entries["target file"].startswith("played.yaml sha256 ")
    assert entries["tests"] == f"{place.path.name} without git"
    assert lines[0]["command"][0] == "pytest"
    assert lines[-1]["counts"] == {"PASS": 2}
    assert lines[1]["kind"] == "plan"
    assert lines[1]["tests"] == ["test_played.py::test_good[m33]", "test_played.py::test_good[m0]"]


def test_a_measurement_decides_the_verdict(place):
    """Outside its limits it fails the test, close to them it makes it MARGINAL, whatever the test asserts."""
    done = place.run(
        """
from mpbench.core.facts import Measurement
def test_fast(bench): bench.measure(Measurement("latency", 5.0, "ms", "hist", None, 10, 0.05))
def test_close(bench): bench.measure(Measurement("latency", 9.9, "ms", "hist", None, 10, 0.05))
def test_slow(bench): bench.measure(Measurement("latency", 11.0, "ms", "hist", None, 10, 0.05))
""",
        "--lg-env=played.yaml",
    )
    assert place.ends() == {
        "test_fast": ("PASS", ""),
        "test_close": ("MARGINAL", "latency: 9.9 ms is close to its limit ≤ 10"),
        "test_slow": ("FAIL", "latency: 11 ms is outside its limit ≤ 10"),
    }
    assert done.returncode == 1
    assert "1 failed, 2 passed" in done.stdout
    assert "FAIL: latency: 11 ms is outside" in done.stdout


def test_what_the_bench_brought_is_provenance(place):
    """Firmware by hash, the operator and the run's variables stand in the record; a token is only named."""
    tests = 'def test_one(bench, firmware): firmware("alive", "m33")'
    place.run(tests, "--lg-env=played.yaml", LG_TOKEN="hush", MPBENCH_SITE="lab 3")
    entries = [line["entries"] for line in place.lines() if line["kind"] == "provenance"]
    assert entries[0]["MPBENCH_SITE"] == "lab 3"
    assert entries[0]["LG_TOKEN"] == "(set)"
    assert " on " in entries[0]["operator"]
    assert entries[0]["labgrid"] == metadata.version("labgrid")
    assert {"paramiko", "numpy"} < entries[0].keys()
    assert entries[1]["firmware alive m33"].startswith("sha256 ")
    assert "hush" not in place.page()


def test_a_secret_is_in_no_file_of_a_run(place):
    """The command line, the variables and the reason of a failure are recorded without secrets."""
    tests = """
        import os
        def test_one(bench):
            raise InfrastructureError(f"{os.environ['LG_POWER_HOST']}: {os.environ['LAB_TOKEN']!r} refused")
    """
    secrets = {"LG_POWER_HOST": "http://u:c4n4ryA@relay/{index}", "LAB_TOKEN": "c4n4ryB"}
    place.run(dedent(tests), "--lg-env=played.yaml", "-k", "one or c4n4ryA or c4n4ryB", **secrets)
    lines = place.lines()
    assert lines[0]["command"][-1] == "one or *** or ***"
    assert next(x["entries"] for x in lines if x["kind"] == "provenance")["LG_POWER_HOST"] == (
        "http://***@relay/{index}"
    )
    assert place.ends() == {"test_one": ("INFRA", "http://***@relay/{index}: '***' refused")}
    written = [path for path in (place.path / "runs").rglob("*") if path.is_file()]
    assert len(written) > 3
    assert [path.name for path in written if b"c4n4ry" in path.read_bytes()] == []


def test_own_firmware_and_the_commit_of_own_tests_are_provenance(place):
    """Any ELF file by its hash, and the commit of the repository that the tests are in."""
    (place.path / "my.elf").write_bytes(b"\x7fELF")
    tests = 'def test_one(bench, firmware): firmware("my.elf")'
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(place.path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "my.elf"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True
    )
    place.run(tests, "--lg-env=played.yaml", "--rootdir", str(place.path))
    first, last = [line["entries"] for line in place.lines() if line["kind"] == "provenance"]
    assert first["tests"] == f"{place.path.name} {commit.stdout.strip()}"
    assert last["firmware my.elf"] == "sha256 " + hashlib.sha256(b"\x7fELF").hexdigest()


def test_a_mark_narrows_the_cores(place):
    """A test runs for the cores of its mark; one that the board lacks is NOT-RUN, an unknown one an error."""
    tests = """
@pytest.mark.cores("m33")
def test_one(bench, core): pass
@pytest.mark.cores("m4")
def test_two(bench, core): pass
"""
    done = place.run(tests, "--lg-env=played.yaml", "--strict-markers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.ends() == {
        "test_one[m33]": ("PASS", ""),
        "test_two[m4]": ("NOT-RUN", "profile virtual-mp25 has no m4"),
    }
    done = place.run("@pytest.mark.cores('m7')\ndef test_one(bench, core): pass\n", "--lg-env=played.yaml")
    assert done.returncode == 2
    assert "test_one: mark `cores`: unknown core m7; profile virtual-mp25 has m33, m0" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_warning_is_no_fault_of_the_lab(place):
    """The settings of the bench's own tests do not rule a board's run, in the checkout or elsewhere."""
    tests = """
import warnings
@pytest.fixture
def loud(): warnings.warn("rfc2217", DeprecationWarning)
def test_one(bench, loud): warnings.warn("telnetlib", DeprecationWarning)
"""
    settings = str(CHECKOUT / "pyproject.toml")
    done = place.run(tests, "--lg-env=played.yaml", "-c", settings, "test_played.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(place.ends().values()) == [("PASS", "")]


def test_requirements_stand_in_the_record(place):
    """A test case names the requirements that it traces to, at the class, the module or itself."""
    tests = "@pytest.mark.requirement('BOOT-1', 'BOOT-2')\ndef test_one(bench): pass\n"
    place.run(tests, "--lg-env=played.yaml", "--strict-markers")
    (begin,) = [line for line in place.lines() if line["kind"] == "test-start"]
    assert begin["requirements"] == ["BOOT-1", "BOOT-2"]


def test_an_unreachable_board_is_asked_once(place):
    """The first test is INFRA, the others are BLOCKED with its reason, and nobody tries again."""
    tests = "def test_one(bench): pass\ndef test_two(bench): pass\ndef test_three(bench, core): pass\n"
    done = place.run(tests, "--lg-env=played.yaml", NO_SSH="1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert place.ends() == {
        "test_one": ("INFRA", "no SSH server answers"),
        "test_two": ("BLOCKED", "no SSH server answers"),
        "test_three[m33]": ("BLOCKED", "no SSH server answers"),
        "test_three[m0]": ("BLOCKED", "no SSH server answers"),
    }
    (heard,) = [line for line in place.lines() if line["kind"] == "provenance"]
    assert [ref["name"] for ref in heard["evidence"]] == ["console", "secure-console"]
    assert heard["entries"] == {"u-boot": "2025.01-3"}
    assert (place.path / "tries").read_text() == "x"
    assert "INFRA: no SSH server answers" in done.stdout
    assert "the board is not usable: no SSH server answers" in done.stdout
    assert "Traceback" not in done.stdout
    assert "def transition" not in done.stdout


def test_a_board_that_was_reset_gives_no_verdict(place):
    """A test that fails because the board was reset under it is INVALID, not FAIL and not INFRA."""
    done = place.run(
        """
def test_reset(bench):
    session = type(bench.board.session)
    session.alive, session.boot = False, b"b-2\\n"
    bench.read("/proc/version")
def test_silent_reset(bench):
    type(bench.board.session).boot = b"b-3\\n"
    assert 0
""",
        "--lg-env=played.yaml",
    )
    ends = place.ends()
    assert ends["test_reset"][0] == "INVALID"
    assert "boot_id b-1 became b-2" in ends["test_reset"][1]
    assert ends["test_silent_reset"][0] == "INVALID"
    assert "boot_id b-2 became b-3" in ends["test_silent_reset"][1]
    assert done.returncode == 3


CUT = """
@pytest.fixture
def cut(board):
    yield
    type(board.session).alive = False
    type(board.session).boot = BOOT
def test_one(cut, bench): pass
def test_two(bench): bench.read("/proc/version")
def test_three(bench): bench.read("/proc/version")
def test_four(bench): pass
"""


def test_a_link_that_is_cut_between_two_tests_is_dialled_again(place):
    """The same boot: nothing was lost. Another one: the test that meets it is INVALID, the run goes on."""
    done = place.run(CUT.replace("BOOT", repr(b"b-1\n")), "--lg-env=played.yaml")
    assert done.returncode == 0, done.stdout
    shutil.rmtree(place.path / "runs")
    done = place.run(CUT.replace("BOOT", repr(b"b-2\n")), "--lg-env=played.yaml")
    assert done.returncode == 3, done.stdout
    assert list(place.ends().values()) == [
        ("PASS", ""),
        ("INVALID", "the board was reset: boot_id b-1 became b-2"),
        ("PASS", ""),
        ("PASS", ""),
    ]
    assert [line["boot"] for line in place.lines() if line["kind"] == "test-end"] == ["b-1", *["b-2"] * 3]


def test_a_link_that_stays_cut_is_not_dialled_for_ever(place):
    """Three tests in a row try; the others are BLOCKED."""
    done = place.run(CUT.replace("BOOT", repr(b"b-1\n")), "--lg-env=played.yaml", LINK_GONE="1")
    assert done.returncode == 3, done.stdout
    assert [v for v, _ in place.ends().values()] == ["PASS", "INFRA", "INFRA", "INFRA"]
    why = "the board was not reached by 3 tests in a row: no SSH server answers"
    assert f"the board is not usable: {why}" in done.stdout


def test_a_run_that_is_broken_off_says_what_did_not_run(place):
    """After -x what was not begun is NOT-RUN with the reason, and the record has its end."""
    tests = "def test_one(bench): assert 0\ndef test_two(bench): pass\n"
    done = place.run(tests, "--lg-env=played.yaml", "-x")
    assert place.ends()["test_two"] == ("NOT-RUN", "not started: the run was stopped")
    assert place.lines()[-1]["counts"] == {"FAIL": 1, "NOT-RUN": 1}
    assert done.returncode == 1


def test_an_interrupted_test_has_no_verdict(place):
    """Ctrl-C: the test that ran is INVALID, the rest NOT-RUN, and the page is written."""
    tests = "def test_one(bench): raise KeyboardInterrupt\ndef test_two(bench): pass\n"
    done = place.run(tests, "--lg-env=played.yaml")
    assert done.returncode == 3
    ends = place.ends()
    assert (ends["test_one"][0], ends["test_two"][0]) == ("INVALID", "NOT-RUN")
    assert "interrupted" in place.page()


def test_an_expected_failure_is_no_pass(place):
    """xfail does not soften a verdict: the board did wrong, as was known."""
    tests = "@pytest.mark.xfail(reason='erratum 7')\ndef test_one(bench): assert 0\n"
    assert place.run(tests, "--lg-env=played.yaml").returncode == 1
    assert place.ends()["test_one"] == ("FAIL", "known: erratum 7")


def test_an_expected_failure_that_passes_is_no_fail(place):
    """The board did right: PASS; with `strict` the mark is a mistake. A subtest that fails is a FAIL."""
    tests = """
@pytest.mark.xfail(reason='erratum 7')
def test_one(bench): pass
@pytest.mark.xfail(reason='erratum 7', strict=True)
def test_two(bench): pass
def test_three(bench, subtests):
    with subtests.test("a"): assert 1 == 2
"""
    done = place.run(tests, "--lg-env=played.yaml")
    assert done.returncode == 1, done.stdout
    assert place.ends() == {
        "test_one": ("PASS", ""),
        "test_two": ("ERROR", "[XPASS(strict)] erratum 7"),
        "test_three": ("FAIL", "assert 1 == 2"),
    }


def test_a_failing_unit_test_beside_boards_fails_the_run(place):
    """The exit code forgets neither side."""
    tests = "def test_one(bench): pass\ndef test_own(): assert 0\n"
    assert place.run(tests, "--lg-env=played.yaml").returncode == 1


def test_a_core_left_running_is_stopped(place):
    """The next test finds the board as it should be."""
    done = place.run(
        """
def test_one(bench):
    bench._touched.append("m33")
    bench.board.remoteproc.states["m33"] = "running"
def test_two(bench):
    assert bench.state("m33") == "offline"
""",
        "--lg-env=played.yaml",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_board_nothing_looks_green(place):
    """Board tests are NOT-RUN, the run says what to do and ends with 5; tests without a board still run."""
    tests = "def test_one(bench, core): pass\ndef test_own(): pass\n"
    done = place.run(tests)
    assert done.returncode == 5
    assert "1 passed, 1 skipped" in done.stdout
    example = CHECKOUT / "targets/virtual-mp25.yaml"
    assert f"1 board tests did not run; no board given: pytest --lg-env {example}" in done.stdout
    assert not (place.path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: [\n", "played.yaml:2: Error in configuration file: while parsing"),
        ("", "played.yaml: Configuration file is empty"),
        ("targets: {}\n", "no target `main`"),
        ("targets: {main: }\n", "no target `main`"),
        (
            "targets: {main: {drivers: {}}}\n",
            "no profile; put `options: {bench_profile: NAME}`: linux-mp15, optee-4.10, ",
        ),
        (
            ENVIRONMENT.replace("virtual-mp25", "mp99"),
            "bench_profile mp99: neither a profile file nor one of",
        ),
        ("targets: {main: {}}\nimports: [no.such.module]\n", "No module named 'no'"),
        ("targets: {main: {}}\nimports: text\n", "imports needs to be list"),
        ("targets: {main: {}}\nimports: [none.py]\n", "/none.py: No such file or directory"),
        ("targets: {main: {}}\nimports: [wrong.py]\n", "wrong.py, line 1"),
        ("targets: !template $LG_NONE\n", "unknown variable 'LG_NONE'"),
    ],
)
def test_a_wrong_environment_is_one_line(place, text, message):
    """YAML errors, missing targets and profiles are a usage error in one line, before anything is touched."""
    (place.path / "played.yaml").write_text(text)
    done = place.run("def test_one(bench): pass", "--lg-env=played.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert done.stderr.startswith("ERROR: played.yaml")


def test_a_missing_environment_is_one_line(place):
    """The error names the file and the directory in which it was looked for."""
    done = place.run("def test_one(bench): pass", "--lg-env=none.yaml")
    assert done.stderr.strip() == f"ERROR: none.yaml: no such file (looked in {place.path})"


def test_a_driver_nobody_knows_is_one_line(place):
    """A class that labgrid would miss only when it makes the target is a usage error before the run."""
    text = ENVIRONMENT.replace("- PlayedStrategy: {}", "- NoSuchDriver: {}")
    (place.path / "played.yaml").write_text(text)
    done = place.run("def test_one(bench): pass\ndef test_two(bench): pass\n", "--lg-env=played.yaml")
    assert done.returncode == 2
    words = "no driver class `NoSuchDriver`; if it is yours, add its module to `imports`"
    assert done.stderr == f"ERROR: played.yaml: {words}\n"
    assert not (place.path / "runs").exists()


def test_a_mistake_that_is_found_at_the_board_ends_with_2(place):
    """A missing signing key is configuration: the first test names it, the others are BLOCKED by it."""
    (place.path / "key.pem").unlink()
    done = place.run("def test_one(bench): pass\ndef test_two(bench): pass\n", "--lg-env=played.yaml")
    assert done.returncode == 2
    reason = f"cannot read {place.path / 'key.pem'}: No such file or directory"
    assert place.ends() == {"test_one": ("ERROR", reason), "test_two": ("BLOCKED", reason)}


def test_reports_that_cannot_be_written_are_a_usage_error(place):
    """No record, no run: it is said in one line before the board is touched."""
    (place.path / "file").write_text("")
    done = place.run("def test_one(bench): pass", "--lg-env=played.yaml", "--bench-reports=file/x")
    assert done.returncode == 2
    assert "cannot make the report's directory" in done.stderr
    assert not (place.path / "tries").exists()


def test_with_a_board_the_benchs_own_tests_stand_back(place):
    """`pytest --lg-env ...` in the checkout collects board cases; unit tests only if they are named."""
    environment = f"--lg-env={place.path / 'played.yaml'}"
    all_of_it = pytest_in(CHECKOUT, "--co", "-q", environment)
    assert "testcases/test_deploy.py::" in all_of_it.stdout
    assert "testcases/unit" not in all_of_it.stdout
    named = pytest_in(CHECKOUT, "--co", "-q", environment, "testcases/unit/test_compare.py")
    assert "testcases/unit/test_compare.py" in named.stdout


@pytest.mark.parametrize("arguments", [[], [str(CHECKOUT / "testcases")]])
def test_the_board_cases_run_from_any_directory(place, arguments):
    """From a directory without tests the board cases of the checkout are meant, named or not."""
    (place.path / "elsewhere").mkdir()
    done = pytest_in(place.path / "elsewhere", "--co", "-q", "--lg-env=../played.yaml", *arguments)
    assert "test_deploy.py::test_signed_firmware_runs[m33]" in done.stdout
    assert "test_deploy.py::test_signed_firmware_runs[m0]" in done.stdout
    assert "unit" not in done.stdout


def test_collecting_writes_nothing(place):
    """--collect-only makes no record and gives no verdict."""
    done = place.run("def test_one(bench): pass", "--lg-env=played.yaml", "--co")
    assert not (place.path / "runs").exists()
    assert "verdict" not in done.stdout


LABGRID_ALONE = """
def test_theirs(target):
    assert target.name == "main"
"""


def test_tests_that_use_labgrid_alone_are_left_alone(place):
    """A target file without a profile is another project's: no record, pytest's own results."""
    (place.path / "played.yaml").write_text("targets: {main: {resources: {}}}\n")
    (place.path / "test_theirs.py").write_text(LABGRID_ALONE)
    done = pytest_in(place.path, "--lg-env=played.yaml", "test_theirs.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mpbench" not in done.stdout.partition("collected")[2]
    assert not (place.path / "reports").exists()


def test_the_fixtures_of_a_user_make_no_board_test(tmp_path):
    """Fixtures named env, board, core and image are common; theirs are theirs, and nothing is skipped."""
    names = ("env", "board", "core", "image", "firmware")
    own = "".join(f"@pytest.fixture\ndef {name}(): return '{name}'\n" for name in names)
    test = f"def test_own({', '.join(names)}): assert (env, core) == ('env', 'core')\n"
    (tmp_path / "test_own.py").write_text(f"import pytest\n{own}{test}")
    done = pytest_in(tmp_path, "-q", "-W", "error", "--strict-markers")
    assert (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed")


def test_a_directory_called_bench_does_no_harm(tmp_path):
    """A user's repository may have a package of that name, with tests that import it."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("THEIRS = True\n")
    (tmp_path / "bench" / "test_own.py").write_text("import bench\ndef test_own(): assert bench.THEIRS\n")
    done = pytest_in(tmp_path, "-q")
    assert (done.returncode, done.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed")


@pytest.mark.parametrize(
    "option",
    [
        "--collect-only",
        "--help",
        "--fixtures",
        "--fixtures-per-test",
        "--markers",
        "--version",
        "-VV",
        "--setup-plan",
    ],
)
def test_listing_touches_no_board(place, option):
    """No run is opened, no page is written, no transition is asked for, although a board is named."""
    done = place.run("def test_one(bench, core): pass\n", "--lg-env=played.yaml", option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nreport: " not in done.stdout
    assert "\nverdict " not in done.stdout
    assert not (place.path / "runs").exists()
    assert not (place.path / "tries").exists()


def test_reports_are_written_where_the_user_is(place):
    """Outside of the checkout a run is recorded in reports/runs of the current directory."""
    (place.path / "test_played.py").write_text(HEADER + "def test_one(bench): pass\n")
    done = pytest_in(place.path, "--lg-env=played.yaml", TRIES=str(place.path / "tries"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((place.path / "reports" / "runs").glob("*/index.html"))) == 1
