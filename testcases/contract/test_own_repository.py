# SPDX-License-Identifier: MIT
"""The example of a user's own repository, with the bench from a wheel, on the virtual STM32MP25."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_built
from testcases.contract.wheel import WheelEnvironment

pytestmark = pytest.mark.slow

TEST = "test_counter.py::test_the_counter_counts[m33]"


@pytest.fixture
def repository(wheel_env: WheelEnvironment, tmp_path: Path) -> Path:
    """A copy of the wheel's example, in git."""
    path = tmp_path / "pump"
    shutil.copytree(wheel_env.site / "mpbench" / "share" / "targets" / "own-repository", path)
    git(path, "init", "-q")
    git(path, "add", ".")
    git(path, "commit", "-qm", "tests of the pump")
    return path


def git(path: Path, *arguments: str) -> str:
    """What a git command prints."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", *who, "-C", str(path), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_example_runs_as_it_is(wheel_env: WheelEnvironment, repository: Path):
    """The page names own firmware and commit; ids, record and page are in the user's directory."""
    require_built(KINDS["mp25"])
    done = wheel_env.run("pytest", "--lg-env", "virtual.yaml", cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (repository / "reports" / "runs").iterdir()
    assert f"report: {run / 'index.html'}" in done.stdout
    lines = [json.loads(line) for line in (run / "record.jsonl").read_text().splitlines()]
    ends = {line["test"]: line["verdict"] for line in lines if line["kind"] == "test-end"}
    assert ends == {TEST: "PASS"}
    (start,) = [line for line in lines if line["kind"] == "test-start"]
    assert start["requirements"] == ["PUMP-7: The controller counts 50 times a second."]
    page = (run / "index.html").read_text()
    tested = re.sub(r"<[^>]*>", " ", page.split("What was tested</h2>")[1].split("<h2")[0])
    elf = (repository / "firmware" / "build" / "counter.elf").read_bytes()
    assert hashlib.sha256(elf).hexdigest() in tested
    assert f"pump {git(repository, 'rev-parse', '--short=12', 'HEAD')}" in tested
    assert "count rate" in page
    assert git(repository, "status", "--porcelain") == ""
