# SPDX-License-Identifier: MIT
"""The bench from a wheel, used from a directory of its own on a machine without the checkout."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from mpbench.core.lines import PlanLine, RunEnd, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_built
from testcases.contract.wheel import WheelEnvironment
from testcases.unit.image_rig import OPEN_BOARD, firmware, image, key, write_key, write_public

pytestmark = pytest.mark.slow


def finished_run(directory: Path) -> Path:
    """Directory of a run with one test."""
    clock = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
    record = Record(new_directory(directory, "x", clock), "r1", clock)
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core="m33", title="It works.", requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=5))
    record.append(RunEnd(counts={"PASS": 1}))
    record.close()
    return record.directory


def test_the_bench_is_that_of_the_wheel(wheel_env: WheelEnvironment, tmp_path):
    """Both packages are imported from the environment, which has no path into the checkout."""
    script = (
        "import mpbench, mpbench_virtual, sys; print(mpbench.__file__, mpbench_virtual.__file__, *sys.path)"
    )
    (tmp_path / "script.py").write_text(script)
    done = wheel_env.run("script", cwd=tmp_path)
    ours, virtual, *paths = done.stdout.split()
    assert (ours, virtual) == (
        f"{wheel_env.site}/mpbench/__init__.py",
        f"{wheel_env.site}/mpbench_virtual/__init__.py",
    )
    assert not [path for path in paths if "/bench" in path]


def test_the_board_cases_are_collected(wheel_env: WheelEnvironment, tmp_path):
    """`mpbench test` and pytest collect the shipped cases, in an empty directory, which is their root."""
    target = wheel_env.site / "mpbench/share/targets/virtual-mp25.yaml"
    for program, *words in (("mpbench", "test"), ("pytest",)):
        done = wheel_env.run(program, *words, f"--lg-env={target}", "--co", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"\nrootdir: {tmp_path}\n" in done.stdout
        assert re.search(r"test_deploy\.py>\n +<Function test_signed_firmware_runs\[m33\]>\n", done.stdout)
    named = wheel_env.run(
        "mpbench", "test", "--lg-env", target, "--co", "-q", "test_identity.py", cwd=tmp_path
    )
    assert "testcases/test_identity.py::test_identity_is_recorded\n" in named.stdout
    assert "test_deploy.py::" not in named.stdout
    assert list(tmp_path.glob("reports")) == []


@pytest.mark.parametrize(
    "words",
    [
        "sign --key k.pem --core m33 --profile {board} -o i.bin fw.elf",
        "inspect {signed} --key p.pem",
        "predict {signed} --key p.pem --profile virtual-mp25",
        "explain ffff0006",
        "report {run}",
        "record {run}",
        "signoff --new-key s.pem",
        "doctor",
        "virtual status",
        "virtual build --help",
        "virtual up --help",
        "nightly --help",
        "latency --help",
    ],
)
def test_a_command_works(wheel_env: WheelEnvironment, tmp_path, words):
    """What needs no board, on inputs of the user's."""
    (tmp_path / "fw.elf").write_bytes(firmware())
    (tmp_path / "i.bin").write_bytes(image())
    write_key(tmp_path / "k.pem", key())
    write_public(tmp_path / "p.pem", key())
    words = words.format(run=finished_run(tmp_path / "runs"), signed=tmp_path / "i.bin", board=OPEN_BOARD)
    done = wheel_env.run("mpbench", *words.split(), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_a_report_is_signed_and_verified(wheel_env: WheelEnvironment, tmp_path):
    """signoff and verify find what report wrote; the version of the bench has no commit."""
    run = finished_run(tmp_path / "runs")
    for words in (
        f"report {run}",
        "signoff --new-key s.pem",
        f"signoff {run} --by me --key s.pem",
        f"verify {run} --trust s.pub",
    ):
        done = wheel_env.run("mpbench", *words.split(), cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
    version = wheel_env.run("mpbench", "--version", cwd=tmp_path).stdout
    assert version == f"mpbench {metadata.version('mpbench')}\n"


def test_a_pytest_beside_the_bench_works(wheel_env: WheelEnvironment, tmp_path):
    """Tests that use no board pass; one that does is NOT-RUN, and the message names a target file."""
    (tmp_path / "test_own.py").write_text("def test_own(): pass\ndef test_board(bench): pass\n")
    done = wheel_env.run("pytest", "-q", "test_own.py::test_own", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = wheel_env.run("pytest", "-v", "test_own.py", cwd=tmp_path)
    assert (done.returncode, "NOT-RUN" in done.stdout) == (5, True)
    (target,) = {line.split("--lg-env ")[1] for line in done.stdout.splitlines() if "board tests" in line}
    assert Path(target).is_file()


def test_firmware_is_built_in_the_cache(wheel_env: WheelEnvironment, tmp_path):
    """Nothing is written into the installation."""
    (tmp_path / "build.py").write_text(
        "from mpbench.harness.firmware import make\nprint(make())\nprint(make(goal='userland'))\n"
    )
    done = wheel_env.run("build", cwd=tmp_path, MPBENCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    elves, userland = map(Path, done.stdout.split())
    assert elves == userland
    assert elves.parent == tmp_path / "cache"
    assert (elves / "m33" / "alive.elf").is_file()
    assert (elves / "aarch64" / "tee-client").is_file()
    assert list(wheel_env.site.rglob("*.elf")) == []


def test_the_cases_import_only_what_is_shipped(wheel_env: WheelEnvironment):
    """Every testcases.NAME that a shipped case imports is shipped."""
    share = wheel_env.site / "mpbench" / "share"
    for path in (share / "testcases").rglob("*.py"):
        for name in re.findall(r"^(?:from|import) (testcases[\w.]*)", path.read_text(), re.MULTILINE):
            assert (share / name.replace(".", "/")).with_suffix(".py").is_file(), (path.name, name)


def test_a_board_case_runs(wheel_env: WheelEnvironment, tmp_path):
    """The board's identity and a deployment on a virtual board; its page is in the user's directory."""
    require_built(KINDS["mp25"])
    target = wheel_env.site / "mpbench/share/targets/virtual-mp25.yaml"
    words = ("test_identity.py", "test_deploy.py::test_signed_firmware_runs")
    done = wheel_env.run("mpbench", "test", "--lg-env", target, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (page,) = (tmp_path / "reports" / "runs").glob("*/index.html")
    assert "testcases/test_deploy.py::test_signed_firmware_runs" in (page.parent / "record.jsonl").read_text()
