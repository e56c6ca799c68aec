# SPDX-License-Identifier: MIT
"""The bench's own firmware, built when it is asked for."""

import subprocess
from pathlib import Path

from mpbench.core.errors import InfrastructureError
from mpbench.harness.run_state import CHECKOUT

FIRMWARE = CHECKOUT / "firmware"


def make(directory: Path = FIRMWARE, goal: str = "all") -> None:
    """Build the firmware, or another goal of its Makefile. InfrastructureError with what make said last."""
    command: list[str | Path] = ["make", "-s", "-C", directory, goal]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise InfrastructureError("make is not installed; it builds the firmware") from e
    if made.returncode:
        raise InfrastructureError(
            f"make -C {directory} failed: {' / '.join(made.stderr.strip().splitlines()[-3:])}"
        )
