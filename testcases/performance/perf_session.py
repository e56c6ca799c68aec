# SPDX-License-Identifier: MIT
"""P1, P2, P5, P10: session and boot, against labgrid's SSHDriver on one board."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from testcases.performance.rows import Board, Row, medians

NUMBERS = ("P1", "P2", "P5", "P10")
PEER = "labgrid SSHDriver"
UPLOAD_SIZE = 256 << 10
BOOT_LIMIT_S = 2.0


def benchmarks(board: Board | None) -> Iterator[Row]:
    """Nothing without a board."""
    if board is not None:
        yield _command(board)
        yield _reads(board)
        yield _upload(board)
        yield _boot(board)


def _command(board: Board) -> Row:
    """Ours twenty times in a row: directly after the peer, which starts processes, the first is slower."""
    session, peer = board.session, board.peer
    ours_s, peer_s = medians(lambda: session.run("true"), lambda: peer.run("true"), 40, repeat=20)
    return Row("P1", "one command", PEER, peer_s, ours_s, "≥ 12 x", peer_s / ours_s >= 12)


def _reads(board: Board) -> Row:
    session, peer = board.session, board.peer
    listed = session.run_check("find /sys/devices/system -type f -perm -400")
    readable = [path for path, data in session.read_many(listed[:500]).items() if _is_text(data)]
    paths = readable[:50]

    def one_by_one() -> None:
        for path in paths:
            peer.run(f"cat {path}")

    ours_s, peer_s = medians(lambda: session.read_many(paths), one_by_one, 5, repeat=5)
    what = f"{len(paths)} sysfs reads"
    return Row("P2", what, f"{len(paths)} SSHDriver runs", peer_s, ours_s, "≥ 50 x", peer_s / ours_s >= 50)


def _is_text(data: bytes | str) -> bool:
    """Whether labgrid's SSHDriver can read the file: it supports text only."""
    return isinstance(data, bytes) and data.isascii()


def _upload(board: Board) -> Row:
    session, peer = board.session, board.peer
    data = os.urandom(UPLOAD_SIZE)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "firmware"
        source.write_bytes(data)
        ours_s, peer_s = medians(
            lambda: session.put_bytes(data, "/tmp/mpbench-perf-ours"),
            lambda: peer.put(str(source), "/tmp/mpbench-perf-peer"),
            15,
        )
    session.execute("rm -f /tmp/mpbench-perf-ours /tmp/mpbench-perf-peer")
    target = "≤ 1.1 x its time"
    return Row("P5", "upload 256 KiB", "scp, open master", peer_s, ours_s, target, ours_s <= 1.1 * peer_s)


def _boot(board: Board) -> Row:
    """Power on until the first command is answered, by our session and by labgrid's SSHDriver in turns."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(6):
        ours = number % 2 == 0
        board.release_peer()
        board.strategy.transition("off")
        start = time.perf_counter()
        if ours:
            board.session.run("true")
        else:
            board.strategy.power.on()
            board.peer.run("true")
        taken[ours].append(time.perf_counter() - start)
        board.strategy.force("shell")
    ours_s, peer_s = min(taken[True]), min(taken[False])
    what = "power on → first command, best of 3"
    return Row("P10", what, PEER, peer_s, ours_s, f"≤ {BOOT_LIMIT_S:g} s", ours_s <= BOOT_LIMIT_S)
