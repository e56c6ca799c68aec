# SPDX-License-Identifier: MIT
"""A command on an SSH channel of its own: it may hang or print without end while others run."""

import secrets
import threading
import time

import paramiko

from mpbench.board.session.link import LOST, Link, lab_faults
from mpbench.board.session.shell_protocol import Reply, lifeline_command, one_line
from mpbench.core.errors import InfrastructureError

CHUNK = 65536
STDERR_KEPT = 65536
LIMIT_BYTES = 256 << 20
"""Most bytes of output of a command with a channel of its own."""
GREETING_BYTES = 1 << 20
"""Most bytes that a login shell prints before it."""
START_S = 10.0


class ChannelWaiter:
    """Waits for bytes on either stream of a channel; paramiko uses it as the event of both.

    Channel.fileno() would serve too, but its two halves race and sometimes lose a wake-up.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._event = threading.Event()
        channel.in_buffer.set_event(self)  # type: ignore[arg-type]
        channel.in_stderr_buffer.set_event(self)  # type: ignore[arg-type]

    def set(self) -> None:
        """Called by paramiko: bytes arrived, or the stream ended."""
        self._event.set()

    def clear(self) -> None:
        """Called by paramiko: one stream is empty. The other may not be, so this does nothing; see arm()."""

    def arm(self) -> None:
        """Called by the reader before it checks both streams."""
        self._event.clear()

    def wait(self, timeout_s: float) -> bool:
        """False if nothing arrived since arm() within timeout_s."""
        return self._event.wait(timeout_s)


class RemoteCommand:
    """A running command; both streams are read as they arrive. For one thread."""

    def __init__(self, link: Link, command: str) -> None:
        self._link = link
        self._command = command
        self._stderr = bytearray()
        self._channel = link.channel()
        self._waiter = ChannelWaiter(self._channel)
        with lab_faults(f"{link.address}: cannot start {one_line(command, 120)}"):
            self._channel.exec_command(command)

    def read(self, deadline: float) -> bytes:
        """Next bytes of stdout; empty at its end. InfrastructureError past the deadline (time.monotonic)."""
        while True:
            self._waiter.arm()
            ended = self._channel.closed or self._channel.eof_received
            self._take_stderr()
            if self._channel.recv_ready():
                return self._channel.recv(CHUNK)
            if ended:
                return b""
            if not self._waiter.wait(max(0.0, deadline - time.monotonic())):
                raise InfrastructureError(f"{self._link.address}: timeout: {one_line(self._command, 120)}")

    def _take_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            data = self._channel.recv_stderr(CHUNK)
            self._stderr += data[: max(0, STDERR_KEPT - len(self._stderr))]

    def feed(self, data: bytes, deadline: float) -> None:
        """Send `data` and the end of stdin. If the command stops reading, finish() returns its reply."""
        self._channel.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            self._channel.sendall(data)
            self._channel.shutdown_write()
        except TimeoutError as e:
            raise InfrastructureError(
                f"{self._link.address}: timeout while sending data to {one_line(self._command, 120)}"
            ) from e
        except LOST:
            self._link.check()

    def finish(self, deadline: float) -> Reply:
        """The rest of its output, and its exit code. InfrastructureError if it ended without one."""
        out = bytearray()
        while data := self.read(deadline):
            out += data
            self.check_size(len(out), LIMIT_BYTES)
        self._channel.status_event.wait(max(0.0, deadline - time.monotonic()))
        self._take_stderr()
        code = self._channel.exit_status
        if code < 0:
            self._link.check()
            raise InfrastructureError(
                f"{self._link.address}: ended without an exit code: {one_line(self._command, 120)}"
            )
        return Reply(code, bytes(out), bytes(self._stderr))

    def check_size(self, size_bytes: int, limit_bytes: int) -> None:
        """InfrastructureError if the command has printed more than that; it is ended."""
        if size_bytes > limit_bytes:
            self.close()
            what = f"more than {limit_bytes} bytes of output: {one_line(self._command, 120)}"
            raise InfrastructureError(f"{self._link.address}: {what}")

    def close(self) -> None:
        """Close the channel; a command under a lifeline is killed with it."""
        self._channel.close()


class SshProcess:
    """A command under a lifeline: it and its children are killed when the channel closes.

    pid: process id of its shell on the board.
    """

    def __init__(self, link: Link, command: str) -> None:
        self._nonce = secrets.token_hex(16).encode()
        self._remote = RemoteCommand(link, lifeline_command(command, self._nonce.decode()))
        deadline, after = time.monotonic() + START_S, b""
        head = b""
        while b"\n" not in after:
            if not (data := self._remote.read(deadline)):
                raise InfrastructureError(f"{link.address}: did not start: {one_line(command, 120)}")
            head += data
            self._remote.check_size(len(head), GREETING_BYTES + CHUNK)
            after = head.partition(self._nonce + b" ")[2]
        pid, _, self._rest = after.partition(b"\n")
        self.pid = int(pid)

    def read(self, timeout_s: float) -> bytes:
        """Next bytes of stdout; empty at its end. InfrastructureError if none arrive within timeout_s."""
        rest, self._rest = self._rest, b""
        return rest or self._remote.read(time.monotonic() + timeout_s)

    def finish(self, timeout_s: float) -> Reply:
        """The rest of stdout, stderr (its first 64 KiB) and the exit code."""
        rest, self._rest = self._rest, b""
        reply = self._remote.finish(time.monotonic() + timeout_s)
        _, _, stderr = reply.stderr.partition(self._nonce + b"\n")
        return Reply(reply.code, rest + reply.stdout, stderr)

    def close(self) -> None:
        """Kill it."""
        self._remote.close()
