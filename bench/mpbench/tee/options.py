# SPDX-License-Identifier: MIT
"""Options of pytest for OP-TEE's own test suite."""

from typing import Any


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-xtest",
        metavar="WHICH",
        default="",
        help="cases of OP-TEE's own test suite: all, or those whose names contain one of these parts, as in "
        "4006,60 (a few)",
    )
