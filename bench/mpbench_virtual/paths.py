# SPDX-License-Identifier: MIT
"""Where virtual boards that run are found: directory of their state, first port."""

import os
from pathlib import Path

from mpbench.core.directories import runtime_dir

BASE_PORT = 7000
"""First TCP port of a board, unless another is chosen."""


def run_dir() -> Path:
    """State of the boards that are up: one directory each, gone when the board goes down."""
    return runtime_dir() / f"mpbench-{os.getuid()}"
