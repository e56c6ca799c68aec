# SPDX-License-Identifier: MIT
"""SerialShellDriver: commands over a serial console that may lose, change or mix in bytes.

Each reply carries its number, length and SHA-256 (see frame.py), so a damaged one is noticed, and its
command is sent again; a command that may not run twice is run once and its fate told honestly. For
boards without a network, and for what has to be asked when the network is down. It needs a shell that is
logged in (labgrid's ShellDriver does that), with od and sha256sum.
"""

import re
import time

import attr
from labgrid.driver import Driver
from labgrid.driver.commandmixin import CommandMixin
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol

from mpbench.board.labgrid_decorators import active, stepped
from mpbench.board.session import shell_protocol
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError

_FRAME = re.compile(rb"<(\d+ \d+ [0-9a-f]{64} [0-9a-f \r\n]*)>")
SETTLED_AFTER_S = 0.1
LONGEST_LINE = 4000
"""A terminal in canonical mode takes 4095 bytes per line. Ref: termios(3)"""


@target_factory.reg_driver
@attr.s(eq=False)
class SerialShellDriver(CommandMixin, Driver, CommandProtocol):
    """Commands in checked frames over a ConsoleRecorder; stdout and stderr come as one.

    try_timeout_s: until a reply counts as lost; tries: how often a command is sent
    """

    bindings = {"console": "ConsoleRecorder"}  # noqa: RUF012 - labgrid's convention

    try_timeout_s: float = attr.ib(default=5.0, converter=float)
    tries: int = attr.ib(default=4, validator=attr.validators.instance_of(int))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._seq = 0

    def get_status(self) -> int:
        """1: ready as far as known."""
        return 1

    @active
    def execute(self, command: str, timeout_s: float | None = None, *, once: bool = False) -> Reply:
        """Run a command that may run twice without harm, until a reply arrives whole.

        once: never send it again. InfrastructureError when no reply arrives whole; the command may have run.
        """
        self._seq += 1
        line = shell_protocol.checked_request(self._seq, command)
        if len(line) > LONGEST_LINE:
            raise InfrastructureError(
                f"a command for a serial console has {LONGEST_LINE} bytes at most, not {len(line)}"
            )
        for number in range(1 if once else self.tries):
            if number:
                self._interrupt()
            reply = self._try(line, timeout_s or self.try_timeout_s)
            if reply is not None:
                return reply
        raise InfrastructureError(
            f"console {self.console.name}: no undamaged reply in {1 if once else self.tries} tries to "
            f"{shell_protocol.one_line(command, 120)}"
        )

    def _try(self, line: bytes, timeout_s: float) -> Reply | None:
        deadline = time.monotonic() + timeout_s
        position = self.console.mark()
        self.console.write(b"\x15" + line + b"\n")  # ^U: drop half a line
        while (found := self.console.find(_FRAME, position, deadline - time.monotonic())) is not None:
            reply = shell_protocol.checked_reply(self._seq, b" ".join(found.match[1].split()))
            if reply is not None:
                return reply
            position = found.start + 1
        return None

    def _interrupt(self) -> None:
        """^C ends an open quote, or what hangs; a shell then drops what follows at once, so let it settle."""
        self.console.write(b"\x03")
        self.console.settle(SETTLED_AFTER_S, timeout=1.0)

    @active
    @stepped(args=["cmd"], result=True)
    def run(
        self,
        cmd: str,
        timeout: float | None = None,
        codec: str = "utf-8",
        decodeerrors: str = "surrogateescape",
    ) -> tuple[list[str], list[str], int]:
        """labgrid's form of execute(): lines, no lines of stderr, exit code. Sent once only."""
        return self._run(cmd, timeout=timeout, codec=codec, decodeerrors=decodeerrors)

    def _run(
        self,
        cmd: str,
        *,
        timeout: float | None = None,
        codec: str = "utf-8",
        decodeerrors: str = "surrogateescape",
    ) -> tuple[list[str], list[str], int]:
        reply = self.execute(cmd, timeout, once=True)
        lines = reply.stdout.decode(codec, decodeerrors).split("\n")
        return lines[:-1] if lines[-1] == "" else lines, [], reply.code
