# SPDX-License-Identifier: MIT
"""`mpbench virtual`: build, start, list and stop virtual boards by hand."""

import argparse
import os
import selectors
import socket
import sys
import termios
import time
import tty
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from mpbench.core.errors import UsageError
from mpbench_virtual import boards, keys
from mpbench_virtual.models import KINDS

ESCAPE = b"\x1d"
"""Ctrl-] ends `console`, as in telnet."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `virtual` and its subcommands."""
    virtual = subparsers.add_parser("virtual", help="virtual boards: build, up, down, status, console")
    commands = virtual.add_subparsers(metavar="COMMAND", required=True)

    build = commands.add_parser("build", help="build every part of a kind of board (cached by content)")
    build.add_argument("kind", nargs="?", default="mp25", choices=sorted(KINDS))
    build.set_defaults(run=_build)

    up = commands.add_parser("up", help="start a board, powered on; it runs until `down`")
    up.add_argument("name")
    up.add_argument("--kind", default="mp25", choices=sorted(KINDS))
    up.add_argument("--address", help="address to listen on (default: a loopback address of the board's own)")
    up.add_argument("--base-port", type=int, default=boards.BASE_PORT, help="default: %(default)s")
    up.add_argument("--off", action="store_true", help="leave it powered off")
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop a board")
    down.add_argument("name")
    down.set_defaults(run=_down)

    status = commands.add_parser("status", help="list the boards that are up, with their addresses")
    status.set_defaults(run=_status)

    console = commands.add_parser("console", help="connect the terminal to a UART of a board; Ctrl-] ends it")
    console.add_argument("name")
    console.add_argument("uart", nargs="?", default="console", choices=["console", "secure"])
    console.set_defaults(run=_console)


class BuildProgress:
    """Prints one line per change of a build step, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, step: str, what: str) -> None:
        print(f"[{time.monotonic() - self._started:5.0f} s] {step:<12} {what}", flush=True)


def _build(args: argparse.Namespace) -> int:
    parts = boards.build_parts(args.kind, BuildProgress())
    for name in ("firmware", "kernel", "initrd", "device_tree", "environment"):
        print(f"{name:<12} {getattr(parts, name)}")
    return 0


def _up(args: argparse.Namespace) -> int:
    board = boards.start(
        args.kind, args.name, BuildProgress(), lifeline=False, address=args.address, base_port=args.base_port
    )
    if not args.off:
        power(board, True)
    _print(board)
    return 0


def power(board: boards.StartedBoard, on: bool) -> None:
    """Switch a board's supply through its power port."""
    request = urllib.request.Request(board.power_url.format(index=0), data=b"01"[on : on + 1], method="PUT")
    with urllib.request.urlopen(request):
        pass


def is_on(board: boards.StartedBoard) -> bool:
    """Whether the supply is on."""
    with urllib.request.urlopen(board.power_url.format(index=0)) as answer:
        return bool(answer.read() == b"1")


def _down(args: argparse.Namespace) -> int:
    boards.stop(boards.find(args.name))
    return 0


def _status(_: argparse.Namespace) -> int:
    for board in boards.boards():
        _print(board)
    return 0


def _print(board: boards.StartedBoard) -> None:
    ports = board.ports
    print(f"{board.name}: {'on' if is_on(board) else 'off'}, process {board.pid}")
    print(f"  console  {board.address}:{ports['console']} (raw TCP)")
    print(f"  secure   {board.address}:{ports['secure']} (raw TCP)")
    print(f"  power    {board.power_url.format(index=0)}")
    ssh = f"ssh -i {keys.ssh_key()} -o UserKnownHostsFile={board.known_hosts} -p {ports['ssh']}"
    print(f"  ssh      {ssh} root@{board.address}")


def _console(args: argparse.Namespace) -> int:
    board = boards.find(args.name)
    if not sys.stdin.isatty():
        raise UsageError(
            "mpbench virtual console needs a terminal; a script can connect to the TCP port of `status`"
        )
    with socket.create_connection((board.address, board.ports[args.uart])) as uart, _raw_terminal():
        _pump(uart)
    return 0


def _pump(uart: socket.socket) -> None:
    """Terminal to UART and back, until Ctrl-] or until the board goes down."""
    with selectors.DefaultSelector() as selector:
        selector.register(uart, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = uart.recv(65536) if key.fileobj is uart else os.read(sys.stdin.fileno(), 1024)
                if not data or (key.fileobj is not uart and ESCAPE in data):
                    return
                if key.fileobj is uart:
                    os.write(sys.stdout.fileno(), data)
                else:
                    uart.sendall(data)


@contextmanager
def _raw_terminal() -> Iterator[None]:
    saved = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
