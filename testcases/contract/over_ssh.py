# SPDX-License-Identifier: MIT
"""Commands on a virtual board by OpenSSH's own client: nothing of the bench's session is in between."""

import subprocess
from collections.abc import Callable

from mpbench_virtual.boards import StartedBoard
from mpbench_virtual.keys import ssh_key


def over_ssh(board: StartedBoard) -> Callable[..., str]:
    """`execute(command, data)` → what a command prints on the board; its input is `data`."""
    options = [f"UserKnownHostsFile={board.known_hosts}", "BatchMode=yes"]
    ssh = ["ssh", "-i", str(ssh_key()), *(word for o in options for word in ("-o", o))]
    where = ["-p", str(board.ports["ssh"]), f"root@{board.address}"]

    def execute(command: str, data: bytes = b"") -> str:
        done = subprocess.run([*ssh, *where, command], input=data, capture_output=True, check=True)
        return done.stdout.decode()

    return execute
