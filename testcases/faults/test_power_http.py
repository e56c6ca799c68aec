# SPDX-License-Identifier: MIT
"""Faults 58 and 61: proxies of the environment, and a rogue power port that speaks HTTP.

An order is done, or an InfrastructureError by its deadline, in bounded memory; its thread ends with it; it
reaches the switch and nothing else.
"""

import gzip
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from labgrid import Target
from labgrid.driver import NetworkPowerDriver
from labgrid.resource import NetworkPowerPort

from mpbench.board import power
from mpbench.core.errors import InfrastructureError

pytestmark = pytest.mark.slow

ORDER_S, PATIENT_S = 2.0, 30.0
SLACK_S = 8.0
MEMORY_BYTES = 16 << 20
BOMB = gzip.compress(bytes(8 << 20)) * 64
Answer = Callable[[socket.socket, threading.Event], None]


class Server:
    """Accepts connections, records the first line of each request, and answers with raw bytes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._accept, name="rogue")]
        self.threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self._serve, args=(connection,), name="rogue"))
                self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                piece = connection.recv(4096)
                if not piece:
                    return
                data += piece
            self.requests.append(data.split(b"\r\n")[0])
            self.answer(connection, self.ended)

    def close(self) -> None:
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


def switch_at(url: str) -> Any:
    """labgrid's driver for a switch with its REST model."""
    target = Target("rogue")
    NetworkPowerPort(target, "power", model="rest", host=url, index="1")
    driver = NetworkPowerDriver(target, "power")
    target.activate(driver)
    return driver


def reply(body: bytes, head: bytes = b"") -> Answer:
    """An answer of a healthy server."""
    text = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return lambda connection, _ended: connection.sendall(text)


def endless_body(connection: socket.socket, ended: threading.Event) -> None:
    """Bytes as fast as they are taken."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b"1" * 65536)


def endless_error(connection: socket.socket, ended: threading.Event) -> None:
    """A refusal that asks for a password, with a body without end."""
    connection.sendall(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="x", nonce="y"\r\n\r\n')
    while not ended.is_set():
        connection.sendall(b"x" * 65536)


def slow_body(connection: socket.socket, ended: threading.Event) -> None:
    """A byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not ended.wait(0.1):
        connection.sendall(b"1")


def slow_head(connection: socket.socket, ended: threading.Event) -> None:
    """A header that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not ended.wait(0.1):
        connection.sendall(b"y")


def endless_head(connection: socket.socket, ended: threading.Event) -> None:
    """Headers as fast as they are taken."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not ended.is_set():
        connection.sendall(b"X: " + b"y" * 60000 + b"\r\n")


def bomb(connection: socket.socket, _ended: threading.Event) -> None:
    """A small body that unpacks to 512 MB."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(BOMB) + BOMB)


def mute(_connection: socket.socket, ended: threading.Event) -> None:
    """Accepts the request and says nothing."""
    ended.wait()


ROGUES = (endless_body, endless_error, slow_body, slow_head, endless_head, bomb, mute)


@pytest.mark.parametrize("rogue", ROGUES, ids=lambda rogue: rogue.__name__)
def test_61_a_rogue_power_port_is_bounded(rogue: Answer, chance: random.Random):
    """InfrastructureError by the deadline, less than 16 MB, and no thread is left."""
    command = chance.choice(["on", "off", "get"])
    with serving(rogue) as server:
        driver = switch_at(f"http://127.0.0.1:{server.port}/{{index}}")
        tracemalloc.start()
        start = time.monotonic()
        with pytest.raises(InfrastructureError, match=rf"power switch .*(no answer to )?`{command}`"):
            power._ask(driver, command, ORDER_S)
        took_s, (_, peak) = time.monotonic() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert took_s < ORDER_S + SLACK_S
        assert peak < MEMORY_BYTES
        deadline = time.monotonic() + SLACK_S
        while any(t.name == f"power {command}" for t in threading.enumerate()):
            assert time.monotonic() < deadline, "the order's thread outlives its deadline"
            time.sleep(0.01)


def test_61_the_deadline_of_an_order_is_its_own():
    """What a test asks labgrid's driver itself later, at its own pace, is not bounded by an earlier order."""
    answers = iter([reply(b"1"), hesitant])

    def in_turn(connection: socket.socket, ended: threading.Event) -> None:
        next(answers)(connection, ended)

    with serving(in_turn) as server:
        driver = switch_at(f"http://127.0.0.1:{server.port}/{{index}}")
        power.switch(driver, "on", ORDER_S)
        assert driver.get() is True


def hesitant(connection: socket.socket, ended: threading.Event) -> None:
    """An answer that is later than the deadline of the order before."""
    ended.wait(ORDER_S + 0.1)
    reply(b"1")(connection, ended)


def test_61_a_redirect_is_not_followed(chance: random.Random):
    """The order goes to the switch alone, and a redirect is not taken for success."""
    code = chance.choice([301, 302, 303, 307, 308])
    with serving(reply(b"1")) as other:

        def redirect(connection: socket.socket, _ended: threading.Event) -> None:
            where = f"http://127.0.0.1:{other.port}/"
            connection.sendall(
                f"HTTP/1.1 {code} x\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with serving(redirect) as server:
            driver = switch_at(f"http://127.0.0.1:{server.port}/{{index}}")
            with pytest.raises(InfrastructureError, match=rf"failed: answers with a redirect \({code}\) to "):
                power.switch(driver, chance.choice(["on", "off"]), ORDER_S)
        assert other.requests == []


@pytest.mark.parametrize("told", [False, True], ids=["", "told"])
def test_58_proxies_of_the_environment_get_no_order(
    chance: random.Random, monkeypatch: pytest.MonkeyPatch, told: bool
):
    """Orders go to the switch itself; with MPBENCH_POWER_PROXY through the proxy, as told."""
    with serving(reply(b"1")) as proxy, serving(reply(b"1")) as switch:
        for name in chance.sample(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"], 2):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("MPBENCH_POWER_PROXY", "1" if told else "")
        driver = switch_at(f"http://127.0.0.1:{switch.port}/{{index}}")
        power.switch(driver, "on", PATIENT_S)
        assert power.state(driver, PATIENT_S) is True
        assert (len(proxy.requests), len(switch.requests)) == ((2, 0) if told else (0, 2))
