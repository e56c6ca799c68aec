# SPDX-License-Identifier: MIT
"""First heartbeat after each boot of a firmware, dated by the board: a watcher writes it to the kernel log.

Reads the trace buffer every 2 ms, without a process per reading.
"""

import contextlib
import re
import secrets
from collections.abc import Iterator

from mpbench.board.protocols import Log, Session
from mpbench.core.errors import InfrastructureError

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
FIRST_BEAT_S = 10.0


@contextlib.contextmanager
def watched(session: Session, kmsg: Log, core: str, trace: str) -> Iterator[None]:
    """Date the first heartbeats of a firmware that runs. trace: path of its debugfs trace file.

    InfrastructureError if the watcher sees no heartbeat.
    """
    mark = kmsg.mark()
    watcher = session.spawn(WATCH.format(tag=secrets.token_hex(4), trace=trace, core=core))
    try:
        if not kmsg.wait_for(re.compile(f"mpbench beat {core} ".encode()), mark, FIRST_BEAT_S):
            raise InfrastructureError(
                f"{core}: the watcher on the board saw no heartbeat in {trace} within {FIRST_BEAT_S:g} s"
            )
        yield
    finally:
        watcher.close()
