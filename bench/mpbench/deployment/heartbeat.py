# SPDX-License-Identifier: MIT
"""The first beat of every life of a firmware, dated by the board: a watcher writes it into the kernel log.

Looks at the trace buffer every 2 ms, without a process per look.
"""

import contextlib
import re
import secrets
from collections.abc import Iterator
from typing import Protocol

from mpbench.board.session.channel import Spawned
from mpbench.core.errors import LabFault

WATCH = """
f=/tmp/mpbench-{tag}; mkfifo $f && exec 9<>$f; rm -f $f
last=
while :; do
  {{ read -r a && read -r a; }} <{trace} 2>/dev/null && set -- $a &&
    [ "$2" != "$last" ] && [ "$4" != 00000000 ] && [ -n "$4" ] && last=$2 &&
    echo "<15>mpbench beat {core} $2" >/dev/kmsg
  read -r -t 0.002 a <&9
done
"""
FIRST_S = 10.0


class Spawns(Protocol):
    """What is needed of a session."""

    def spawn(self, command: str) -> Spawned:
        """Start a command that dies with its channel."""


class Waits(Protocol):
    """What is needed of the kernel log."""

    def mark(self) -> int:
        """Position of what will come."""

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> object:
        """Whether the log matched in time."""


@contextlib.contextmanager
def watched(session: Spawns, kmsg: Waits, core: str, trace: str) -> Iterator[None]:
    """Have the beats of a running firmware dated. trace: path of its debugfs trace file.

    LabFault if the watcher does not see it beat.
    """
    mark = kmsg.mark()
    watcher = session.spawn(WATCH.format(tag=secrets.token_hex(4), trace=trace, core=core))
    try:
        if not kmsg.wait_for(re.compile(f"mpbench beat {core} ".encode()), mark, FIRST_S):
            raise LabFault(f"{core}: the watcher on the board sees no beat in {trace} within {FIRST_S:g} s")
        yield
    finally:
        watcher.close()
