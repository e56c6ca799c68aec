# SPDX-License-Identifier: MIT
"""`mpbench virtual gdb`: GDB on a core of a board whose whole SoC is QEMU's.

Ref: QEMU docs/system/gdb.rst, "Debugging multicore machines": each cluster of cores is a process of its stub
"""

import argparse
import os
import shlex
import shutil
import sys

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual import boards
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import MONITOR, qmp

SOCKET = "gdb.sock"
PROGRAMS = ("gdb-multiarch", "gdb")
"""That of a distribution knows its own architecture alone, if it is `gdb`."""


def command_of(board: boards.StartedBoard, core: str) -> list[str]:
    """GDB's command line for a core; UsageError if the board has no such core."""
    kind = KINDS[board.kind]
    processes = {kind.main: 1, **kind.cores}
    if core not in processes:
        raise UsageError(f"board {board.name} has no core {core!r}: {', '.join(processes)}")
    program = next(filter(shutil.which, PROGRAMS), PROGRAMS[0])
    steps = [f"target extended-remote {board.directory / SOCKET}"]
    if processes[core] > 1:
        steps += ["add-inferior", "inferior 2", f"attach {processes[core]}"]
    return [program, *(word for step in steps for word in ("-ex", step))]


def run_gdb(args: argparse.Namespace) -> int:
    """Have QEMU listen, and start GDB on a terminal; else print its command line."""
    board = boards.find(args.name)
    command = command_of(board, args.core)
    listen = {"command-line": f"gdbserver unix:{board.directory / SOCKET},server=on,wait=off"}
    try:
        qmp(board.directory / MONITOR, "human-monitor-command", **listen)
    except OSError as e:
        raise InfrastructureError(f"board {board.name} is off, or QEMU does not answer: {e}") from e
    print(shlex.join(command), flush=True)
    if sys.stdout.isatty() and shutil.which(command[0]):
        os.execvp(command[0], command)
    return 0
