# SPDX-License-Identifier: MIT
"""Options of pytest for measurements of notifications."""

from typing import Any

SAMPLES, RATE_HZ = 500, 200.0


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-samples",
        type=int,
        metavar="N",
        default=SAMPLES,
        help=f"notifications per measurement ({SAMPLES})",
    )
    group.addoption(
        "--bench-rate",
        type=float,
        metavar="HZ",
        default=RATE_HZ,
        help=f"notifications per second ({RATE_HZ:g})",
    )
    group.addoption("--bench-live", action="store_true", help="show a live histogram of the notifications")
    group.addoption(
        "--bench-baseline",
        metavar="RUN",
        action="append",
        default=[],
        help="compare with this run of the same board and kernel (repeatable; samples are pooled)",
    )
