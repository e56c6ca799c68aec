# SPDX-License-Identifier: MIT
"""Options of pytest that concern every run on a board."""

import os
from typing import Any


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-reports",
        metavar="DIR",
        default=os.environ.get("MPBENCH_REPORTS"),
        help="directory for records of runs (default: MPBENCH_REPORTS, else reports/runs)",
    )
    group.addoption(
        "--bench-progress",
        choices=("auto", "no"),
        default="auto",
        help="progress of the run: one updated line on a terminal, a few lines elsewhere (auto)",
    )
    group.addoption(
        "--bench-resume",
        metavar="DIR",
        help="continue the run in DIR, or the runs below it: only tests without a verdict there are run",
    )
