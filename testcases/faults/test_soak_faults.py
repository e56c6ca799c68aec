# SPDX-License-Identifier: MIT
"""A soak that was killed or interrupted goes on where it was, on a board (I4)."""

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

CYCLES = 20
"""So many that some are left, however late the signals are."""
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
    """What a process says until it has said `text`, or until it ends."""
    said, end = b"", time.monotonic() + DEADLINE_S
    while text not in said and (more := os.read(stream.fileno(), 4096)):
        said += more
        assert time.monotonic() < end, said
    return said.decode()


def stopped_at(reports: Path, cycles: int, by: signal.Signals) -> str:
    """Run the soak and end it with a signal once so many cycles are done; what it said."""
    with soak(reports) as run:
        assert run.stdout
        said = read_until(run.stdout, f"{cycles} cycles of {CYCLES}x".encode())
        run.send_signal(by)
        said += read_until(run.stdout, b"no such text")
    assert run.returncode != 0
    return said


def test_a_soak_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """SIGKILL in mid-soak, then Ctrl-C in mid-soak: the third run does the cycles that are left, no more.

    Its record holds the time series of all of them.
    """
    journal = tmp_path / "soak/virtual-mp25-m33-test_crash_recovery_soak.jsonl"
    stopped_at(tmp_path, 2, signal.SIGKILL)
    done = len(journal.read_text().splitlines()) - 1
    assert done >= 2
    said = stopped_at(tmp_path, done + 2, signal.SIGINT)
    assert f"soak m33: {done} cycles of {CYCLES}x, {100 * done // CYCLES}%, resumed" in said
    done = len(journal.read_text().splitlines()) - 1
    assert 4 <= done < CYCLES
    with soak(tmp_path) as run:
        assert run.stdout
        said = read_until(run.stdout, b"no such text")
    assert run.returncode == 0, said
    assert f"soak m33: {done} cycles of {CYCLES}x, {100 * done // CYCLES}%, resumed" in said
    assert f"soak m33: {CYCLES} cycles of {CYCLES}x, 100%" in said
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["n"] for line in lines[1:-1]] == list(range(1, CYCLES + 1))
    assert lines[-1] == {"complete": True}
    assert {len(found["values"]) for found in series(tmp_path)} == {CYCLES}


def series(reports: Path) -> list[dict[str, list[float]]]:
    """The time series that the last run recorded."""
    last = max(reports.glob("*-virtual-mp25/record.jsonl"), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in last.read_text().splitlines()]
    return [line for line in lines if line["kind"] == "series"]
