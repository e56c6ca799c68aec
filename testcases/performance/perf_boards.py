# SPDX-License-Identifier: MIT
"""P12: number of boards per lab host. Each board has a process of its own, as in a nightly run."""

import contextlib
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attrs import evolve

from mpbench.board.kernel_log import KernelLogFollower
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.steps import quiet
from testcases.contract.conftest import session_on
from testcases.contract.servers import SSHD, Server, children, openssh
from testcases.contract.test_virtual_board import read_until
from testcases.performance.rows import Board, Row

NUMBERS = ("P12",)
IDLE_S = 10.0
IDLE_SHARE = 0.02
BOARDS, COMMANDS, BUSY_S = int(os.environ.get("MPBENCH_PERF_BOARDS", "16")), 20, 0.25
SETTLE_S = 5.0
"""After a login prompt: what a board does once is done."""
SPEED_UP = 0.9


def benchmarks(board: Board | None) -> Iterator[Row]:
    """CPU time with one idle board, and the rate of commands with many boards, played by one SSH server.

    Where the board is a virtual one, its own CPU time, and that of many of its kind.
    """
    if board is not None:
        yield _idle(board)
        if (virtual := board.virtual) is not None:
            yield _virtual_idle(virtual.board)
            yield _virtual_many(virtual.kind)
    yield _many()


def _idle(board: Board) -> Row:
    """CPU time of a run that has consoles, kernel log and session of a board open and is idle."""
    log = KernelLogFollower(board.session)
    try:
        before, start = time.process_time(), time.perf_counter()
        time.sleep(IDLE_S)
        used_s = (time.process_time() - before) / (time.perf_counter() - start)
    finally:
        log.close()
    what = f"CPU of a second with an idle board, {used_s:.2%}"
    return Row("P12", what, "", None, used_s, f"≤ {IDLE_SHARE:.0%}", used_s <= IDLE_SHARE)


def _virtual_idle(board: boards.StartedBoard) -> Row:
    """CPU time of a virtual board whose Linux is idle: of its process and QEMU's."""
    before, start = _used_s(board.pid), time.perf_counter()
    time.sleep(IDLE_S)
    share = (_used_s(board.pid) - before) / (time.perf_counter() - start)
    what = f"CPU of a second of an idle virtual board, {share:.2%}"
    return Row("P12", what, "", None, share, f"≤ {IDLE_SHARE:.0%}", share <= IDLE_SHARE)


def _virtual_many(kind: str) -> Row:
    """Virtual boards that are all up and idle: the CPU time of each."""
    with contextlib.ExitStack() as stack:
        started, consoles = [], []
        start = time.perf_counter()
        for number in range(BOARDS):
            found = boards.start(kind, f"perf-{os.getpid()}-{number}", quiet, lifeline=True)
            stack.callback(boards.stop, found)
            started.append(found)
            consoles.append(
                stack.enter_context(socket.create_connection((found.address, found.ports["console"])))
            )
        for found in started:
            power(found, True)
        for console in consoles:
            read_until(console, b" login: ")
        up_s = time.perf_counter() - start
        time.sleep(SETTLE_S)
        before, start = [_used_s(found.pid) for found in started], time.perf_counter()
        time.sleep(IDLE_S)
        took_s = time.perf_counter() - start
        shares = [
            (_used_s(found.pid) - used_s) / took_s for found, used_s in zip(started, before, strict=True)
        ]
    share = sum(shares) / len(shares)
    what = f"{BOARDS} virtual boards, up in {up_s:.0f} s; CPU of a second of each, {share:.2%}"
    return Row("P12", what, "", None, share, f"≤ {IDLE_SHARE:.0%}", share <= IDLE_SHARE)


def _used_s(pid: int) -> float:
    """CPU time of a process and of its children that run. Ref: proc_pid_stat(5)"""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(_used_s, children(pid)))


def _many() -> Row:
    """Commands on one board, and on many at once."""
    target = f"≥ {SPEED_UP:g} x {BOARDS}"
    if not Path(SSHD).exists():
        return Row("P12", f"{SSHD} is missing: apt install openssh-server", "", None, None, target, None)
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as directory:
        root = Path(directory)
        with openssh(root, options=f"MaxStartups {2 * BOARDS}\n") as server:
            alone_s, together_s = _drive(server, 1), _drive(server, BOARDS)
    speed_up = BOARDS * alone_s / together_s
    what = (
        f"{BOARDS} boards with {COMMANDS} commands of {BUSY_S * 1e3:g} ms each, {speed_up:.1f} x one's pace"
    )
    return Row(
        "P12", what, "one after another", BOARDS * alone_s, together_s, target, speed_up >= SPEED_UP * BOARDS
    )


def _drive(server: Server, boards: int) -> float:
    """Seconds until the commands on all boards are done, without the time to connect."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(boards + 1)
    runs = [
        context.Process(target=_run, args=(evolve(server, process=None), barrier), daemon=True)
        for _ in range(boards)
    ]
    for run in runs:
        run.start()
    barrier.wait(120)
    start = time.perf_counter()
    barrier.wait(120)
    taken_s = time.perf_counter() - start
    for run in runs:
        run.join()
    return taken_s


def _run(server: Server, barrier: Barrier) -> None:
    session = session_on(server)
    session.target.activate(session)
    session.execute("true")
    barrier.wait(120)
    for _ in range(COMMANDS):
        session.execute(f"sleep {BUSY_S}")
    barrier.wait(120)
    session.target.deactivate(session)
