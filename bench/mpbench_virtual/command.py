# SPDX-License-Identifier: MIT
"""Command lines of `mpbench virtual`; cli.py does the work."""

import argparse

from mpbench.core.rooms import later
from mpbench_virtual.paths import BASE_PORT

KIND_NAMES = (
    "mp15",
    "mp15-debian",
    "mp15-debian-console",
    "mp15-debian-ev1",
    "mp15-debian-sd",
    "mp15-debian-tac",
    "mp15-debian-tee",
    "mp15-debian-tee-sd",
    "mp15-st",
    "mp25",
    "mp25-panic",
    "mp25-spi",
    "mp25-st",
    "mp25-uboot",
)
"""Those of models.KINDS, whose import takes time."""
WORK = "mpbench_virtual.cli"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `virtual` and its subcommands."""
    virtual = subparsers.add_parser("virtual", help="virtual boards: build, up, down, status, console, gdb")
    commands = virtual.add_subparsers(metavar="COMMAND", required=True)

    build = commands.add_parser("build", help="build every part of a kind of board (cached by content)")
    build.add_argument("kind", nargs="?", default="mp25", choices=KIND_NAMES)
    build.set_defaults(run=later(WORK, "run_build"))

    up = commands.add_parser("up", help="start a board, powered on; it runs until `down`")
    up.add_argument("name")
    up.add_argument("--kind", default="mp25", choices=KIND_NAMES)
    up.add_argument("--address", help="address to listen on (default: a loopback address of the board's own)")
    up.add_argument("--base-port", type=int, default=BASE_PORT, help="default: %(default)s")
    up.add_argument("--off", action="store_true", help="leave it powered off")
    up.set_defaults(run=later(WORK, "run_up"))

    down = commands.add_parser("down", help="stop a board")
    down.add_argument("name")
    down.set_defaults(run=later(WORK, "run_down"))

    status = commands.add_parser("status", help="list the boards that are up, with their addresses")
    status.set_defaults(run=later(WORK, "run_status"))

    console = commands.add_parser("console", help="connect the terminal to a UART of a board; Ctrl-] ends it")
    console.add_argument("name")
    console.add_argument("uart", nargs="?", default="console", choices=["console", "secure"])
    console.set_defaults(run=later(WORK, "run_console"))

    gdb = commands.add_parser("gdb", help="GDB on a core of a board; printed where there is no terminal")
    gdb.add_argument("name")
    gdb.add_argument("core", help="m4, m33, m0, or a7, a35: those of Linux")
    gdb.set_defaults(run=later("mpbench_virtual.gdb", "run_gdb"))
