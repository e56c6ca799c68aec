# SPDX-License-Identifier: MIT
"""Where the virtual board keeps things outside the checkout.

Ref: XDG Base Directory Specification 0.8.
"""

import os
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FIRMWARE = CHECKOUT / "firmware"


def cache_dir() -> Path:
    """Downloads and built parts; may be deleted at any time, costs a rebuild."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MPBENCH_CACHE") or Path(home) / "mpbench")


def run_dir() -> Path:
    """State of the boards that are up: one directory each, gone when the board goes down."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"mpbench-{os.getuid()}"
