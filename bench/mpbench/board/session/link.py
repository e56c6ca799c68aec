# SPDX-License-Identifier: MIT
"""One SSH transport to a board: connected once, with a pinned host key and keepalives.

It never reconnects by itself: a lost link stays lost until dial() is called again.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
from attrs import field, frozen

from mpbench.board import host_keys
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError

PING_EVERY_S = 5.0
CHANNEL_S = 10.0
SILENT_AFTER_S = 8.0
"""A keepalive unanswered for this long ends the link: a half-open connection is detected within 13 s."""


@frozen
class Address:
    """Where a board's SSH server is, and how host and user are authenticated.

    name, port:     as in the target file; the host key is pinned under them
    host, tcp_port: where to connect, which differs when a proxy forwards the port
    keyfile:        private key, or None
    known_hosts:    pinned host keys
    via:            what carries the connection if it is not the network, for messages
    """

    name: str
    port: int
    host: str
    tcp_port: int
    username: str
    known_hosts: Path
    keyfile: Path | None = None
    password: str | None = field(default=None, repr=False)
    alias: str = ""
    via: str = ""

    def __str__(self) -> str:
        return f"{self.username}@{self.name} port {self.port}{self.via and f' over {self.via}'}"


logging.getLogger("paramiko").addHandler(logging.NullHandler())
"""Else its threads print tracebacks about what a server sends; the exception itself is reported here."""

LOST = (paramiko.SSHException, OSError, EOFError, UnicodeError, OverflowError)
"""Exceptions of paramiko and the socket layer for a failed connection; the last two for names that cannot be
looked up and ports that cannot be."""


class LinkLost(InfrastructureError):
    """The transport has ended."""


class Unanswered(InfrastructureError):
    """No SSH server answered in time; a booting board may answer later."""


@contextlib.contextmanager
def lab_faults(what: str, fault: type[InfrastructureError] = InfrastructureError) -> Iterator[None]:
    """Turn exceptions of paramiko and the socket layer into `fault`: `what`, and the reason in one line."""
    try:
        yield
    except LOST as e:
        raise fault(f"{what}: {one_line(e) or type(e).__name__}") from e


def _connected(host: str, port: int, timeout_s: float) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _open_transport(sock: socket.socket, timeout_s: float) -> paramiko.Transport:
    try:
        transport = paramiko.Transport(sock)
    except BaseException:
        sock.close()
        raise
    transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = timeout_s
    return transport


def _close(transport: paramiko.Transport) -> None:
    """Also close the socket, which a transport that was never started leaves open, and end its timer.

    After a failed handshake that runs for 15 s more, and the process with it.
    """
    transport.close()
    transport.sock.close()
    transport.packetizer.complete_handshake()


def greet(host: str, port: int, timeout_s: float) -> paramiko.PKey:
    """The host key that the server proves to own, without a login. InfrastructureError without an answer."""
    with lab_faults(f"{host} port {port}: no SSH server answers"):
        transport = _open_transport(_connected(host, port, timeout_s), timeout_s)
        try:
            transport.start_client(timeout=timeout_s)
            return transport.get_remote_server_key()
        finally:
            _close(transport)


def greeted(host: str, port: int, timeout_s: float) -> socket.socket | None:
    """A connection to the SSH server, its greeting unread; None without a greeting within timeout_s."""
    try:
        sock = _connected(host, port, timeout_s)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        if sock.recv(4, socket.MSG_PEEK) == b"SSH-":
            return sock
    sock.close()
    return None


class Link:
    """An authenticated transport."""

    def __init__(self, address: Address, transport: paramiko.Transport) -> None:
        self.address = address
        self._transport = transport
        self._ended = threading.Event()
        self._ended_why = ""
        threading.Thread(target=self._ping, name=f"ping {address}", daemon=True).start()

    @classmethod
    def dial(cls, address: Address, timeout_s: float, sock: socket.socket | None = None) -> "Link":
        """Connect, check the host key, log in. InfrastructureError on any failure.

        sock: a connection to the SSH server, which is closed with the link; None: TCP
        """
        if address.keyfile is not None:
            host_keys.check_private(address.keyfile)
        with lab_faults(f"{address}: cannot connect", Unanswered):
            stream = sock or _connected(address.host, address.tcp_port, timeout_s)
            transport = _open_transport(stream, timeout_s)
        try:
            _authenticate(transport, address, timeout_s)
        except BaseException:
            _close(transport)
            raise
        return cls(address, transport)

    @property
    def alive(self) -> bool:
        """Whether the transport is connected, as far as known."""
        return bool(self._transport.is_active()) and not self._ended.is_set()

    def check(self) -> None:
        """LinkLost if the transport has ended."""
        if not self.alive:
            why = self._ended_why or one_line(self._transport.get_exception() or "the peer closed it")
            raise LinkLost(f"{self.address}: connection lost ({why}); reconnect() is needed")

    def channel(self) -> paramiko.Channel:
        """A new session channel. paramiko.ChannelException if the server refuses one more."""
        try:
            return self._open()
        except InfrastructureError:
            self.check()
        # dropbear 2022.83 closes a channel that is opened while it reaps another channel's process
        return self._open()

    def _open(self) -> paramiko.Channel:
        self.check()
        try:
            return self._transport.open_session(timeout=CHANNEL_S)
        except paramiko.ChannelException:
            raise
        except LOST as e:
            raise InfrastructureError(f"{self.address}: cannot open a channel: {one_line(e)}") from e

    def close(self) -> None:
        """End the transport; does nothing if it has ended already."""
        self._ended_why = self._ended_why or "closed by the bench"
        self._ended.set()
        self._transport.close()

    def _ping(self) -> None:
        while not self._ended.wait(PING_EVERY_S) and self._transport.is_active():
            watchdog = threading.Timer(SILENT_AFTER_S, self._give_up)
            watchdog.daemon = True
            watchdog.start()
            with contextlib.suppress(*LOST):
                self._transport.global_request("keepalive@openssh.com", wait=True)
            watchdog.cancel()

    def _give_up(self) -> None:
        self._ended_why = f"no answer to a keepalive for {SILENT_AFTER_S:g} s"
        self.close()


def _authenticate(transport: paramiko.Transport, address: Address, timeout_s: float) -> None:
    names = [host_keys.names_of(address.name, address.port), *filter(None, [address.alias])]
    pins = host_keys.pinned(address.known_hosts, names)
    _prefer(transport, pins)
    with lab_faults(f"{address}: SSH handshake failed", Unanswered):
        transport.start_client(timeout=timeout_s)
        key = transport.get_remote_server_key()
    host_keys.check(key, pins, address.known_hosts, address.name, address.port)
    with lab_faults(f"{address}: login refused"):
        if address.keyfile is not None:
            transport.auth_publickey(address.username, _private_key(address.keyfile))
        elif address.password is not None:
            transport.auth_password(address.username, address.password)
        else:
            transport.auth_none(address.username)


def _prefer(transport: paramiko.Transport, pins: list[paramiko.PKey]) -> None:
    """Prefer host keys of the pinned types: a server usually has several."""
    types = {pin.get_name() for pin in pins}
    options = transport.get_security_options()
    families = {k: "ssh-rsa" if k.startswith("rsa-sha2") else k for k in options.key_types}
    options.key_types = tuple(sorted(options.key_types, key=lambda k: families[k] not in types))


def _private_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except (ValueError, TypeError, paramiko.SSHException, OSError) as e:
        raise InfrastructureError(
            f"{path}: invalid private key (needed: OpenSSH format, no passphrase): {one_line(e)}"
        ) from e
