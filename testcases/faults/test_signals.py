# SPDX-License-Identifier: MIT
"""Fault 30: Ctrl-C, again and again, and SIGTERM, at random points of a run on a board that is played.

The teardown runs once and to its end, each test has one verdict at most, record and page are whole.
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
        f.write("begun ")
    time.sleep(0.05)  # a teardown that takes a while: further signals come in its middle
    with open(os.environ["TIDIED"], "a") as f:
        f.write("ended ")

@pytest.mark.parametrize("n", range(6))
def test_some(bench, n): time.sleep(0.05)
"""
LINES = 13
"""The record has so many lines when the last test begins."""
DEADLINE_S = 120.0


def signalled(place: Place, lines: int, numbers: Sequence[int]) -> tuple[int, str]:
    """Start a run, send it signals from line `lines` of its record on; its exit code and what it said."""
    (place.path / "test_played.py").write_text(HEADER + TESTS)
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
            assert time.monotonic() < end, f"line {lines} of the record did not come"
            time.sleep(0.005)
        for number in numbers:
            run.send_signal(number)
            time.sleep(0.02)  # apart, or they are one signal
        return run.wait(DEADLINE_S), run.stdout.read()


def written(place: Place) -> int:
    """Lines of the record so far."""
    return sum(log.read_bytes().count(b"\n") for log in (place.path / "runs").glob("*/record.jsonl"))


def test_signals_at_random_points_end_a_run_once(tmp_path: Path, chance: random.Random):
    """One to four signals: what ran is INVALID, what never began is NOT-RUN, every teardown has its end."""
    private = rsa.generate_private_key(65537, 2048)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place = Place(tmp_path, key)
    numbers = chance.choices([signal.SIGINT, signal.SIGTERM], k=chance.randint(1, 4))
    code, said = signalled(place, chance.randrange(1, LINES), numbers)
    assert "Traceback" not in said
    ends = [line["verdict"] for line in place.lines() if line["kind"] == "test-end"]
    assert len(ends) == 6, said
    assert set(ends) <= {"PASS", "INVALID", "NOT-RUN"}, said
    assert ends.count("INVALID") <= 1, "one test at a time runs"
    assert place.lines()[-1]["kind"] == "run-end"
    assert json.loads(next((place.path / "runs").glob("*/summary.json")).read_text())["verdict"]
    tidied = (place.path / "tidied").read_text().split() if (place.path / "tidied").exists() else []
    assert tidied == ["begun", "ended"] * (len(tidied) // 2), "a teardown was broken off"
    assert code in (0, 2), said
    assert (code == 0) == (ends == ["PASS"] * 6), said
