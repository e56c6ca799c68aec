# SPDX-License-Identifier: MIT
"""A TCP proxy that damages, delays and cuts connections."""

import contextlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

Harm = Callable[[bytes, int], bytes]
"""Bytes in one direction, and the number sent before → the bytes that arrive."""


def unharmed(data: bytes, _at: int) -> bytes:
    """No damage."""
    return data


class Cut(Exception):
    """The connection is reset here."""


@define
class Proxy:
    """Listens on loopback, forwards to `port`; both directions may be harmed or held back.

    frozen: nothing is forwarded, connections stay open, until `thaw_at` bytes of the server wait (0: any
    number); refuse: so many new connections are reset
    """

    port: int
    up: Harm = unharmed
    down: Harm = unharmed
    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    frozen: threading.Event = field(factory=threading.Event)
    thaw_at: int = 0
    refuse: int = 0
    host: str = "127.0.0.1"
    delay_s: float = 0.0
    connections: list[socket.socket] = field(factory=list)
    _ended: threading.Event = field(factory=threading.Event)

    @property
    def address(self) -> int:
        """The port that a client connects to."""
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Accept until closed."""
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                client, _ = self.listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError, Cut),
            socket.create_connection((self.host, self.port)) as server,
        ):
            if self.refuse:
                self.refuse -= 1
                raise Cut
            self.connections += [client, server]
            passed = {client: 0, server: 0}
            while not self._ended.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.05)
                for source in ready if not self.frozen.is_set() else []:
                    if not self._pass_on(source, client, server, passed):
                        return
                if self.frozen.is_set():
                    if self.thaw_at and _waiting(server) >= self.thaw_at:
                        self.frozen.clear()
                    self._ended.wait(0.02)
        _reset(client)

    def _pass_on(
        self,
        source: socket.socket,
        client: socket.socket,
        server: socket.socket,
        passed: dict[socket.socket, int],
    ) -> bool:
        data = source.recv(16384)
        if not data:
            return False
        if self.delay_s:
            self._ended.wait(self.delay_s)
        harm, target = (self.up, server) if source is client else (self.down, client)
        try:
            target.sendall(harm(data, passed[source]))
        except Cut:
            _reset(client)
            _reset(server)
            raise
        passed[source] += len(data)
        return True

    def reset(self) -> None:
        """Reset every connection now."""
        for connection in self.connections:
            _reset(connection)

    def close(self) -> None:
        """End the listener and all connections."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.close()


def _waiting(connection: socket.socket) -> int:
    """How many bytes have arrived and were not read."""
    with contextlib.suppress(BlockingIOError):
        return len(connection.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    return 0


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextlib.contextmanager
def proxy_to(port: int, **harms: Any) -> Iterator[Proxy]:
    """A running proxy."""
    made = Proxy(port, **harms)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()


def flip_bits(chance: random.Random, from_byte: int, every: int) -> Harm:
    """Flip one bit in about one of `every` bytes, from byte `from_byte` on."""

    def harm(data: bytes, at: int) -> bytes:
        harmed = bytearray(data)
        for i in range(len(harmed)):
            if at + i >= from_byte and chance.randrange(every) == 0:
                harmed[i] ^= 1 << chance.randrange(8)
        return bytes(harmed)

    return harm


def lose_and_double(chance: random.Random, from_byte: int, every: int) -> Harm:
    """Lose or double about one of `every` bytes, from byte `from_byte` on."""

    def harm(data: bytes, at: int) -> bytes:
        harmed = bytearray()
        for i, byte in enumerate(data):
            hit = at + i >= from_byte and chance.randrange(every) == 0
            harmed += bytes([byte]) * (chance.choice((0, 2)) if hit else 1)
        return bytes(harmed)

    return harm


def lose(chance: random.Random, every: int) -> Harm:
    """Lose about one of `every` bytes."""
    return lambda data, _at: bytes(byte for byte in data if chance.randrange(every))


def swallow(_data: bytes, _at: int) -> bytes:
    """Lose everything."""
    return b""


def then(count: int, first: Harm, start: Callable[[], Harm]) -> Harm:
    """`first` for the next `count` bytes, of all connections; afterwards what `start` returns."""
    left, later = count, list[Harm]()

    def harm(data: bytes, at: int) -> bytes:
        nonlocal left
        left -= len(data)
        if left < 0 and not later:
            later.append(start())
        return later[0](data, at) if later else first(data, at)

    return harm


def without_line(words: bytes) -> Harm:
    """The first line that has `words` is lost; the others pass, each when it is whole."""
    begun, lost = b"", False

    def harm(data: bytes, _at: int) -> bytes:
        nonlocal begun, lost
        *lines, begun = (begun + data).split(b"\n")
        found = None if lost else next((line for line in lines if words in line), None)
        if found is not None:
            lines.remove(found)
            lost = True
        return b"".join(line + b"\n" for line in lines)

    return harm


def cut_after(count: int) -> Harm:
    """Pass `count` bytes, then reset the connection."""

    def harm(data: bytes, at: int) -> bytes:
        if at + len(data) >= count:
            raise Cut
        return data

    return harm


def eat_first(count: int) -> Harm:
    """The first `count` bytes are lost."""

    def harm(data: bytes, at: int) -> bytes:
        return data[max(0, count - at) :]

    return harm
