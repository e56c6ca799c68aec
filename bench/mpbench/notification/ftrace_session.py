# SPDX-License-Identifier: MIT
"""Time notifications on the board by histograms of its kernel (see ftrace_plan): nothing is moved per sample.

Ref: Linux Documentation/trace/histogram.rst, ftrace.rst (snapshot)
"""

import contextlib
from collections.abc import Iterator, Sequence

from mpbench.board.protocols import Session
from mpbench.board.trace.recorder import SET_UP_S, TraceRecorder, append, enable
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import InfrastructureError
from mpbench.notification.capabilities import Facilities
from mpbench.notification.ftrace_plan import CLOCK, FtracePlan, Recorded, plan

BUFFER_KIB = 8192
CONTEXT_KIB = 8
"""Per CPU, for CPU activity during the slowest notification: some 300 events, 50 ms of an idle board."""


class FtraceSession:
    """Histograms and, if wanted, recordings of the events themselves.

    moved: bytes that were read from the board since `start`
    context_recorded: all CPU activity is recorded beside the events, in an instance of its own
    """

    def __init__(self, session: Session, found: Facilities, bands: Sequence[tuple[int, int, int]]) -> None:
        self._session = session
        self._found = found
        self._recorder = TraceRecorder(session)
        self._counting = self._snapshots = False
        self.context_recorded = False
        self._bands = tuple(bands)
        self._plan: FtracePlan | None = None
        self.moved = 0

    @property
    def instance(self) -> str:
        """Directory of the tracing instance."""
        return self._recorder.instance

    @property
    def context(self) -> str:
        """Directory of the instance that records CPU activity; it exists only if that is wanted."""
        return self._recorder.second_instance

    @property
    def _instances(self) -> tuple[str, ...]:
        return (self.instance, self.context) if self.context_recorded else (self.instance,)

    def _of_each(self, command: str) -> str:
        """A command of the board's shell on each instance, whose directory is its `{i}`."""
        return "; ".join(command.format(i=instance) for instance in self._instances)

    @property
    def plan(self) -> FtracePlan:
        """What is set up on the board. InfrastructureError if nothing is."""
        if self._plan is None:
            raise InfrastructureError("the tracing of notifications is not set up")
        return self._plan

    def start(self, *, count: bool = True, record: bool = False, context: bool = True) -> None:
        """Set up. InfrastructureError if the kernel refuses.

        count: histograms in the kernel; record: events into the ring buffer
        context: with CPU activity, as far as the kernel can record it; without `record` only the last of it
        is kept, for a snapshot of the slowest notification
        """
        self._recorder.start()
        p = plan(self._found, self._recorder.name, self._bands)
        self.moved, self._counting = 0, count
        self._snapshots = count and context and not record
        self.context_recorded = record and context and bool(p.context)
        self._recorder.set_up(self._set_up(p, count, record))
        self._plan = p

    def _set_up(self, p: FtracePlan, count: bool, record: bool) -> Iterator[str]:
        events, worst = f"{self.instance}/events", p.worst if self._snapshots else None
        yield from (f"mkdir {self.instance}", f"echo {CLOCK} >{self.instance}/trace_clock")
        yield from (append(text, f"{TRACING}/kprobe_events") for text in p.probes)
        if count:
            yield from (append(text, f"{TRACING}/synthetic_events") for text in p.synthetic)
            yield from (append(t.text, f"{events}/{t.event}/trigger") for t in p.triggers)
        if record:
            yield from _record(self.instance, BUFFER_KIB, p.recorded)
        if self.context_recorded or worst:
            yield from (f"mkdir {self.context}", f"echo {CLOCK} >{self.context}/trace_clock")
            yield from _record(self.context, BUFFER_KIB if record else CONTEXT_KIB, p.context)
        if worst:
            yield append(worst.text, f"{self.context}/events/{worst.event}/trigger")

    def read(self, *, durations: bool = True, restart: bool = False, halt: bool = False) -> bytes:
        """All counts and, if wanted, durations, compressed; see mpbench.notification.parse.

        restart: empty the recording and start it before the counts are read; halt: stop it right after
        """
        p, events = self.plan, f"{self.instance}/events"
        wanted = {t.event: t.role for t in p.triggers if t.counts} if self._counting else {}
        if durations and self._counting:
            wanted[f"synthetic/{p.tag}_n"] = "durations"
        files = [f"{events}/{event}/hist" for event in wanted]
        names = "".join(f"s#^==> .*/{event}/hist <==$#@@ {label}#;" for event, label in wanted.items())
        script = CONSISTENT.format(
            line=self._found.line,
            restart=self._of_each("echo >{i}/trace; echo 1 >{i}/tracing_on") if restart else ":",
            files=" ".join([*files, PROFILE, "/dev/null"]),
            last=self._of_each("echo 0 >{i}/tracing_on") + "; b=$(counts)" if halt else ":",
            names=names,
            tag=p.tag,
            lines=LINES,
        )
        return self._compressed(script, "histograms can't be read")

    def worst(self) -> bytes:
        """Snapshot of the slowest notification since the last call, compressed; the recording continues.

        b"" where the kernel takes no snapshots; see mpbench.notification.cpu_activity.of_snapshot.
        """
        worst = self.plan.worst if self._snapshots else None  # it takes away what was recorded until then
        if worst is None:
            return b""
        where, text = f"{self.context}/events/{worst.event}", worst.text
        script = SNAPSHOT.format(instance=self.context, where=where, text=text)
        return self._compressed(script, "the snapshot of the slowest notification can't be read")

    def _compressed(self, script: str, failure: str) -> bytes:
        reply = self._session.execute(script, SET_UP_S)
        self.moved += len(reply.stdout)
        if reply.code != 0:
            raise InfrastructureError(f"{failure}: {reply.error}")
        return reply.stdout

    def stop(self) -> None:
        """Remove everything from the board. InfrastructureError if anything is left."""
        self._plan = None
        self._recorder.stop()


def _record(instance: str, kib: int, recorded: Sequence[Recorded]) -> Iterator[str]:
    yield f"echo {kib} >{instance}/buffer_size_kb"
    yield from (enable(instance, event.event, event.condition) for event in recorded)


PROFILE = f"{TRACING}/kprobe_profile"
LINES = 1 << 20
"""More than a file has. Of several files `head` writes the names, on every userland."""
CONSISTENT = r"""
read -r p _ </proc/self/stat; renice -n -20 -p "$p" >/dev/null 2>&1
counts() {{ grep -e ' CPU[0-9]' -e ' {line}$' /proc/interrupts; }}
for n in 1 2 3 4 5 6 7 8 9; do a=$(counts); {restart}; x=$(head -n {lines} {files}); b=$(counts)
[ "$a" = "$b" ] && break; x=; done; {last}
{{ echo '@@ interrupts'; echo "$a"; echo "$x"; echo '@@ interrupts'; echo "$b"; }} |
sed '{names}s#^==> .*/kprobe_profile <==$#@@ missed#;/^==> /d
/^@@ missed/,/^@@ i/{{/^@@/!{{/^ *{tag}_/!d;}};}}
s/^{{ \(.*\) }} hitcount: */=\1=/;/^=/{{s/-[0-9]*=/=/;s/ //g;}}' | gzip -c
"""
"""Reads again, on the board, if a notification came while it read: all numbers have to be of one moment.
On a board under load it would read for seconds, and a watchdog of the TEE that notifies each second would be
there every time: so it goes before what else runs, and starts few processes.

What is not needed is not sent, and rows are shortened: `=cpu:1,total:~58624=2`.
"""

SNAPSHOT = """
v=$(grep 'triggering value' {where}/hist); echo '!{text}' >>{where}/trigger
{{ echo "$v"; cat {instance}/snapshot; }} |
sed 's/ prev_prio=.* ==>/ ==>/;s/ next_prio=.*//;s/ param=.*/ /' | gzip -c
echo 2 >{instance}/snapshot; echo '{text}' >>{where}/trigger
"""
"""The trigger is removed first, so that the snapshot is not overwritten by a later one while it is read. Set
again, it starts with no slowest notification. What is not needed is not sent."""


@contextlib.contextmanager
def timing(
    session: Session, found: Facilities, bands: Sequence[tuple[int, int, int]], **wanted: bool
) -> Iterator[FtraceSession]:
    """A started FtraceSession, removed from the board afterwards; `wanted`: see FtraceSession.start()."""
    trace = FtraceSession(session, found, bands)
    try:
        trace.start(**wanted)
        yield trace
    finally:
        trace.stop()
