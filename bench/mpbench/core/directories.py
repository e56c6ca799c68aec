# SPDX-License-Identifier: MIT
"""Where a user keeps what differs between labs (SSH key, pinned hosts, signing key), and what lasts a run.

Ref: XDG Base Directory Specification 0.8.
"""

import os
from pathlib import Path

VARIABLE = "MPBENCH_CONFIG"


def config_dir() -> Path:
    """$MPBENCH_CONFIG, else mpbench in the user's configuration directory."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(os.environ.get(VARIABLE) or Path(home) / "mpbench")


def known_hosts() -> Path:
    """The host keys that this user pinned."""
    return config_dir() / "known_hosts"


def cache_dir() -> Path:
    """Downloads and built parts; may be deleted at any time, costs a rebuild."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MPBENCH_CACHE") or Path(home) / "mpbench")


def runtime_dir() -> Path:
    """What lasts no longer than the runs of this user on this host, under names that bear the user."""
    if found := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(found)
    import tempfile  # noqa: PLC0415 - every pytest imports this module

    return Path(tempfile.gettempdir())
