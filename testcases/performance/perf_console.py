# SPDX-License-Identifier: MIT
"""P3, P4: delay from a kernel log line to Python, and throughput of a flooded console."""

import contextlib
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from labgrid import Target
from labgrid.driver import SerialDriver
from labgrid.resource import NetworkSerialPort

from mpbench.board.console import ConsoleRecorder
from mpbench.board.kernel_log import KernelLogFollower
from testcases.performance.rows import Board, Row

NUMBERS = ("P3", "P4")
EVENTS, PEER_EVENTS = 500, 5
SOON_S = 0.010
MIB = 1 << 20
FLOOD, PART, PEER_FLOOD = 10 * MIB, 5 * MIB // 2, MIB // 16
RATE_MIB_S = 20
LINEAR = 2.0
"""Time per byte of the whole flood, over that of its quarter: 1 if linear, 4 if quadratic."""

UART = """
import socket, sys
socket.setdefaulttimeout(300)
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    line = b"[    1.234567] a line as a kernel logs it when something goes wrong\\r\\n"
    board, _ = server.accept()
    board.recv(1)
    board.sendall(line * (int(sys.argv[1]) // len(line)) + b"login: ")
    board.recv(1)
"""
"""A UART in a process of its own: floods when it receives a byte."""


def benchmarks(board: Board | None) -> Iterator[Row]:
    """P3 needs a board."""
    if board is not None:
        yield _event(board)
    yield _flood()


def _event(board: Board) -> Row:
    """Delay of a line in the kernel log; ours starts before the command that writes it."""
    session, log = board.session, KernelLogFollower(board.session)
    try:
        mark, taken = log.mark(), []
        for number in range(EVENTS):
            start = time.perf_counter()
            session.execute(f"echo '<15>mpbench perf {number};' >/dev/kmsg")
            assert log.wait_for(re.compile(b"perf %d;" % number), mark, 10)
            taken.append(time.perf_counter() - start)
            mark = log.mark()
    finally:
        log.close()
    ours_s = statistics.quantiles(taken, n=100)[98]
    peer_s = max(_polled(board, f"mpbench perf peer {number};") for number in range(PEER_EVENTS))
    what = f"line in the kernel log → Python, p99 of {EVENTS}"
    peer = f"labgrid wait_for, worst of {PEER_EVENTS}"
    return Row("P3", what, peer, peer_s, ours_s, f"≤ {SOON_S * 1e3:g} ms", ours_s <= SOON_S)


def _polled(board: Board, text: str) -> float:
    """Seconds from an event until labgrid's wait_for() returns, which polls once a second."""
    session, peer, done = board.session, board.peer, []

    def wait() -> None:
        peer.wait_for("dmesg | tail -n 20", text)
        done.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(1 + random.random())
    start = time.perf_counter()
    session.execute(f"echo '<15>{text}' >/dev/kmsg")
    waiting.join()
    return done[0] - start


def _flood() -> Row:
    """Time until expect() finds the prompt; labgrid's is scaled linearly, though its time per byte grows."""
    taken = [[_expected(ConsoleRecorder, size) for size in (FLOOD, PART)] for _ in range(7)]
    ours_s, part_s = map(min, zip(*taken, strict=True))
    peer_s = _expected(None, PEER_FLOOD) * FLOOD / PEER_FLOOD
    rate, growth = FLOOD / MIB / ours_s, ours_s / part_s * PART / FLOOD
    what = (
        f"{FLOOD // MIB} MiB console flood, {rate:.0f} MiB/s, {growth:.2f} x the time per byte of a quarter"
    )
    peer = f"labgrid expect, {PEER_FLOOD >> 10} KiB, scaled"
    met = rate >= RATE_MIB_S and growth <= LINEAR
    return Row("P4", what, peer, peer_s, ours_s, f"≥ {RATE_MIB_S} MiB/s, linear", met)


@contextlib.contextmanager
def _uart(size: int) -> Iterator[int]:
    """TCP port of a UART that floods `size` bytes."""
    command = [sys.executable, "-c", UART, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _expected(recorder: Any, size: int) -> float:
    """Seconds from a byte to the UART until the prompt after the flood is found."""
    with _uart(size) as port:
        target = Target("flood")
        NetworkSerialPort(target, "uart", "127.0.0.1", port=port, protocol="raw")
        console = SerialDriver(target, "uart")
        if recorder is not None:
            target.set_binding_map({"port": "uart"})
            console = recorder(target, "console")
        target.activate(console)
        try:
            start = time.perf_counter()
            console.write(b"\n")
            console.expect("login: ", timeout=600)
            return time.perf_counter() - start
        finally:
            target.cleanup()
