# SPDX-License-Identifier: MIT
"""P17: what the plug-in costs a pytest that does not use it. P18: answers of the command line.

CPU time of the process and its children, in turns with the peer, so that both meet the host's load.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testcases.performance.rows import Board, Row

NUMBERS = ("P17", "P18")
ROUNDS = 20
PLUGIN_S, COMMAND_S = 0.030, 0.2
COMMANDS = (("--help",), ("--version",), ("explain", "TEE err: ffff0006"))


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """A pytest of one test with and without the plug-in; three commands."""
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as name:
        Path(name, "test_one.py").write_text("def test_one(): pass\n")
        pairs = [
            (cpu_s(name, *pytest), cpu_s(name, *pytest, "-p", "no:mpbench.plugin")) for _ in range(ROUNDS + 1)
        ][1:]
        cost_s = statistics.median(ours - peer for ours, peer in pairs)
        words = f"pytest of one test, {cost_s * 1e3:.0f} ms more with the plug-in (CPU)"
        ours_s, peer_s = (statistics.median(side) for side in zip(*pairs, strict=True))
        yield Row(
            "P17", words, "without it", peer_s, ours_s, f"≤ {PLUGIN_S * 1e3:g} ms more", cost_s <= PLUGIN_S
        )
        mpbench = str(Path(sys.executable).with_name("mpbench"))
        found = {
            words: statistics.median(cpu_s(name, mpbench, *words) for _ in range(ROUNDS))
            for words in COMMANDS
        }
        slowest = max(found, key=lambda words: found[words])
        yield Row(
            "P18",
            f"mpbench {slowest[0]}, the slowest of --help, --version, explain (CPU)",
            "",
            None,
            found[slowest],
            f"≤ {COMMAND_S:g} s",
            found[slowest] <= COMMAND_S,
        )


def cpu_s(directory: str, *command: str) -> float:
    """User and system time of a command in seconds, with what it starts."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=directory, env=env, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
