# SPDX-License-Identifier: MIT
"""Where a user keeps what differs between labs: SSH key, pinned host keys, firmware signing key.

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
