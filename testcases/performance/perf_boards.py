# SPDX-License-Identifier: MIT
"""P12: number of boards per lab host. Each board has a process of its own, as in a nightly run."""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attrs import evolve

from mpbench.board.kernel_log import KernelLogFollower
from testcases.contract.conftest import session_on
from testcases.contract.servers import Server, openssh
from testcases.performance.rows import Board, Row

NUMBERS = ("P12",)
IDLE_S = 10.0
IDLE_SHARE = 0.02
BOARDS, COMMANDS, BUSY_S = 16, 20, 0.25
SPEED_UP = 0.9


def benchmarks(board: Board | None) -> Iterator[Row]:
    """CPU time with one idle board, and the rate of commands with many boards, played by one SSH server."""
    if board is not None:
        yield _idle(board)
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


def _many() -> Row:
    """Commands on one board, and on many at once."""
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as directory:
        root = Path(directory)
        with openssh(root, options=f"MaxStartups {2 * BOARDS}\n") as server:
            alone_s, together_s = _drive(server, 1), _drive(server, BOARDS)
    speed_up = BOARDS * alone_s / together_s
    what = (
        f"{BOARDS} boards with {COMMANDS} commands of {BUSY_S * 1e3:g} ms each, {speed_up:.1f} x one's pace"
    )
    target = f"≥ {SPEED_UP:g} x {BOARDS}"
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
