# SPDX-License-Identifier: MIT
"""python -m testcases.contract.power_cycles [-n 1000] [--kind mp25]: power on and off again and again.

Each cycle goes from power on to an answer by SSH. Before and after them the board is off, and what its
process holds is compared: descriptors, threads, children, files of the board. Its memory may grow by
GROWTH_BYTES in all. SIGINT or SIGTERM ends it early, with the same summary of the cycles that are done.

Exit code 0, 1 with what has grown, or 5 if it was ended before the first cycle.
"""

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from attrs import asdict, frozen

from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.steps import quiet
from testcases.contract.over_ssh import over_ssh
from testcases.contract.servers import children
from testcases.contract.test_virtual_board import read_until

WARM_UP = 3
"""Cycles after which what is made once is there."""
GROWTH_BYTES = 8 << 20
SETTLE_S = 2.0
"""For so long after a cycle the ends of its connections may still be under way to the board's servers."""


@frozen
class Held:
    """What the process of a board holds."""

    descriptors: int
    threads: int
    children: int
    files: int
    resident_bytes: int


def held(board: boards.StartedBoard) -> Held:
    """Ref: proc_pid_fd(5), proc_pid_task(5), proc_pid_statm(5)"""
    process = Path(f"/proc/{board.pid}")
    return Held(
        len(list((process / "fd").iterdir())),
        len(list((process / "task").iterdir())),
        len(children(board.pid)),
        sum(1 for _ in board.directory.rglob("*")),
        int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


def settled(board: boards.StartedBoard) -> Held:
    """The least of each that it holds within SETTLE_S."""
    seen, end_s = [held(board)], time.monotonic() + SETTLE_S
    while time.monotonic() < end_s:
        time.sleep(SETTLE_S / 20)
        seen.append(held(board))
    return Held(**{name: min(asdict(one)[name] for one in seen) for name in asdict(seen[0])})


def grown(before: Held, after: Held) -> list[str]:
    """What there is more of, in words."""
    allowed = {"resident_bytes": GROWTH_BYTES}
    return [
        f"{name.replace('_', ' ')}: {first} before, {asdict(after)[name]} after"
        for name, first in asdict(before).items()
        if asdict(after)[name] > first + allowed.get(name, 0)
    ]


def cycle(board: boards.StartedBoard) -> float:
    """Power on, an answer, power off; seconds from power on to the answer."""
    with socket.create_connection((board.address, board.ports["console"])) as console:
        start_s = time.monotonic()
        power(board, True)
        read_until(console, b" login: ")
        assert over_ssh(board)("echo up") == "up\n"
        took_s = time.monotonic() - start_s
        power(board, False)
    return took_s


def cycles(board: boards.StartedBoard, number: int) -> list[float]:
    """Seconds to the answer in each of so many cycles, or in those that were done before an interrupt."""
    took_s: list[float] = []
    try:
        for done in range(1, number + 1):
            took_s.append(cycle(board))
            print(f"{done} of {number}: {took_s[-1]:.2f} s", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        power(board, False)
    return took_s


def main(arguments: list[str] | None = None) -> int:
    """0: nothing has grown."""
    parser = argparse.ArgumentParser(prog="python -m testcases.contract.power_cycles", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="number of cycles (default: %(default)s)")
    parser.add_argument("--kind", default="mp25", help="of virtual board (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background process ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="mpbench-cycles-") as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        board = boards.start(chosen.kind, "board", quiet, lifeline=True)
        try:
            for _ in range(WARM_UP):
                cycle(board)
            before, took_s = settled(board), cycles(board, chosen.n)
            after = settled(board)
        except KeyboardInterrupt:
            took_s = []
        finally:
            boards.stop(board)
    if not took_s:
        print("interrupted before the first cycle was done")
        return 5
    return summary(took_s, chosen.n, before, after)


def summary(took_s: list[float], wanted: int, before: Held, after: Held) -> int:
    """Prints it; the exit code."""
    found, of = grown(before, after), f" of {wanted}, interrupted" if len(took_s) < wanted else ""
    took = f"{min(took_s):.2f} to {max(took_s):.2f} s to an answer, median {statistics.median(took_s):.2f} s"
    print(f"{len(took_s)} power cycles{of}: {took}; {after}")
    print("\n".join(found) or "nothing has grown")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
