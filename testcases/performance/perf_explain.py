# SPDX-License-Identifier: MIT
"""P18: `mpbench explain` of 10 MiB of log, of five kinds: what it costs must not depend on what is in it.

CPU time of the process; no peer. Each log ends with a known line.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testcases.performance.perf_imports import cpu_s
from testcases.performance.rows import Board, Row

NUMBERS = ("P18",)
LOG_BYTES, LIMIT_S = 10 * 2**20, 1.0
STAMP = "[   12.345678] "
KNOWN = f"{STAMP}remoteproc remoteproc0: Boot failed: -22\n"
LOGS = {
    "ordinary lines": f"{STAMP}an ordinary line of the kernel about clocks and regulators, number {{}}\n",
    "one known line": KNOWN,
    "known lines that differ": "E/TC:0 0 stm32_iac_itr:197 IAC exception ID: {}\n",
    "lines that resemble known ones": f"{STAMP}remoteproc remoteproc0: Boot failed: x{{}}\n",
    "one line that resembles known ones": f"{STAMP}remoteproc remoteproc0: Boot failed: x{{}} ",
}


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """A row per kind of log."""
    mpbench = str(Path(sys.executable).with_name("mpbench"))
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as name:
        for kind, line in LOGS.items():
            Path(name, "log").write_text(log_of(line))
            taken = min(cpu_s(name, mpbench, "explain", "@log") for _ in range(3))
            what = f"explain, 10 MiB of {kind} (CPU)"
            yield Row("P18", what, "", None, taken, f"≤ {LIMIT_S:g} s", taken <= LIMIT_S)


def log_of(line: str) -> str:
    """10 MiB of a line, numbered where it has a place for it, and a known line."""
    lines = (line.format(number) for number in range(LOG_BYTES // len(line) + 1))
    return "".join(lines)[:LOG_BYTES] + "\n" + KNOWN
