# SPDX-License-Identifier: MIT
"""Fault 61: what answers at the board's address is no SSH server, or a hostile one.

A connection is an InfrastructureError in one line by its deadline, in bounded memory; no thread outlives it.
"""

import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from mpbench.board.session.link import greet
from mpbench.core.errors import InfrastructureError

pytestmark = pytest.mark.slow

SLACK_S = 8.0
MEMORY_BYTES = 32 << 20
BANNER = b"SSH-2.0-dropbear_2022.83\r\n"
Rogue = Callable[[socket.socket, threading.Event], None]


def no_line_end(connection: socket.socket, ended: threading.Event) -> None:
    """A banner that never ends."""
    while not ended.is_set():
        connection.sendall(b"SSH-2.0-" + b"x" * 65536)


def endless_lines(connection: socket.socket, ended: threading.Event) -> None:
    """Lines before the banner, as RFC 4253 allows, without end; with terminal control in them."""
    while not ended.is_set():
        connection.sendall(b"\x1b[2J\x1b]0;PASS\x07\r\n" * 1000)


def drips(connection: socket.socket, ended: threading.Event) -> None:
    """A byte at a time."""
    while not ended.wait(0.05):
        connection.sendall(b"S")


def huge_packet(connection: socket.socket, ended: threading.Event) -> None:
    """A sound banner, and a packet of 4 GiB."""
    connection.sendall(BANNER + b"\xff\xff\xff\xff\x04\x14")
    while not ended.is_set():
        connection.sendall(bytes(65536))


def mute(connection: socket.socket, ended: threading.Event) -> None:
    """A sound banner, and nothing more."""
    connection.sendall(BANNER)
    ended.wait()


def web_server(connection: socket.socket, _: threading.Event) -> None:
    """Another service listens there."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<script>alert(1)</script>")


@contextmanager
def serving(rogue: Rogue) -> Iterator[int]:
    """The port of a server for one connection."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    rogue(connection, ended)

        thread = threading.Thread(target=serve, name="rogue")
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("rogue", [no_line_end, endless_lines, drips, huge_packet, mute, web_server])
def test_61_a_rogue_ssh_server_is_bounded(rogue: Rogue, chance: random.Random):
    """One line without control characters, by the deadline; the process keeps no thread of it."""
    answer_s = chance.uniform(0.3, 1.0)
    threads = {thread.name for thread in threading.enumerate()}
    with serving(rogue) as port:
        tracemalloc.start()
        start = time.monotonic()
        with pytest.raises(InfrastructureError) as refused:
            greet("127.0.0.1", port, answer_s)
        took_s, (_, most_bytes) = time.monotonic() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert took_s < answer_s + SLACK_S
    assert most_bytes < MEMORY_BYTES
    assert str(refused.value).startswith(f"127.0.0.1 port {port}: no SSH server answers: ")
    assert str(refused.value).isprintable()
    left = [t for t in threading.enumerate() if t.name not in threads]
    for thread in left:
        thread.join(SLACK_S)  # long before paramiko's timer of 15 s
    assert not any(thread.is_alive() for thread in left), left
