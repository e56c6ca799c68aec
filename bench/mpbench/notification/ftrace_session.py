# SPDX-License-Identifier: MIT
"""Times notifications on the board, and leaves nothing there: not even when this process is killed.

The kernel counts by itself (see latencyplan), so nothing is moved per sample. A guard on the board waits
for the end of our channel and removes what is ours; what a guard left behind as well goes at the next start.

Ref: Linux Documentation/trace/histogram.rst (triggers go in the reverse order of their references)
"""

import contextlib
import secrets
import shlex
from collections.abc import Iterator, Sequence

from mpbench.board.protocols import RemoteProcess, Session
from mpbench.board.session.shell_protocol import one_line
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import InfrastructureError
from mpbench.notification.capabilities import Facilities
from mpbench.notification.ftrace_plan import CLOCK, Plan, Recorded, Trigger, plan

PREFIX = "mpb"
SET_UP_S = 120.0
BUFFER_KIB = 8192
CONTEXT_KIB = 8
"""Per CPU, for what ran while the slowest notification waited: some 300 events, of an idle board 50 ms."""

REMOVE = f"""
mpb_remove() {{
T={TRACING}; for I in $T/instances/$1c $T/instances/$1; do
[ -d $I ] && {{ echo 0 >$I/events/enable
for pass in 1 2 3 4 5 6 7 8 9; do again=
for t in $(grep -l '^[^#]' $I/events/*/*/trigger 2>/dev/null); do
while read -r l; do case $l in \\#*|'') ;;
*) echo "!${{l% [*}}" >$t || again=1;; esac; done <$t; done 2>/dev/null
[ "$again" ] || break; done; rmdir $I; }}; done
for k in $(sed -n "s,^.:\\($1/[^ ]*\\) .*,\\1,p" $T/kprobe_events 2>/dev/null); do
echo "-:$k" >>$T/kprobe_events; done
for s in $(sed -n "s/^\\(${{1}}_[a-z]*\\)[^a-z].*/\\1/p" $T/synthetic_events 2>/dev/null); do
echo "!$s" >>$T/synthetic_events; done; }}
"""
"""Shell function: remove both instances, probes and synthetic events of a tag.

Several passes, as triggers refer to each other in an order that their files don't tell.
"""

LEFT = f"""
{{ ls {TRACING}/instances | sed 's/c$//'; sed -n 's,^.:\\([^/]*\\)/.*,\\1,p' {TRACING}/kprobe_events
sed 's/_.*//' {TRACING}/synthetic_events; }} 2>/dev/null | sort -u | sed -n '/^{PREFIX}[0-9a-f]*x[0-9]*$/p'
"""
"""Tags that something on the board belongs to."""

ORPHANS = f"""
for tag in $({LEFT}); do
read -r c 2>/dev/null </proc/${{tag##*x}}/cmdline; case $c in *mpb_guard*) ;; *) mpb_remove $tag;; esac; done
"""
"""Remove what belongs to no living guard: the number behind the x is its process id."""

GUARD = f"N={PREFIX}%sx$$; : mpb_guard; sleep 2147483647 | N=$N setsid sh -c %s >/dev/null 2>&1"


class LatencyTrace:
    """Histograms and, if they are wanted, records of the events themselves.

    moved: bytes that were read from the board since `start`
    context_recorded: what else ran is recorded whole, beside the events
    """

    def __init__(self, session: Session, found: Facilities, bands: Sequence[tuple[int, int, int]]) -> None:
        self._session = session
        self._found = found
        self._counting = self._snapshots = False
        self.context_recorded = False
        self._bands = tuple(bands)
        self._guard: RemoteProcess | None = None
        self.plan: Plan | None = None
        self.moved = 0

    @property
    def instance(self) -> str:
        """Directory of our tracing instance."""
        return f"{TRACING}/instances/{self._plan.tag}"

    @property
    def context(self) -> str:
        """Directory of the instance that records what else ran; it is there only if that is wanted."""
        return f"{self.instance}c"

    @property
    def _instances(self) -> tuple[str, ...]:
        return (self.instance, self.context) if self.context_recorded else (self.instance,)

    @property
    def _plan(self) -> Plan:
        if self.plan is None:
            raise InfrastructureError("the latency trace is not set up")
        return self.plan

    def start(self, *, count: bool = True, record: bool = False, context: bool = True) -> None:
        """Set up. InfrastructureError if the kernel refuses.

        count: histograms in the kernel; record: events into the ring buffer
        context: with what else runs, as far as the kernel can tell; without `record` only the last of it is
        kept, for a snapshot of the slowest notification
        """
        nonce = secrets.token_hex(3)
        clean = f'cat >/dev/null; {REMOVE} mpb_remove "$N"'
        self._guard = self._session.spawn(GUARD % (nonce, shlex.quote(clean)))
        self.plan = plan(self._found, f"{PREFIX}{nonce}x{self._guard.pid}", self._bands)
        self.moved, self._counting = 0, count
        self._snapshots = count and context and not record
        self.context_recorded = record and context and bool(self.plan.context)
        self._do(REMOVE + ORPHANS + self._set_up(count, record))

    def _set_up(self, count: bool, record: bool) -> str:
        p, events = self._plan, f"{self.instance}/events"
        lines = [f"mkdir {self.instance}", f"echo {CLOCK} >{self.instance}/trace_clock"]
        lines += [_put(f"{TRACING}/kprobe_events", text) for text in p.probes]
        if count:
            lines += [_put(f"{TRACING}/synthetic_events", text) for text in p.synthetic]
            lines += [_put(f"{events}/{t.event}/trigger", t.text) for t in p.triggers]
        if record:
            lines += self._recording(self.instance, BUFFER_KIB, p.recorded)
        if self.context_recorded or self._worst:
            lines += [f"mkdir {self.context}", f"echo {CLOCK} >{self.context}/trace_clock"]
            lines += self._recording(self.context, BUFFER_KIB if record else CONTEXT_KIB, p.context)
        if self._worst:
            lines.append(_put(f"{self.context}/events/{self._worst.event}/trigger", self._worst.text))
        return REFUSES + " && ".join(f"{{ {line}; }}" for line in lines) + " || mpb_refused"

    @staticmethod
    def _recording(instance: str, kib: int, recorded: Sequence[Recorded]) -> Iterator[str]:
        yield f"echo {kib} >{instance}/buffer_size_kb"
        for event in recorded:
            if event.condition:
                yield _put(f"{instance}/events/{event.event}/filter", event.condition)
            yield f"echo 1 >{instance}/events/{event.event}/enable"

    def _do(self, script: str) -> None:
        reply = self._session.execute(script, SET_UP_S)
        if reply.code != 0:
            self.stop()
            words = one_line((reply.stdout + b" " + reply.stderr).decode("utf-8", "replace"), 800)
            raise InfrastructureError(f"the board's kernel refuses to trace notifications: {words}")

    def read(self, *, durations: bool = True, anew: bool = False, halt: bool = False) -> bytes:
        """All counts and, if wanted, durations, compressed; see mpbench.notification.parse.

        anew: the record of events begins, and is empty when the counts are read; halt: it ends right after
        """
        p, events = self._plan, f"{self.instance}/events"
        counted = [t for t in p.triggers if t.counts] if self._counting else []
        forget = [f"echo >{i}/trace; echo 1 >{i}/tracing_on" for i in self._instances if anew]
        parts = forget + [f"echo '@@ {t.role}'; cat {events}/{t.event}/hist" for t in counted]
        if durations and self._counting:
            parts.append(f"echo '@@ durations'; cat {events}/synthetic/{p.tag}_n/hist")
        parts.append(f"echo '@@ missed'; grep ' {p.tag}/\\| {p.tag}_' {TRACING}/kprobe_profile")
        off = [f"echo 0 >{i}/tracing_on" for i in self._instances if halt]
        last = "; ".join([*off, "b=$(cat /proc/interrupts)"] if halt else [":"])
        script = QUIETLY.format(parts="; ".join(parts), line=self._found.line, last=last)
        reply = self._session.execute(script, SET_UP_S)
        self.moved += len(reply.stdout)
        if reply.code != 0:
            raise InfrastructureError(f"histograms can't be read: {reply.error}")
        return reply.stdout

    def worst(self) -> bytes:
        """What was recorded when the slowest notification since the last call ended, compressed; and go on.

        b"" where the kernel takes no snapshots; see mpbench.notification.cpu_activity.of_snapshot.
        """
        if self._worst is None:
            return b""
        where, text = f"{self.context}/events/{self._worst.event}", self._worst.text
        script = WORST.format(instance=self.context, where=where, text=text)
        reply = self._session.execute(script, SET_UP_S)
        self.moved += len(reply.stdout)
        if reply.code != 0:
            raise InfrastructureError(f"no snapshot of the slowest notification can be taken: {reply.error}")
        return reply.stdout

    @property
    def _worst(self) -> Trigger | None:
        """None for a record of everything: a snapshot takes away what was recorded until then."""
        return self._plan.worst if self._snapshots else None

    def stop(self) -> None:
        """Remove everything of ours, and say so if something stays."""
        if self.plan is not None:
            tag, self.plan = self.plan.tag, None
            reply = self._session.execute(f"{REMOVE} mpb_remove {tag}; {LEFT}", SET_UP_S)
            if tag.encode() in reply.stdout.split():
                raise InfrastructureError(
                    f"tracing of this run can't be removed from the board: {tag}: {reply.error}"
                )
        if self._guard is not None:
            self._guard.close()
            self._guard = None


QUIETLY = r"""
for n in 1 2 3 4 5 6 7 8 9; do a=$(cat /proc/interrupts); x=$({parts}); b=$(cat /proc/interrupts)
[ "$(echo "$a" | grep {line})" = "$(echo "$b" | grep {line})" ] && break; x=; done; {last}
{{ echo '@@ interrupts'; echo "$a"; echo "$x"; echo '@@ interrupts'; echo "$b"; }} |
sed 's/^{{ \(.*\) }} hitcount: */=\1=/;/^=/{{s/-[0-9]*=/=/;s/ //g;}}' | gzip -c
"""
"""Reads again, on the board, when a notification came meanwhile: the numbers have to be of one moment.

What can't be used is not sent, and rows are sent short: `=cpu:1,total:~58624=2`.
"""

WORST = """
v=$(grep 'triggering value' {where}/hist); echo '!{text}' >>{where}/trigger
{{ echo "$v"; cat {instance}/snapshot; }} |
sed 's/ prev_prio=.* ==>/ ==>/;s/ next_prio=.*//;s/ param=.*/ /' | gzip -c
echo 2 >{instance}/snapshot; echo '{text}' >>{where}/trigger
"""
"""The trigger goes first, so that no later snapshot takes the place of the one that is read, and comes anew:
it has forgotten how slow the slowest was. What can't be used is not sent."""

REFUSES = f"mpb_refused() {{ cat {TRACING}/error_log {TRACING}/instances/{PREFIX}*/error_log; exit 1; }}\n"


def _put(path: str, text: str) -> str:
    return f"echo {shlex.quote(text)} >>{path}"


def leftovers(session: Session) -> list[str]:
    """Tags that something on the board belongs to, whoever left it."""
    return session.execute(LEFT).stdout.decode("ascii", "backslashreplace").split()


@contextlib.contextmanager
def timing(
    session: Session,
    found: Facilities,
    bands: Sequence[tuple[int, int, int]],
    *,
    count: bool = True,
    record: bool = False,
    context: bool = True,
) -> Iterator[LatencyTrace]:
    """A latency trace that is gone afterwards."""
    trace = LatencyTrace(session, found, bands)
    try:
        trace.start(count=count, record=record, context=context)
        yield trace
    finally:
        trace.stop()
