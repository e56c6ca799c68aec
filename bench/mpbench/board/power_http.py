# SPDX-License-Identifier: MIT
"""Bounds for power orders over HTTP, which labgrid's backends send with `requests` and without any.

A switch may answer with an endless body, byte by byte, or with a redirect: an order ends at its deadline, its
thread with it, and goes to the switch alone. The environment's proxies (http_proxy and the like) are for the
internet: a switch in the lab is asked directly unless MPBENCH_POWER_PROXY is set.

Ref: labgrid driver/power/rest.py and others; requests, HTTPAdapter.send
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import requests
from attrs import define, field
from requests.adapters import HTTPAdapter

from mpbench.core.errors import InfrastructureError

PROXY = "MPBENCH_POWER_PROXY"
LIMIT_BYTES = 1 << 20
CHUNK = 16384


@define
class HttpOrder:
    """One order to a switch, for at most timeout_s."""

    timeout_s: float
    _deadline: float = field(init=False)
    _sockets: list[socket.socket] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout_s

    @property
    def left_s(self) -> float:
        """Time until the deadline."""
        return max(0.01, self._deadline - time.monotonic())

    @contextlib.contextmanager
    def sent_by(self, power: Any) -> Iterator[None]:
        """While it lasts, what this thread sends by a labgrid driver's HTTP backend has this order's bounds.

        A backend is a module that all switches of its kind share: orders of others, and those that a test
        gives to labgrid's driver by itself, are none of this one's business.
        """
        backend = getattr(power, "backend", None)
        if hasattr(backend, "requests") and not isinstance(backend.requests, BoundedRequests):  # type: ignore[union-attr]
            backend.requests = BoundedRequests()  # type: ignore[union-attr]
        token = _ORDER.set(self)
        try:
            yield
        finally:
            _ORDER.reset(token)

    def connected(self, connection: socket.socket) -> None:
        """Remember a connection, for abort()."""
        self._sockets.append(connection)

    def abort(self) -> None:
        """End its connections: whoever reads from them gets an error."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


_ORDER: ContextVar[HttpOrder | None] = ContextVar("_ORDER", default=None)
"""The order that this thread is sending."""


class BoundedRequests:
    """The module `requests` for a backend: its functions and sessions have the current order's bounds."""

    def __getattr__(self, name: str) -> Any:
        if name in ("get", "put", "post", "patch", "delete", "head", "options"):
            return lambda url, **more: self.request(name, url, **more)
        return getattr(requests, name)

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        """As requests.request()."""
        with self.Session() as session:
            return session.request(method, url, **more)

    def Session(self) -> requests.Session:
        """As requests.Session()."""
        session = requests.Session()
        if order := _ORDER.get():
            for scheme in ("http://", "https://"):
                session.mount(scheme, BoundedAdapter(order))
        return session

    session = Session


class BoundedAdapter(HTTPAdapter):
    """Sends requests within the bounds of an order, and reads the whole answer."""

    def __init__(self, order: HttpOrder) -> None:
        self._order = order
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **more: Any) -> Any:
        """A pool whose connections the order knows as soon as they are there."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **more)
        connected = self._order.connected

        class Known(pool.ConnectionCls):
            def connect(self) -> None:
                super().connect()
                connected(self.sock)

        pool.ConnectionCls = Known
        return pool

    def send(self, request: Any, *arguments: Any, **more: Any) -> requests.Response:
        """InfrastructureError for a redirect, and an answer that is too long or too slow."""
        more |= {"timeout": self._order.left_s, "stream": True}
        if not os.environ.get(PROXY):
            more["proxies"] = {}
        response = super().send(request, *arguments, **more)
        with contextlib.closing(response):
            if 300 <= response.status_code < 400:
                raise InfrastructureError(
                    f"answers with a redirect ({response.status_code}) to "
                    f"{response.headers.get('Location', 'nowhere')[:200]!r}, which is not followed"
                )
            content = bytearray()
            for piece in response.iter_content(CHUNK):
                content += piece
                if len(content) > LIMIT_BYTES:
                    raise InfrastructureError(f"answers with more than {LIMIT_BYTES} bytes")
                if time.monotonic() > self._order._deadline:
                    raise InfrastructureError(f"no complete answer within {self._order.timeout_s:g} s")
            response._content = bytes(content)
        return response
