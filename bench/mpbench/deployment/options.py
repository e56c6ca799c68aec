# SPDX-License-Identifier: MIT
"""Options of pytest for random bit flips in images."""

from typing import Any

FLIPS = 20


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-flips", type=int, metavar="N", default=FLIPS, help=f"random bit flips per core ({FLIPS})"
    )
    group.addoption("--bench-seed", metavar="TEXT", default="1", help="first part of their seeds (1)")
    group.addoption("--bench-corpus", metavar="FILE", help="skip flips listed in this JSON Lines file")
