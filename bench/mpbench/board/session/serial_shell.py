# SPDX-License-Identifier: MIT
"""SerialShellDriver: commands over a serial console that may lose, change or mix in bytes.

Each reply carries its number, length and SHA-256 (see shell_protocol.py), so damage is detected and the
command is sent again; a command that must not run twice is sent once, and an unknown outcome is reported. For
boards without a network, and for when the network is down. It needs a shell that is logged in (labgrid's
ShellDriver does that), with od and sha256sum.
"""

import re
import time

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory

from mpbench.board.labgrid_decorators import active
from mpbench.board.session import shell_protocol
from mpbench.board.session.labgrid_forms import CommandForms
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError

_FRAME = re.compile(rb"<(\d+ \d+ [0-9a-f]{64} [0-9a-f \r\n]*)>")
SETTLED_AFTER_S = 0.1
LONGEST_LINE = 4000
"""A terminal in canonical mode takes 4095 bytes per line. Ref: termios(3)"""


@target_factory.reg_driver
@attr.s(eq=False)
class SerialShellDriver(CommandForms, Driver):
    """Commands in checked frames over a ConsoleRecorder; stderr is part of stdout.

    try_timeout_s: until a reply counts as lost; tries: how often a command is sent (by run(): once)
    """

    bindings = {"console": "ConsoleRecorder"}  # noqa: RUF012 - labgrid's convention
    _run_options = {"once": True}  # noqa: RUF012

    try_timeout_s: float = attr.ib(default=5.0, converter=float)
    tries: int = attr.ib(default=4, validator=attr.validators.instance_of(int))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._seq = 0

    def get_status(self) -> int:
        """1: a console gives no sign that its shell is gone."""
        return 1

    @active
    def execute(self, command: str, timeout_s: float | None = None, *, once: bool = False) -> Reply:
        """Run a command that may safely run twice, until a reply arrives undamaged.

        once: send it once only. InfrastructureError if no undamaged reply arrives; the command may have run.
        """
        self._seq += 1
        line = shell_protocol.checked_request(self._seq, command)
        if len(line) > LONGEST_LINE:
            raise InfrastructureError(
                f"a command for a serial console has at most {LONGEST_LINE} bytes, not {len(line)}"
            )
        for number in range(1 if once else self.tries):
            if number:  # ^C ends an open quote or a hanging command; the shell drops input right after it
                self.console.write(b"\x03")
                self.console.settle(SETTLED_AFTER_S, timeout=1.0)
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
        self.console.write(b"\x15" + line + b"\n")  # ^U: drop an incomplete line
        while (found := self.console.find(_FRAME, position, deadline - time.monotonic())) is not None:
            reply = shell_protocol.checked_reply(self._seq, b" ".join(found.match[1].split()))
            if reply is not None:
                return reply
            position = found.start + 1
        return None
