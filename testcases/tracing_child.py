# SPDX-License-Identifier: MIT
"""A process that times notifications until it is ended: `python -m testcases.tracing_child ADDRESS`.

ADDRESS: fields of mpbench.board.session.link.Address as JSON. Prints `ready` once all is set up.
"""

import json
import sys
import threading
from pathlib import Path

from mpbench.board.session.channel import SshProcess
from mpbench.board.session.link import Address, Link
from mpbench.board.session.shell import FramedShell
from mpbench.board.session.shell_protocol import Reply
from mpbench.notification.capabilities import read_facilities
from mpbench.notification.ftrace_session import timing
from mpbench.notification.run import BUCKETS
from testcases.stand_in import StandIn


class Plain(StandIn):
    """Shell and channels of one transport, as SessionDriver has them."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.shell = FramedShell(link)
        self.shell.hello(30.0)

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        return self.shell.execute(command, timeout_s or 60.0)

    def spawn(self, command: str) -> SshProcess:
        return SshProcess(self.link, command)


def main() -> None:
    given = json.loads(sys.argv[1])
    for name in ("known_hosts", "keyfile"):
        given[name] = Path(given[name])
    session = Plain(Link.dial(Address(**given), 30.0))
    with timing(session, read_facilities(session), BUCKETS):
        print("ready", flush=True)
        threading.Event().wait(600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
