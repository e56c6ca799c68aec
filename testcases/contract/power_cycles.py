# SPDX-License-Identifier: MIT
"""python -m testcases.contract.power_cycles [-n 1000] [--every 10] [--kind mp25]: power on, power off.

One cycle in --every goes from power on to an answer by SSH; in the others the power is cut at a random moment
before that. Before and after them the board is off, and what its process holds is compared: descriptors,
threads, children, files of the board. Its memory may grow by GROWTH_BYTES in all. SIGINT or SIGTERM ends it
early, with the same summary of the cycles that are done.

Exit code 0, 1 with what has grown, or 5 if it was ended before the first cycle.
"""

import argparse
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from attrs import asdict, define, field, frozen

from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
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


def cut(board: boards.StartedBoard, after_s: float) -> None:
    """Power on, and off again so many seconds later, whatever the board is doing; QEMU goes with it."""
    with socket.create_connection((board.address, board.ports["console"])):
        power(board, True)
        time.sleep(after_s)
        power(board, False)
    if left := children(board.pid):
        raise AssertionError(
            f"power was cut after {after_s:.2f} s, but processes {left} of the board are there"
        )


@define
class Cycles:
    """Cycles that are done, and seconds to the answer in those that had one."""

    done: int = 0
    took_s: list[float] = field(factory=list)


def cycles(board: boards.StartedBoard, number: int, every: int = 1) -> Cycles:
    """So many cycles, or those before an interrupt; the first has an answer, and one in `every`."""
    found, moment = Cycles(), random.Random(number)
    try:
        for done in range(number):
            if done % every == 0:
                found.took_s.append(cycle(board))
                what = f"{found.took_s[-1]:.2f} s to an answer"
            else:
                after_s = moment.uniform(0, statistics.median(found.took_s))
                cut(board, after_s)
                what = f"cut after {after_s:.2f} s"
            found.done += 1
            print(f"{found.done} of {number}: {what}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        power(board, False)
    return found


def main(arguments: list[str] | None = None) -> int:
    """0: nothing has grown."""
    parser = argparse.ArgumentParser(prog="python -m testcases.contract.power_cycles", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="number of cycles (default: %(default)s)")
    parser.add_argument(
        "--every", type=int, default=10, help="one in so many has an answer (default: %(default)s)"
    )
    parser.add_argument(
        "--kind", default="mp25", choices=sorted(KINDS), help="of virtual board (default: %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    if min(chosen.n, chosen.every) < 1:
        parser.error(f"-n and --every are 1 at least, not {min(chosen.n, chosen.every)}")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background process ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="mpbench-cycles-") as directory:
        os.environ["XDG_RUNTIME_DIR"] = directory
        board = boards.start(chosen.kind, "board", quiet, lifeline=True)
        try:
            for _ in range(WARM_UP):
                cycle(board)
            before, found = settled(board), cycles(board, chosen.n, chosen.every)
            after = settled(board)
        except KeyboardInterrupt:
            found = Cycles()
        finally:
            boards.stop(board)
    if not found.done:
        print("interrupted before the first cycle was done")
        return 5
    return summary(found, chosen.n, before, after)


def summary(cycles: Cycles, wanted: int, before: Held, after: Held) -> int:
    """Prints it; the exit code."""
    found, of = grown(before, after), f" of {wanted}, interrupted" if cycles.done < wanted else ""
    times_s = cycles.took_s
    took = (
        f"{min(times_s):.2f} to {max(times_s):.2f} s to an answer, median {statistics.median(times_s):.2f} s"
    )
    cuts = f", {cycles.done - len(times_s)} cut at a random moment"
    print(f"{cycles.done} power cycles{of}{cuts}: {took}; {after}")
    print("\n".join(found) or "nothing has grown")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
