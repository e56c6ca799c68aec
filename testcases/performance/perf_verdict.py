# SPDX-License-Identifier: MIT
"""P6 of perf_twin.py as a row of the table."""

from collections.abc import Iterator

from testcases.performance import perf_twin
from testcases.performance.rows import Board, Row

NUMBERS = ("P6",)
PEER = "pyelftools + pycryptodomex"


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """Both cases that perf_twin.py measures: a signature met for the first time, and one met before."""
    figures = perf_twin.measure()
    peer_s = figures.peer_us / 1e6
    for what, ours_us in (("new", figures.new_us), ("known", figures.known_us)):
        ratio = figures.peer_us / ours_us
        target = f"≥ {perf_twin.TARGET_RATIO} x"
        met = ratio >= perf_twin.TARGET_RATIO
        yield Row("P6", f"verdict, {what} signature", PEER, peer_s, ours_us / 1e6, target, met)
