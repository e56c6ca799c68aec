# SPDX-License-Identifier: MIT
"""ConsoleRecorder: the only reader of a UART, for the whole run; labgrid's console drivers bind to it.

labgrid logs console bytes only while some driver reads them, and its expect searches the whole buffer
again at every byte. Here a thread stores every byte, and waiting callers wake when bytes arrive.
"""

import contextlib
import os
import re
import select
import socket
import string
import threading
from collections.abc import Callable, Sequence
from typing import Any

import attr
import pexpect
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import ConsoleProtocol
from pexpect.spawnbase import SpawnBase

from mpbench.board.byte_log import ByteLog, LogMatch
from mpbench.board.labgrid_decorators import active, stepped
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError, UsageError

CHUNK = 65536
REOPEN_EVERY_S = 0.2
REOPEN_S = 5.0
KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3))
"""Seconds without a byte until the peer is probed, seconds between probes, probes that may be lost: tcp(7)"""
WINDOW = 8 << 20
"""expect() searches at most this many bytes; older ones are skipped there, and stay in the log."""


@target_factory.reg_driver
@attr.s(eq=False)
class ConsoleRecorder(Driver, ConsoleProtocol):
    """Records all bytes of a UART; bind it to a SerialDriver by name, and ShellDriver and UBootDriver to it.

    losses: position and reason of every loss of the connection to the UART: bytes may be missing there
    away:   why the connection is lost at present, "" while there is one
    """

    bindings = {"port": Driver.NamedBinding(ConsoleProtocol)}  # noqa: RUF012 - labgrid's convention
    priorities = {ConsoleProtocol: 10}  # noqa: RUF012 - labgrid's convention

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._log = ByteLog(f"console {self.name}")
        self._compiler = SpawnBase()
        self._cursor = 0
        self._sink: Callable[[bytes], bool] | None = None
        self._reader: threading.Thread | None = None
        self._stop = threading.Event()
        self._wake_read, self._wake_write = -1, -1
        self._reopen_wanted = threading.Event()
        self._connected = threading.Event()
        self.losses: list[tuple[int, str]] = []
        self.away = ""

    def on_activate(self) -> None:
        self._stop.clear()
        self._detect_dead_peer()
        self._wake_read, self._wake_write = os.pipe()
        self._reader = threading.Thread(target=self._pump, name=f"console {self.name}", daemon=True)
        self._reader.start()

    def on_deactivate(self) -> None:
        self._stop.set()
        os.write(self._wake_write, b"x")
        if self._reader is not None:
            self._reader.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def resolve_conflicts(self, client: Driver) -> None:
        """Only one driver at a time uses this console, as with labgrid's SerialDriver."""
        for other in self.clients:
            if other is not client:
                self.target.deactivate(other)

    def mark(self) -> int:
        """Position of the next byte."""
        return self._log.mark()

    def since(self, mark: int, until: int | None = None) -> bytes:
        """All bytes from `mark` to `until` (default: now)."""
        return self._log.since(mark, until)

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> LogMatch | None:
        """First match from `mark` on, None if there is none within deadline_s."""
        return self._log.find(pattern, mark, deadline_s)

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> bool:
        """Whether the console from `mark` on matched before the deadline."""
        return self.find(pattern, mark, deadline_s) is not None

    def offers(self, pattern: re.Pattern[bytes], deadline_s: float) -> bool:
        """Whether expect() would match before the deadline; it still does afterwards."""
        return self.find(pattern, self._cursor, deadline_s) is not None

    def divert(self, sink: Callable[[bytes], bool] | None) -> None:
        """Ask `sink` from now on whether it takes what arrives; only the rest is recorded. None: all is."""
        self._sink = sink

    def send(self, data: bytes) -> None:
        """As write(), for another thread than the main one; OSError if it fails."""
        self.port._write(data)

    def forget(self) -> None:
        """Have read() and expect() skip what has been received so far; it stays in the log."""
        self._cursor = self._log.mark()

    def reopen(self) -> None:
        """Connect anew, within REOPEN_S; what the old connection still carries is dropped."""
        self._connected.clear()
        self._reopen_wanted.set()
        os.write(self._wake_write, b"x")
        self._connected.wait(REOPEN_S)

    def discard(self) -> None:
        """Release the log at the end of the run."""
        self._log.close()

    @active
    def read(self, size: int = 1, timeout: float = 0.0, max_size: int | None = None) -> bytes:
        """Bytes not read yet, at least one; pexpect.TIMEOUT if none arrive within timeout (seconds)."""
        self._log.await_beyond(self._cursor + size - 1, timeout)
        data = self._log.since(self._cursor, min(self._log.mark(), self._cursor + (max_size or CHUNK)))
        if not data:
            raise pexpect.TIMEOUT(f"console {self.name}: no bytes within {timeout:.2f} s")
        self._cursor += len(data)
        return data

    @active
    @stepped(args=["data"])
    def write(self, data: bytes) -> int:
        """Send to the board, at the pace that the SerialDriver is configured for."""
        try:
            return int(self.port.write(data))
        except OSError as e:
            raise InfrastructureError(f"console {self.name}: write failed: {one_line(e)}") from e

    @active
    def sendline(self, line: str) -> None:
        """Send a line and a newline."""
        self.write(line.encode("utf-8") + b"\n")

    @active
    def sendcontrol(self, char: str) -> None:
        """Send Ctrl + a letter."""
        if len(char) != 1 or char.lower() not in string.ascii_lowercase:
            raise UsageError(f"no control character for {char!r}: expected a letter")
        self.write(bytes([string.ascii_lowercase.index(char.lower()) + 1]))

    @active
    @stepped(args=["pattern"], result=True)
    def expect(self, pattern: Any, timeout: float = -1) -> tuple[int, bytes, Any, Any]:
        """Wait for the first of some patterns; index, bytes before it, match, matched bytes.

        pattern: str, bytes, compiled, pexpect.TIMEOUT, pexpect.EOF, or a list of these
        timeout: seconds; -1 for 30. Without pexpect.TIMEOUT among the patterns it is raised.
        """
        compiled = self._compiler.compile_pattern_list(pattern)
        searched = [p for p in compiled if p not in (pexpect.TIMEOUT, pexpect.EOF)]
        start = max(self._cursor, self._log.mark() - WINDOW)

        def first(data: bytes) -> re.Match[bytes] | None:
            """The leftmost match, then the list's order, as in pexpect."""
            return min(filter(None, (p.search(data) for p in searched)), key=re.Match.start, default=None)

        found = self._log.search(first, start, 30.0 if timeout == -1 else timeout, WINDOW)
        if found is None:
            return self._timed_out(compiled, timeout)
        before = self._log.since(max(start, found.end - WINDOW), found.start)
        self._cursor = found.end
        return compiled.index(found.match.re), before, found.match, found.match.group()

    def _timed_out(self, compiled: Sequence[Any], timeout: float) -> tuple[int, bytes, Any, Any]:
        before = self._log.since(max(self._cursor, self._log.mark() - WINDOW))
        if pexpect.TIMEOUT in compiled:
            return compiled.index(pexpect.TIMEOUT), before, pexpect.TIMEOUT, pexpect.TIMEOUT
        raise pexpect.TIMEOUT(
            f"console {self.name}: no match in {timeout:g} s for {one_line([p.pattern for p in compiled])}; "
            f"last bytes: {one_line(before[-200:])}"
        )

    @active
    def settle(self, quiet_time: float, timeout: float = 120.0) -> bool:
        """Skip output until there is none for quiet_time; False if that takes more than timeout (seconds)."""
        give_up = threading.Event()
        timer = threading.Timer(timeout, give_up.set)
        timer.daemon = True
        timer.start()
        try:
            while not give_up.is_set():
                self.forget()
                if not self._log.await_beyond(self._cursor, quiet_time):
                    return True
            return False
        finally:
            timer.cancel()

    def _pump(self) -> None:
        while not self._stop.is_set():
            try:
                if self._reopen_wanted.is_set():
                    self._reopen_wanted.clear()
                    raise OSError("a marker did not arrive")
                data = self._take()
            except (OSError, ValueError, TypeError) as e:  # what pyserial's variants raise for a lost port
                self._reopen(e)
            else:
                sink = self._sink
                if sink is None or not sink(data):
                    self._log.append(data)

    def _take(self) -> bytes:
        """Next bytes, straight from the descriptor where there is one: SerialDriver reads byte by byte."""
        try:
            descriptor = self.port.serial.fileno()
        except (AttributeError, NotImplementedError, OSError):
            with contextlib.suppress(pexpect.TIMEOUT):
                return bytes(self.port._read(size=1, timeout=0.1, max_size=CHUNK))
            return b""
        ready, _, _ = select.select([descriptor, self._wake_read], [], [])
        if self._wake_read in ready:
            os.read(self._wake_read, 1)
            return b""
        data = os.read(descriptor, CHUNK)
        if not data:
            raise OSError("the other end closed the connection")
        return data

    def _reopen(self, why: Exception) -> None:
        """Log that the UART's connection is lost, and reopen it until that succeeds or recording stops."""
        self.away = one_line(why)
        self.losses.append((self._log.mark(), self.away))
        self.logger.warning("console %s lost (%s): reopening", self.name, self.away)
        while not self._stop.wait(REOPEN_EVERY_S):
            with contextlib.suppress(OSError, ValueError):
                connection = self._connection()
                self.port.close()
                if connection is not None:
                    connection.close()  # pyserial does not close a socket whose peer has closed it
                self.port.open()
                self._detect_dead_peer()
                self.away = ""
                self._connected.set()
                return

    def _connection(self) -> socket.socket | None:
        """The socket of a raw TCP port; None for any other port."""
        return getattr(getattr(self.port, "serial", None), "_socket", None)

    def _detect_dead_peer(self) -> None:
        """A terminal server without power is as silent as a quiet one: have the kernel probe it."""
        connection = self._connection()
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
