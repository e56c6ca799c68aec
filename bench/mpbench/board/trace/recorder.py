# SPDX-License-Identifier: MIT
"""Tracing instances of the bench: set up, read, and removed again, also after a run that was killed.

A recorder has one name for all that it sets up: its instance, the group of its kprobes, the prefix of its
synthetic events. A guard on the board waits for the end of the session's channel and removes what has that
name; leftovers of a guard that was killed as well are removed when the next recorder starts.

Ref: Linux Documentation/trace/ftrace.rst (instances, trace_pipe), kprobetrace.rst, histogram.rst (triggers
     are removed in the reverse order of their references)
"""

import secrets
import shlex
from collections.abc import Iterable

from mpbench.board.protocols import RemoteProcess, Session
from mpbench.board.session.shell_protocol import one_line
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import InfrastructureError

PREFIX = "mpb"
SET_UP_S = 120.0

REMOVE_PROBES = f"""
mpb_remove_probes() {{
for k in $(sed -n "s,^.:\\($1/[^ ]*\\) .*,\\1,p" {TRACING}/kprobe_events 2>/dev/null); do
echo "-:$k" >>{TRACING}/kprobe_events; done; }}
"""
"""Shell function: remove all kprobes of a group."""

REMOVE = f"""{REMOVE_PROBES}
mpb_remove() {{
T={TRACING}; for I in $T/instances/$1c $T/instances/$1; do
[ -d $I ] && {{ echo 0 >$I/events/enable
for pass in 1 2 3 4 5 6 7 8 9; do again=
for t in $(grep -l '^[^#]' $I/events/*/*/trigger 2>/dev/null); do
while read -r l; do case $l in \\#*|'') ;;
*) echo "!${{l% [*}}" >$t || again=1;; esac; done <$t; done 2>/dev/null
[ "$again" ] || break; done; rmdir $I; }}; done
mpb_remove_probes $1
for s in $(sed -n "s/^\\(${{1}}_[a-z]*\\)[^a-z].*/\\1/p" $T/synthetic_events 2>/dev/null); do
echo "!$s" >>$T/synthetic_events; done; }}
"""
"""Shell function: remove both instances, kprobes and synthetic events of a name.

Several passes, as triggers refer to each other in an order that their files don't show.
"""

LEFT = f"""
{{ ls {TRACING}/instances | sed 's/c$//'; sed -n 's,^.:\\([^/]*\\)/.*,\\1,p' {TRACING}/kprobe_events
sed 's/_.*//' {TRACING}/synthetic_events; }} 2>/dev/null | sort -u | sed -n '/^{PREFIX}[0-9a-f]*x[0-9]*$/p'
"""
"""Names of recorders that own anything on the board."""

ORPHANS = f"""
for tag in $({LEFT}); do
read -r c 2>/dev/null </proc/${{tag##*x}}/cmdline; case $c in *mpb_guard*) ;; *) mpb_remove $tag;; esac; done
"""
"""Remove the leftovers of guards that have ended: a name ends with the process id of its guard."""

GUARD = f"N={PREFIX}%sx$$; : mpb_guard; sleep 2147483647 | N=$N setsid sh -c %s >/dev/null 2>&1"

REFUSED = f"mpb_refused() {{ cat {TRACING}/error_log {TRACING}/instances/{PREFIX}*/error_log; exit 1; }}\n"

TAKE = "dd if={instance}/trace_pipe bs=65536 count=1"
"""Takes what was recorded out of an instance; waits for the first event if there is none.

By read(2) and without poll(2): a sendfile(2) from trace_pipe, as cat does it, hung Linux 6.12, and poll waits
until half of the buffer is full. To read or clear the file `trace` instead takes the kernel a grace period.
"""


def instance_of(name: str) -> str:
    """Directory of the tracing instance `name`."""
    return f"{TRACING}/instances/{name}"


def append(text: str, path: str) -> str:
    """Command that appends a line to a file of tracefs."""
    return f"echo {shlex.quote(text)} >>{path}"


def enable(instance: str, event: str, condition: str = "") -> str:
    """Command that has an instance record an event, filtered by `condition` if that is not empty."""
    where = f"{instance}/events/{event}"
    return (f"{append(condition, f'{where}/filter')} && " if condition else "") + f"echo 1 >{where}/enable"


class TraceRecorder:
    """One run's tracing on the board, under a name of its own; gone after stop()."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._guard: RemoteProcess | None = None
        self._name = ""

    @property
    def name(self) -> str:
        """Name of the recorder. InfrastructureError if it was not started."""
        if not self._name:
            raise InfrastructureError("the trace recorder is not started")
        return self._name

    @property
    def instance(self) -> str:
        """Directory of the recorder's tracing instance."""
        return instance_of(self.name)

    @property
    def second_instance(self) -> str:
        """Directory of another instance, with a buffer of its own."""
        return f"{self.instance}c"

    def start(self) -> None:
        """Start the guard, which gives the recorder its name."""
        nonce = secrets.token_hex(3)
        clean = f'cat >/dev/null; {REMOVE} mpb_remove "$N"'
        self._guard = self._session.spawn(GUARD % (nonce, shlex.quote(clean)))
        self._name = f"{PREFIX}{nonce}x{self._guard.pid}"

    def set_up(self, commands: Iterable[str]) -> None:
        """Remove leftovers of ended guards, then run the commands up to the first that fails.

        InfrastructureError, with the kernel's error log, if one fails; what was set up is removed then.
        """
        script = " && ".join(f"{{ {command}; }}" for command in commands)
        reply = self._session.execute(f"{REMOVE}{ORPHANS}{REFUSED}{script} || mpb_refused", SET_UP_S)
        if reply.code != 0:
            self.stop()
            words = one_line((reply.stdout + b" " + reply.stderr).decode("utf-8", "replace"), 800)
            raise InfrastructureError(f"the board's kernel refuses the trace's set-up: {words}")

    def stop(self) -> None:
        """Remove everything of this recorder, then end the guard. InfrastructureError if anything is left."""
        if self._name:
            name, self._name = self._name, ""
            reply = self._session.execute(f"{REMOVE} mpb_remove {name}; {LEFT}", SET_UP_S)
            if name in reply.text.split():
                raise InfrastructureError(
                    f"tracing of this run can't be removed from the board: {name}: {reply.error}"
                )
        if self._guard is not None:
            self._guard.close()
            self._guard = None


def leftovers(session: Session) -> list[str]:
    """Names of all recorders, of this run or others, that own anything on the board."""
    return session.execute(LEFT).text.split()
