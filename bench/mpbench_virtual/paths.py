# SPDX-License-Identifier: MIT
"""Where virtual boards that run are found: directory of their state, first port."""

import os
from pathlib import Path

from mpbench.core.directories import private_directory, runtime_dir

BASE_PORT = 7000
"""First TCP port of a board, unless another is chosen."""


def run_dir() -> Path:
    """State of the boards that are up: one directory each, gone when the board goes down; made if missing.

    InfrastructureError unless it is this user's alone: processes are ended by what is written there.
    """
    return private_directory(runtime_dir() / f"mpbench-{os.getuid()}")
