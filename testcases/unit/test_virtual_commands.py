# SPDX-License-Identifier: MIT
"""What `virtual up` and `status` print of a board."""

from mpbench_virtual.boards import StartedBoard
from mpbench_virtual.commands_shown import commands


def test_a_board_without_a_secure_console(tmp_path):
    """A board with one UART has a command for each of its ports, and none for the console that it lacks."""
    ports = {"console": 7001, "power": 7003, "ssh": 7022}
    found = commands(StartedBoard("desk", "mp15-debian", 1, "127.0.0.2", ports, tmp_path), on=True)
    assert list(found) == ["console", "ssh", "power off", "down"]
    assert found["console"].endswith("mpbench virtual console desk console")
