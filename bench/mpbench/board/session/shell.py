# SPDX-License-Identifier: MIT
"""A persistent shell on the board, which answers each command in a frame."""

import secrets
import threading
import time

from mpbench.board.session import shell_protocol
from mpbench.board.session.channel import CHUNK, ChannelWaiter
from mpbench.board.session.link import LOST, Link, lab_faults
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import InfrastructureError

LIMIT_BYTES = 64 << 20
"""Most bytes of output of one command."""


class CommandHangs(InfrastructureError):
    """A command did not end by its deadline; its shell can no longer be used."""


class FramedShell:
    """Runs one command at a time over one channel; may be shared between threads.

    kill_target: argument of `kill` that ends the shell and its children
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._limit = LIMIT_BYTES
        self._nonce = secrets.token_hex(16)
        self._lock = threading.RLock()
        self._seq = 0
        self._channel = link.channel()
        self._usable = True
        self._null = False
        self._shared = True
        self.kill_target = ""
        with lab_faults(f"{link.address}: cannot start a shell"):
            self._channel.exec_command(shell_protocol.SHELL_COMMAND)
            self._channel.sendall(shell_protocol.bootstrap(self._nonce))
        self._waiter = ChannelWaiter(self._channel)

    def hello(self, timeout_s: float) -> str:
        """Read the kill target, the kind of stdin, and the board's boot_id, which is returned."""
        reply = self.execute(
            f"{shell_protocol.GROUP}[ -c /proc/$$/fd/0 ] && n=null || n=no; "
            "echo $$ $3 $n; read -r b </proc/sys/kernel/random/boot_id; echo $b",
            timeout_s,
        )
        lines = reply.text.splitlines()
        if len(lines) != 2 or len(lines[0].split()) != 3:
            raise InfrastructureError(
                f"{self._link.address}: no usable shell: {one_line(lines)} {reply.error}"
            )
        pid, group, stdin = lines[0].split()
        self.kill_target = f"-{pid}" if pid == group else pid
        self._null = stdin == "null"
        self._shared = False
        return lines[1]

    @property
    def usable(self) -> bool:
        """Whether the shell still accepts commands."""
        return self._usable and self._link.alive

    @property
    def busy(self) -> bool:
        """Whether another thread is running a command."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return False
        return True

    def execute(self, command: str, timeout_s: float) -> Reply:
        """Run one command; its stdin is empty, and its `cd` and variables have no effect on later ones.

        CommandHangs after timeout_s, LinkLost if the transport ends, InfrastructureError if the shell ends.
        """
        with self._lock:
            self._seq += 1
            headed = self._shared or self._unsolicited() or not shell_protocol.is_plain(command)
            reader = shell_protocol.ReplyReader(self._nonce, self._seq, self._limit, headed=headed)
            try:
                self._send(shell_protocol.request(self._seq, command, headed=headed, null=self._null))
                return self._receive(reader, command, time.monotonic() + timeout_s, timeout_s)
            except BaseException:  # of Ctrl-C too the reply is still to come: it is not the next command's
                self._usable = False
                raise
            finally:
                self._shared = self._shared or shell_protocol.starts_background(command)

    def _unsolicited(self) -> bool:
        """Whether there is output without a command: a background process shares the shell's streams."""
        self._shared = self._channel.recv_ready() or self._channel.recv_stderr_ready()
        return self._shared

    def close(self) -> None:
        """End the shell; a command that still runs must be killed by the caller."""
        self._usable = False
        self._channel.close()

    def _send(self, line: bytes) -> None:
        if not self._usable:
            raise InfrastructureError(f"{self._link.address}: this shell has ended")
        self._link.check()
        try:
            self._channel.sendall(line)
        except LOST as e:
            self._ended("sending a command", e)

    def _receive(
        self, reader: shell_protocol.ReplyReader, command: str, deadline: float, timeout_s: float
    ) -> Reply:
        while True:
            self._waiter.arm()
            ended = self._channel.closed or self._channel.eof_received
            took = self._drain(reader)
            if reader.done:
                return reader.reply
            if ended and not took:
                self._ended(f"running {one_line(command, 120)}", None)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not (took or self._waiter.wait(left_s)):
                raise CommandHangs(
                    f"{self._link.address}: timeout after {timeout_s:g} s: {one_line(command, 120)}"
                )

    def _drain(self, reader: shell_protocol.ReplyReader) -> bool:
        if stdout := self._channel.recv_ready():
            reader.feed_stdout(self._channel.recv(CHUNK))
        if stderr := self._channel.recv_stderr_ready():
            reader.feed_stderr(self._channel.recv_stderr(CHUNK))
        return stdout or stderr

    def _ended(self, doing: str, cause: Exception | None) -> None:
        self._usable = False
        self._link.check()
        raise InfrastructureError(f"{self._link.address}: the shell ended while {doing}") from cause
