# SPDX-License-Identifier: MIT
"""ConsoleSessionDriver: a session without a network, over the board's serial console.

A shell on the console connects the terminal with the SSH server of the same board, so that all of a session
goes through the UART: commands, files, the kernel's log. SSH numbers and authenticates its packets: a byte
that was lost, changed or inserted ends the session and never becomes part of a result.

While the session is connected, the console records nothing: what arrives is SSH's.
"""

import contextlib
import re
import secrets
import socket
import threading

import attr
import pexpect
from labgrid.factory import target_factory

from mpbench.board.console import ConsoleRecorder
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.link import Address, Link, Unanswered
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError

PRINTK = "/proc/sys/kernel/printk"
CONNECT = (
    "s=$(stty -g); k=; case $(tty) in /dev/pts/*) ;; *) "
    f"k=$(cat {PRINTK}); dmesg -n 1;; esac; "
    "n=$(command -v nc) || n='busybox nc'; stty raw -echo; echo {begin}''{end}; "
    "dd bs=1 count=1 of=/dev/null 2>/dev/null; $n 127.0.0.1 {port}; stty $s; "
    f'[ -z "$k" ] || echo "$k" >{PRINTK}'
)
"""The mark, which the echo of this line does not have, shows that the terminal passes all bytes. The next
byte starts the connection.

Until that ends the kernel prints nothing but a panic: any line would end the session. labgrid's ShellDriver
makes it silent only where it logged in itself. A pseudoterminal has no lines of the kernel.

Ref: dmesg(1), -n; proc(5), /proc/sys/kernel/printk
"""
GO = b"\n"
NO_PACKET = b"\xff" * 64 + b"\n"
"""Ends the connection at the board's end: no packet has that length. Ref: RFC 4253, 6.1"""
QUEUE_BYTES = 4096
"""Bytes that wait for the UART: with more of them a keepalive would wait too long for its answer."""


class Tunnel:
    """A connected socket whose other end is a console.

    socket: for the SSH client, which closes it
    """

    def __init__(self, console: ConsoleRecorder) -> None:
        self._console = console
        self._end, self.socket = socket.socketpair()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
        console.divert(self._receive)
        threading.Thread(target=self._send, name=f"tunnel {console.name}", daemon=True).start()

    def close(self) -> None:
        """The console records again."""
        self._console.divert(None)
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def _receive(self, data: bytes) -> bool:
        """False once the SSH client has ended: what comes then is recorded."""
        try:
            self._end.sendall(data)
        except OSError:
            return False
        return True

    def _send(self) -> None:
        with self._end, contextlib.suppress(OSError):
            while data := self._end.recv(QUEUE_BYTES):
                self._console.send(data)


@target_factory.reg_driver
@attr.s(eq=False)
class ConsoleSessionDriver(SessionDriver):
    """Commands and files over SSH over a serial console, whose shell a ShellDriver logs in to.

    The board needs an SSH server, stty, and nc or busybox. The NetworkService is not connected to: it names
    the user and the host key.
    ssh_port: of the server, on the board's own 127.0.0.1
    """

    unanswered = "the console offers no login"
    bindings = {"networkservice": "NetworkService", "shell": "ShellDriver"}  # noqa: RUF012 - labgrid's convention

    ssh_port: int = attr.ib(default=22, validator=attr.validators.instance_of(int))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._tunnel: Tunnel | None = None
        self._used = False

    def on_deactivate(self) -> None:
        super().on_deactivate()
        self._used = False

    @property
    def _console(self) -> ConsoleRecorder:
        console = self.shell.console
        assert isinstance(console, ConsoleRecorder)
        return console

    def address(self) -> Address:
        """As which user to connect, and through which console."""
        return attr.evolve(super().address(), via=f"console {self._console.name}")

    def _endpoint(self) -> tuple[str, int]:
        return "127.0.0.1", self.ssh_port

    def drop(self) -> None:
        self.target.deactivate(self.shell)

    def wake(self) -> None:
        self.target.activate(self._console)
        self._console.write(b"\r")

    def answers(self, timeout_s: float) -> bool:
        """Whether the console asks for a login, or has a shell's prompt."""
        return self._console.offers(
            re.compile(f"{self.shell.login_prompt}|{self.shell.prompt}".encode()), timeout_s
        )

    def _dial(self, timeout_s: float) -> Link:
        if self._used:  # else labgrid has just activated the shell
            self._log_in()
        self._used = True
        self._tunnel = self._connect_terminal(timeout_s)
        return Link.dial(self.address(), timeout_s, self._tunnel.socket)

    def _log_in(self) -> None:
        self._console.forget()
        self.shell.on_deactivate()
        try:
            self.shell.on_activate()
        except pexpect.TIMEOUT as e:
            raise Unanswered(f"console {self._console.name}: no shell: {one_line(e)}") from e

    def _connect_terminal(self, timeout_s: float) -> Tunnel:
        begin, end = secrets.token_hex(4), secrets.token_hex(4)
        position = self._console.mark()
        self._console.sendline(CONNECT.format(begin=begin, end=end, port=self.ssh_port))
        if self._console.find(re.compile(f"{begin}{end}".encode()), position, timeout_s) is None:
            raise Unanswered(
                f"console {self._console.name}: its shell does not answer within {timeout_s:g} s"
            )
        tunnel = Tunnel(self._console)
        self._console.send(GO)
        return tunnel

    def _close(self) -> None:
        super()._close()
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None
            with contextlib.suppress(OSError, InfrastructureError):
                self._console.send(NO_PACKET)
