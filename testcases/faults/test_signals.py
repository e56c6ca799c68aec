# SPDX-License-Identifier: MIT
"""Faults 30 and 51: SIGINT, repeated, SIGTERM and SIGHUP, at random points of a run on a simulated board.

The teardown runs once and completely, each test has at most one verdict, record and page are complete.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from testcases.contract.test_plugin import CHECKOUT, HEADER, Place

pytestmark = pytest.mark.slow

TESTS = """
import os, time

@pytest.fixture(autouse=True)
def tidy(bench):
    yield
    with open(os.environ["TIDIED"], "a") as f:
        f.write("started ")
    time.sleep(0.05)  # a slow teardown: further signals arrive during it
    with open(os.environ["TIDIED"], "a") as f:
        f.write("ended ")

@pytest.mark.parametrize("n", range(6))
def test_some(bench, n): time.sleep(0.05)
"""
IN_TEARDOWN = (
    TESTS.replace("import os, time", "import os, signal, time")
    .replace(
        "    time.sleep(0.05)  # a slow",
        "    if request.node.name == 'test_some[2]': signal.raise_signal(signal.SIGTERM)\n    # a slow",
    )
    .replace("def tidy(bench)", "def tidy(bench, request)")
)
LINES = 14
"""Lines of the record when the last test starts."""
DEADLINE_S = 600.0


def signalled(place: Place, lines: int, numbers: Sequence[int], tests: str = TESTS) -> tuple[int, str]:
    """Start a run, send it signals after line `lines` of its record; its exit code and output."""
    (place.path / "test_played.py").write_text(HEADER + tests)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
    env |= {name: str(place.path / name.lower()) for name in ("TRIES", "TIDIED")}
    command = [sys.executable, "-m", "pytest", "-p", "mpbench.plugin", "-p", "no:cacheprovider"]
    command += ["--lg-env=played.yaml", f"--bench-reports={place.path / 'runs'}"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(
        command, cwd=place.path, env=env | {"PYTHONPATH": str(CHECKOUT / "bench")}, **pipes
    ) as run:
        end = time.monotonic() + DEADLINE_S
        while run.poll() is None and written(place) < lines:
            assert time.monotonic() < end, f"the record did not reach line {lines}"
            time.sleep(0.005)
        for number in numbers:
            run.send_signal(number)
            time.sleep(0.02)  # apart: pending signals of one number are delivered once
        return run.wait(DEADLINE_S), run.stdout.read()


def written(place: Place) -> int:
    """Number of lines of the record so far."""
    return sum(log.read_bytes().count(b"\n") for log in (place.path / "runs").glob("*/record.jsonl"))


def test_signals_at_random_points_end_a_run_once(tmp_path: Path, chance: random.Random):
    """After one to four signals the current test is INVALID, later ones are NOT-RUN, teardowns complete."""
    private = rsa.generate_private_key(65537, 2048)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place = Place(tmp_path, key)
    numbers = chance.choices([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], k=chance.randint(1, 4))
    code, output = signalled(place, chance.randrange(1, LINES), numbers)
    assert "Traceback" not in output
    ends = [line["verdict"] for line in place.lines() if line["kind"] == "test-end"]
    assert len(ends) == 6, output
    assert set(ends) <= {"PASS", "INVALID", "NOT-RUN"}, output
    assert ends.count("INVALID") <= 1, "one test at a time runs"
    assert place.lines()[-1]["kind"] == "run-end"
    verdict = json.loads(next((place.path / "runs").glob("*/summary.json")).read_text())["verdict"]
    tidied = (place.path / "tidied").read_text().split() if (place.path / "tidied").exists() else []
    assert tidied == ["started", "ended"] * (len(tidied) // 2), "a teardown was interrupted"
    assert (code, verdict) in ((0, "PASS"), (3, "INCOMPLETE"), (3, "INVALID")), output
    assert f"verdict {verdict}: " in output
    assert verdict != "PASS" or ends == ["PASS"] * 6, output


def test_a_signal_in_a_teardown_waits_for_its_end(tmp_path: Path):
    """The test keeps its verdict, its teardown is whole, later tests are NOT-RUN."""
    private = rsa.generate_private_key(65537, 2048)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place = Place(tmp_path, key)
    code, output = signalled(place, 1, [], IN_TEARDOWN)
    ends = [line["verdict"] for line in place.lines() if line["kind"] == "test-end"]
    assert (code, ends) == (3, ["PASS"] * 3 + ["NOT-RUN"] * 3), output
    assert (place.path / "tidied").read_text().split() == ["started", "ended"] * 3
    assert "verdict INCOMPLETE: " in output
