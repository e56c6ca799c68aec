# SPDX-License-Identifier: MIT
"""P9: the report of 1,000 tests and 10⁶ samples, beside pytest-html's on a run that says as much.

All that pytest-html can show of a sample is what a test prints: here the line that `trace-cmd report` gives.

`make perf` puts pytest-html (https://github.com/pytest-dev/pytest-html) into build/peers, for this alone.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mpbench.report import publish as report
from testcases.performance import report_load
from testcases.performance.rows import Board, Row

NUMBERS = ("P9",)
TESTS, SAMPLES, MANY = 1_000, 1_000_000, 30_000
TARGET_S, TARGET_BYTES, TARGET_RATIO = 1.0, 2_500_000, 20
"""Bytes: 2 MB for the tests, and half a megabyte since each requirement lists the evidence of its tests."""
ROUNDS = 5
PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"
PEER = """
import pytest
@pytest.mark.parametrize("number", range({tests}))
def test_one(number):
    for sample in range({samples}):
        us = 24 + number * sample % 7919 / 1000
        at = f"  irq/14-optee_notif-87  [001] d..2. {{sample * 0.002:12.6f}}"
        print(f"{{at}}: notification: core=0 latency_us={{us:.3f}}")
"""


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """Time, size, size beside the peer's, and growth to many tests."""
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as name:
        directory = Path(name)
        ours_s, size = _ours(directory / "ours", TESTS, SAMPLES)
        peer_s, peer_size = _peer(directory)
        small_s = _cpu_s(directory / "small", TESTS)
        large_s = _cpu_s(directory / "large", MANY)
    peer = "pytest-html" if peer_size else "pytest-html is not installed: NOT-RUN"
    what = f"report of {TESTS} tests, 10⁶ samples"
    yield Row("P9", what, peer, peer_s, ours_s, f"≤ {TARGET_S:g} s", ours_s <= TARGET_S)
    met = size <= TARGET_BYTES
    yield Row("P9", f"its page: {size / 1e6:.2f} MB", "", None, ours_s, f"≤ {TARGET_BYTES / 1e6:g} MB", met)
    if peer_size:
        ratio = peer_size / size
        words = f"its page, {ratio:.1f} x smaller than {peer_size / 1e6:.1f} MB"
        yield Row("P9", words, peer, peer_s, ours_s, f"≥ {TARGET_RATIO} x", ratio >= TARGET_RATIO)
    growth = large_s / small_s / (MANY / TESTS)
    words = f"{MANY} tests, {growth:.2f} x the CPU time per test of {TESTS}"
    yield Row("P9", words, "", None, large_s, "≤ 1.2 x", growth <= 1.2)


def _ours(directory: Path, tests: int, samples: int) -> tuple[float, int]:
    """Median seconds of a report, and its page's size."""
    run, times = report_load.make(directory, tests, samples), []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        page = report.write([run], run)
        times.append(time.perf_counter() - begin)
    return statistics.median(times), page.stat().st_size


def _cpu_s(directory: Path, tests: int) -> float:
    """CPU seconds of a report without samples: growth is a matter of the work, not of the machine's load."""
    run = report_load.make(directory, tests, 0)
    begin = time.process_time()
    report.write([run], run)
    return time.process_time() - begin


def _peer(directory: Path) -> tuple[float | None, int]:
    """Seconds that pytest-html adds to a run, and its page's size; nothing where it is not installed."""
    if not (PEERS / "pytest_html").is_dir():
        return None, 0
    (directory / "test_peer.py").write_text(PEER.format(tests=TESTS, samples=SAMPLES // TESTS))
    plain_s = _pytest(directory)
    page = directory / "peer.html"
    with_s = _pytest(directory, f"--html={page}", "--self-contained-html")
    return with_s - plain_s, page.stat().st_size


def _pytest(directory: Path, *arguments: str) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    begin = time.perf_counter()
    subprocess.run(
        [*command, *arguments, "test_peer.py"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(PEERS)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - begin
