# SPDX-License-Identifier: MIT
"""What the parts of a board need of its session and its remoteproc driver; some add what they alone need."""

from typing import Protocol

from mpbench.board.session.shell_protocol import Reply


class Executes(Protocol):
    """Of a session: commands."""

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command on the board."""


class Finds(Protocol):
    """Of the remoteproc driver: where a core's files are."""

    def path(self, core: str, file: str) -> str:
        """Path of a core's sysfs file."""
