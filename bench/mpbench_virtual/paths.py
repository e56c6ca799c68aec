# SPDX-License-Identifier: MIT
"""Where the virtual board keeps things outside the checkout.

Ref: XDG Base Directory Specification 0.8.
"""

import os
from pathlib import Path

from mpbench.core.directories import runtime_dir

CHECKOUT = Path(__file__).resolve().parents[2]
FIRMWARE = CHECKOUT / "firmware"


def cache_dir() -> Path:
    """Downloads and built parts; may be deleted at any time, costs a rebuild."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MPBENCH_CACHE") or Path(home) / "mpbench")


def run_dir() -> Path:
    """State of the boards that are up: one directory each, gone when the board goes down."""
    return runtime_dir() / f"mpbench-{os.getuid()}"
