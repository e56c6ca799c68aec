# SPDX-License-Identifier: MIT
"""First heartbeat after each boot of a firmware, dated by the board: a watcher writes it to the kernel log.

The watcher reads the trace buffer every 2 ms, without a process per reading, from the kernel's line that the
core is up until the first heartbeat, and only while the core runs. A TEE may firewall the buffer while it
stops, clears and loads the core: a reading then would make it panic.
"""

import contextlib
import re
import secrets
from collections.abc import Iterator

from attrs import frozen

from mpbench.board.protocols import Log, Session
from mpbench.core.errors import InfrastructureError

WATCH = """
f=/tmp/mpbench-{tag}; mkfifo $f && exec 9<>$f; rm -f $f
last=
look() {{
  n=0
  while [ $n -lt {readings} ] && read -r s <{state} && [ "$s" = running ]; do
    n=$((n+1))
    {{ read -r a && read -r a; }} <{trace} 2>/dev/null && set -- $a && [ "$4" != 00000000 ] && [ -n "$4" ] &&
      {{ [ "$2" != "$last" ] || [ -n "{cleared}" ]; }} && last=$2 &&
      echo "<15>mpbench beat {core} $2" >/dev/kmsg && return
    read -r -t 0.002 a <&9 2>/dev/null; [ $? != 2 ] || sleep 0.002
  done
}}
exec 6</dev/kmsg
echo "<15>mpbench watch {tag}" >/dev/kmsg
dd bs=16384 <&6 2>/dev/null |
  {{ grep -q 'mpbench watch {tag}'; exec <&-; echo "<15>mpbench watches {core}" >/dev/kmsg; }}
look
while :; do dd bs=16384 <&6 2>/dev/null; [ $? = 1 ] || exit; done | while read -r line; do
  case $line in *"remote processor {core} is now up"*) look;; esac
done
"""
"""Old records of the kernel log are skipped by grep, as `read` takes a system call per character; the line
after the marker ends its dd. Both dd share a descriptor, and so their place in the log, also after an overrun
(dd then ends with 1). dash has no `read -t`: 2 is its answer."""
READINGS = 500
"""Of a boot without a heartbeat: about two seconds."""
FIRST_BEAT_S = 10.0


@frozen
class Watched:
    """A core whose heartbeats are dated.

    trace, state: paths of its trace buffer in debugfs and of its state in sysfs
    cleared: whether its loader clears the trace buffer at every stop, and so the number of the boot in it
    """

    core: str
    trace: str
    state: str
    cleared: bool = False


@contextlib.contextmanager
def watched(session: Session, kmsg: Log, one: Watched) -> Iterator[None]:
    """Date the first heartbeats of a firmware that runs.

    InfrastructureError if the watcher sees no heartbeat.
    """
    mark = kmsg.mark()
    watcher = session.spawn(
        WATCH.format(
            tag=secrets.token_hex(4),
            trace=one.trace,
            state=one.state,
            core=one.core,
            cleared="1" if one.cleared else "",
            readings=READINGS,
        )
    )
    try:
        if not kmsg.wait_for(re.compile(f"mpbench beat {one.core} ".encode()), mark, FIRST_BEAT_S):
            raise InfrastructureError(
                f"{one.core}: the watcher on the board saw no heartbeat in {one.trace} "
                f"within {FIRST_BEAT_S:g} s"
            )
        yield
    finally:
        watcher.close()
