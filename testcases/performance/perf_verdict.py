# SPDX-License-Identifier: MIT
"""P6 of perf_twin.py as rows of the table."""

from collections.abc import Iterator

from testcases.performance import perf_twin
from testcases.performance.rows import Board, Row

NUMBERS = ("P6",)
PEER = "pyelftools + pycryptodomex"


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """A signature met for the first time, one met before, and how much of the latter is SHA-256."""
    figures = perf_twin.measure()
    for what, ours_us in (("new", figures.new_us), ("known", figures.known_us)):
        target = f"≥ {perf_twin.TARGET_RATIO} x"
        met = figures.peer_us / ours_us >= perf_twin.TARGET_RATIO
        yield Row("P6", f"verdict, {what} signature", PEER, figures.peer_us / 1e6, ours_us / 1e6, target, met)
    what = f"share of SHA-256: {figures.share:.1%} known, {figures.new_share:.1%} new"
    target, met = f"≥ {perf_twin.TARGET_SHARE:.0%} known", figures.share >= perf_twin.TARGET_SHARE
    yield Row("P6", what, "SHA-256 alone", figures.sha_us / 1e6, figures.known_us / 1e6, target, met)
