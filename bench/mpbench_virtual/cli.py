# SPDX-License-Identifier: MIT
"""`mpbench virtual`: build, start, list and stop virtual boards by hand."""

import argparse
import os
import selectors
import socket
import sys
import termios
import tty
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from mpbench.core.causes import known
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual import boards
from mpbench_virtual.commands_shown import commands, write_target_file
from mpbench_virtual.parts import build_parts
from mpbench_virtual.progress import BuildProgress

ANSWER_S, STATE_S = 60.0, 5.0
"""For the power port: QEMU starts before it answers."""
ESCAPE = b"\x1d"
"""Ctrl-] ends `console`, as in telnet."""


def run_build(args: argparse.Namespace) -> int:
    parts = build_parts(args.kind, BuildProgress())
    for name, path in parts.files.items():
        print(f"{name:<12} {path}")
    return 0


def run_up(args: argparse.Namespace) -> int:
    board = boards.start(
        args.kind, args.name, BuildProgress(), lifeline=False, address=args.address, base_port=args.base_port
    )
    try:
        write_target_file(board)
        if not args.off:
            power(board, True)
    except BaseException:
        boards.stop(board)
        raise
    _print(board)
    return 0


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without http_proxy of the environment: the board is on this host."""


def power(board: boards.StartedBoard, on: bool) -> None:
    """Switch a board's supply through its power port. InfrastructureError, with QEMU's words, if it fails."""
    _ask(board, urllib.request.Request(board.power_url.format(index=0), b"01"[on : on + 1], method="PUT"))


def is_on(board: boards.StartedBoard) -> bool:
    """Whether the supply is on. InfrastructureError if the board's process does not answer."""
    return _ask(board, urllib.request.Request(board.power_url.format(index=0)), STATE_S) == b"1"


def _ask(board: boards.StartedBoard, request: urllib.request.Request, timeout_s: float = ANSWER_S) -> bytes:
    """Answer of a board's power port."""
    try:
        with DIRECT.open(request, timeout=timeout_s) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as e:
        with e:
            raise InfrastructureError(f"virtual board {board.name}: {e.read().decode().strip()}") from e
    except OSError as e:
        raise InfrastructureError(f"virtual board {board.name}: its power port: {known(e)}") from e


def run_down(args: argparse.Namespace) -> int:
    boards.stop(boards.find(args.name))
    print(f"{args.name} is down")
    return 0


def run_status(_: argparse.Namespace) -> int:
    up = list(boards.boards())
    faults = []
    for board in up:
        try:
            _print(board)
        except InfrastructureError as fault:
            if board.directory.exists():  # else it went down just now
                faults.append(fault)
    if faults:
        raise faults[0]
    if not up:
        print("no virtual board is up; `mpbench virtual up NAME` starts one")
    return 0


def _print(board: boards.StartedBoard) -> None:
    """State, addresses for other programs, and command lines to paste."""
    on, address, ports = is_on(board), board.address, board.ports
    print(f"{board.name}: {'on' if on else 'off'}, process {board.pid}")
    uarts = [f"{name} {address}:{ports[name]}" for name in ("console", "secure") if name in ports]
    print(f"  raw TCP    {', '.join(uarts)}")
    print(f"  power port {board.power_url}")
    for name, line in commands(board, on).items():
        print(f"  {name:<10} {line}")


def run_console(args: argparse.Namespace) -> int:
    board = boards.find(args.name)
    if args.uart not in board.ports:
        raise UsageError(
            f"board {board.name} has no UART `{args.uart}`: a board of kind {board.kind} has no TEE"
        )
    if not sys.stdin.isatty():
        raise UsageError(
            "mpbench virtual console needs a terminal; a script can connect to the TCP port of `status`"
        )
    with socket.create_connection((board.address, board.ports[args.uart])) as uart, _raw_terminal():
        print(f"{args.uart} of {board.name}; Ctrl-] ends it", end="\r\n", flush=True)
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
