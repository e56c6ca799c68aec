# SPDX-License-Identifier: MIT
"""Where the virtual board keeps things outside the checkout.

Ref: XDG Base Directory Specification 0.8.
"""

import os
from pathlib import Path

from mpbench.core.directories import runtime_dir


def run_dir() -> Path:
    """State of the boards that are up: one directory each, gone when the board goes down."""
    return runtime_dir() / f"mpbench-{os.getuid()}"
