# SPDX-License-Identifier: MIT
"""What `virtual up` and `status` print: commands that work when they are pasted; a board's target file."""

import json
import shlex
import shutil
import sys
from pathlib import Path

from mpbench.core.files import write_whole
from mpbench.core.shared_files import TARGETS
from mpbench_virtual import keys
from mpbench_virtual.boards import StartedBoard


def commands(board: StartedBoard, on: bool) -> dict[str, str]:
    """Command lines for a board that is up, by what they are for."""
    name, where, port = shlex.quote(board.name), board.address, board.ports["ssh"]
    options = {
        "IdentitiesOnly": "yes",  # an agent's keys first would be too many attempts
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{board.known_hosts}"',  # ssh takes words for several files
    }
    ssh = [f"-o {shlex.quote(f'{option}={value}')}" for option, value in options.items()]
    key = shlex.quote(str(keys.ssh_key()))
    power = shlex.quote(board.power_url.format(index=0))
    uarts = [uart for uart in ("console", "secure") if uart in board.ports]
    found = {uart: f"{program('mpbench')} virtual console {name} {uart}" for uart in uarts} | {
        "ssh": f"ssh -i {key} {' '.join(ssh)} -p {port} root@{where}",
        "power off" if on else "power on": f"curl -s --noproxy '*' -X PUT -d {'0' if on else '1'} {power}",
    }
    if (target := target_file(board)).is_file():
        found["tests"] = f"{program('pytest')} --lg-env {shlex.quote(str(target))}"
    return found | {"down": f"{program('mpbench')} virtual down {name}"}


def program(name: str) -> str:
    """A program of this environment: its name if the shell finds it, else its path."""
    path = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return name if found and Path(found).resolve() == path.resolve() else shlex.quote(str(path))


def target_file(board: StartedBoard) -> Path:
    """The target file of a board that was started by hand; its stem names the runs."""
    return board.directory / f"{board.name}.yaml"


def write_target_file(board: StartedBoard) -> None:
    """Write it: that of the board's kind, with the board's name. Nothing for a kind without one."""
    path = TARGETS / f"virtual-{board.kind}.yaml"
    if path.is_file():
        of_kind = f"kind: {board.kind}\n"
        named = f"{of_kind}          board_name: {json.dumps(board.name)}\n"
        write_whole(target_file(board), path.read_text().replace(of_kind, named).encode())
