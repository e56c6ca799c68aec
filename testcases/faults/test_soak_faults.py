# SPDX-License-Identifier: MIT
"""A soak that was killed or interrupted resumes, on a board (I4)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from mpbench.core.shared_files import CHECKOUT

pytestmark = pytest.mark.slow

CYCLES = 10
"""More than are done before the last signal arrives."""
SOAK = ("-k", "soak and m33", "--bench-soak", f"{CYCLES}x")
DEADLINE_S = 300.0


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards of this test only."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def soak(reports: Path) -> subprocess.Popen[bytes]:
    """A soak of one core on a virtual board of its own."""
    target = f"--lg-env={CHECKOUT / 'targets/virtual-mp25.yaml'}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", target, *SOAK]
    wanted = [f"--bench-reports={reports}", "testcases/test_soak.py"]
    return subprocess.Popen([*command, *wanted], cwd=CHECKOUT, stdout=subprocess.PIPE, bufsize=0)


def read_until(stream: IO[bytes], text: bytes) -> str:
    """Output of a process up to `text`, or up to its end."""
    output, end = b"", time.monotonic() + DEADLINE_S
    while text not in output and (more := os.read(stream.fileno(), 4096)):
        output += more
        assert time.monotonic() < end, output
    return output.decode()


def stopped_at(reports: Path, cycles: int, by: signal.Signals) -> str:
    """Run the soak and end it with a signal after `cycles` cycles; its output."""
    with soak(reports) as run:
        assert run.stdout
        output = read_until(run.stdout, f"{cycles} cycles of {CYCLES}x".encode())
        run.send_signal(by)
        output += read_until(run.stdout, b"no such text")
    assert run.returncode != 0
    return output


def test_an_interrupted_soak_resumes(tmp_path: Path) -> None:
    """After SIGKILL and then SIGINT during a soak, the third run does exactly the remaining cycles.

    Its record holds the time series of all cycles.
    """
    journal = tmp_path / "soak/virtual-mp25-m33-test_crash_recovery_soak.jsonl"
    stopped_at(tmp_path, 2, signal.SIGKILL)
    done = len(journal.read_text().splitlines()) - 1
    assert done >= 2
    output = stopped_at(tmp_path, done + 2, signal.SIGINT)
    assert f"soak m33: {done} cycles of {CYCLES}x, {100 * done // CYCLES}%, resumed" in output
    done = len(journal.read_text().splitlines()) - 1
    assert 4 <= done < CYCLES
    with soak(tmp_path) as run:
        assert run.stdout
        output = read_until(run.stdout, b"no such text")
    assert run.returncode == 0, output
    assert f"soak m33: {done} cycles of {CYCLES}x, {100 * done // CYCLES}%, resumed" in output
    assert f"soak m33: {CYCLES} cycles of {CYCLES}x, 100%" in output
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["n"] for line in lines[1:-1]] == list(range(1, CYCLES + 1))
    assert lines[-1] == {"complete": True}
    assert {len(found["values"]) for found in series(tmp_path)} == {CYCLES}


def series(reports: Path) -> list[dict[str, list[float]]]:
    """The time series that the last run recorded."""
    last = max(reports.glob("*-virtual-mp25/record.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in last.read_text().splitlines()]
    return [line for line in lines if line["kind"] == "series"]
