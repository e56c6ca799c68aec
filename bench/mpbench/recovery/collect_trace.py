# SPDX-License-Identifier: MIT
"""Record what Linux does in a recovery, in a tracing instance of the bench.

A return probe on tee_client_invoke_func (or a probe below it) shows every call of the TA with its answer; two
events of the work queue frame the recovery; irq_handler_entry dates the watchdog. Probes on OP-TEE's driver
count shared memory and sessions. Leftovers of a killed run are removed at the next start.

Ref: Linux Documentation/trace/kprobetrace.rst, ftrace.rst, events.rst; include/linux/tee_drv.h
     (tee_client_invoke_func: context, tee_ioctl_invoke_arg {func, session, cancel_id, ret}, tee_param[])
"""

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from mpbench.board.protocols import Session
from mpbench.board.trace import recorder
from mpbench.board.trace.tracefs import MOUNT, TRACING
from mpbench.core.errors import InfrastructureError, InvalidRun

NAME = "mpbench_crash"
INSTANCE = recorder.instance_of(NAME)

COUNTED = {
    "shm_in": "optee_shm_register",
    "shm_out": "optee_shm_unregister",
    "session_in": "optee_open_session",
    "session_out": "optee_close_session",
}

CLEAN = f"""
{MOUNT}
[ -d {INSTANCE} ] && rmdir {INSTANCE}
{recorder.REMOVE_PROBES}mpb_remove_probes {NAME}
"""

CALL = "r:{name}/ta tee_client_invoke_func cmd=+0($arg2):u32 res=+12($arg2):x32 core=+8($arg3):u64"
"""Return probes can name arguments since Linux 6.9 and 6.6.58."""
MESSAGE = (
    "p:{name}/ta optee_from_msg_param "
    "cmd=-28({register}):u32 res=-12({register}):x32 core=+8({register}):u64 kind=-32({register}):u32"
)
"""For other kernels: OP-TEE's answer when its driver decodes it. The fourth argument, in a register, points
just after struct optee_msg_arg {cmd, func, session, cancel_id, pad, ret, ret_origin, num_params}; cmd 1 is
OPTEE_MSG_CMD_INVOKE_COMMAND.
Ref: Linux drivers/tee/optee/{smc_abi.c, optee_msg.h}; arch/{arm,arm64}/include/asm/ptrace.h (names)
"""
INVOKE_ONLY = "kind == 1"

TA_PROBES = (
    (CALL, ""),
    (MESSAGE.replace("{register}", "%x3"), INVOKE_ONLY),
    (MESSAGE.replace("{register}", "%r3"), INVOKE_ONLY),
)
"""Probes that show calls of the TA, each with its filter, best first: a kernel refuses those it can't do."""


def probes(ta: Sequence[tuple[str, str]]) -> str:
    """Commands that set the first probe of `ta` that the kernel takes, and those that are counted."""
    first = " || ".join(
        f"{{ p '{probe.format(name=NAME)}' ta 2>/dev/null && "
        f"echo '{only or 0}' >{INSTANCE}/events/{NAME}/ta/filter; }}"
        for probe, only in ta
    )
    return f"""
p() {{ echo "$1" >>{TRACING}/kprobe_events && echo 1 >{INSTANCE}/events/{NAME}/$2/enable && echo $2; }}
{first}
{"".join(f"p 'p:{NAME}/{n} {f}' {n};" for n, f in COUNTED.items())}
"""


EVENTS = f"""
a=$(sed -n 's/ . rproc_crash_handler_work$//p' /proc/kallsyms)
for e in queue_work execute_start execute_end; do d={INSTANCE}/events/workqueue/workqueue_$e
  echo "function == 0x$a" >$d/filter && echo 1 >$d/enable && echo $e; done
"""

MARK = f"echo '{{mark}}' >{INSTANCE}/trace_marker && "
TAKE = recorder.TAKE.format(instance=INSTANCE)
"""Never waits after MARK: there is always a line of the bench's own."""
TAKES = 64
CALLS, WORK_END = "ta", "execute_end"
"""Names of what is recorded; see CrashTrace.needed."""

AWAIT = f"timeout {{left_s}} {TAKE}"
"""Waits for the first event, at most left_s."""

HANDLER_S = 10.0
"""A recovery's work item ends right after the kernel's last line about it, but its worker may have to wait
for a CPU in between. One that has not ended after this long waits for something else: for a reader of another
core's inline core dump, for example."""
ANSWER_S = 10.0

LOST = re.compile(rb"CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]")
"""Ref: Linux kernel/trace/trace.c print_trace_line()"""

WORK = re.compile(rb": workqueue_execute_(start|end): work struct (\w+)")


class CrashTrace:
    """The recorder of recoveries; `missing` names what this board's kernel can't record.

    lines: names of the watchdogs' interrupts
    needed: what has to be recorded, else nothing is taken: CALLS of the TA, without a TEE WORK_END
    """

    def __init__(
        self,
        session: Session,
        lines: Sequence[str],
        now_s: Callable[[], float] = time.monotonic,
        needed: str = CALLS,
    ) -> None:
        self._session = session
        self._lines = lines
        self._needed = needed
        self._now_s = now_s
        self._marks = 0
        self._boot = ""
        self.missing: frozenset[str] = frozenset()

    def resume(self) -> None:
        """Start again if the board was reset since start(): its tracing ended with it."""
        if self._session.boot_id != self._boot:
            self.start()

    def start(self) -> None:
        """Remove leftovers and start recording. A kernel without tracing is no error: see `missing`."""
        self.stop()
        self._boot = self._session.boot_id
        names = " || ".join(f'name == "{line}"' for line in self._lines)
        irq = f"{recorder.enable(INSTANCE, 'irq/irq_handler_entry', names)} && echo irq"
        reply = self._session.execute(f"mkdir {INSTANCE} || exit; {probes(TA_PROBES)}{EVENTS}{irq}")
        wanted = {"ta", *COUNTED, "queue_work", "execute_start", "execute_end", "irq"}
        self.missing = frozenset(wanted - set(reply.stdout.decode().split()))

    def stop(self) -> None:
        """Remove the instance and the probes."""
        self._session.execute(CLEAN)

    def take(self) -> bytes | None:
        """Text recorded since the last time; None if this kernel can't record it. See complete()."""
        return self.complete(b"")

    def take_command(self) -> str:
        """Command that writes what was recorded, to be run together with others; then call complete()."""
        if self._needed in self.missing:
            return ":"
        self._marks += 1
        return MARK.format(mark=self._mark) + TAKE

    @property
    def _mark(self) -> str:
        return f"mpbench mark {self._marks}"

    def complete(self, taken: bytes) -> bytes | None:
        """Text recorded since the last time. taken: output of take_command(), b"" if it was not run.

        Waits, at most HANDLER_S, until every crash handler that started in it has ended.
        InvalidRun if the kernel lost events: which ones is not known.
        """
        if self._needed in self.missing:
            return None
        taken = self._until_ended(self._until_mark(taken))
        if lost := LOST.search(taken):
            number, cpu = (lost[2] or b"some").decode(), lost[1].decode()
            raise InvalidRun(f"{INSTANCE}: Linux lost {number} events of CPU {cpu}: its buffer was full")
        return taken

    def _until_mark(self, taken: bytes) -> bytes:
        """`taken` and everything that was recorded before take_command(), or before now."""
        command = TAKE if taken else self.take_command()
        for _ in range(TAKES):
            if f": {self._mark}\n".encode() in taken:  # later events may follow it
                return taken
            reply = self._session.execute(command)
            if reply.code != 0:
                raise InfrastructureError(f"{INSTANCE}/trace_pipe can't be read: {reply.error}")
            taken, command = taken + reply.stdout, TAKE
        raise InfrastructureError(
            f"{INSTANCE}/trace_pipe: no end after {len(taken)} bytes in {TAKES} readings"
        )

    def _until_ended(self, taken: bytes) -> bytes:
        """`taken` and all until the handlers that started in it have ended, or the deadline."""
        deadline = self._now_s() + HANDLER_S
        while unfinished(taken) and (left_s := deadline - self._now_s()) > 0:
            reply = self._session.call(AWAIT.format(left_s=math.ceil(left_s)), left_s + ANSWER_S)
            if reply.code != 0:  # nothing came, or there is no `timeout`
                break
            taken += reply.stdout
        return taken

    def counts(self) -> Mapping[str, int]:
        """Calls of each counted function since start(); without those that can't be counted."""
        found = self._session.read(f"{TRACING}/kprobe_profile")
        rows = [line.split() for line in found.decode().splitlines()] if isinstance(found, bytes) else []
        return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0] in COUNTED}


def unfinished(trace: bytes) -> frozenset[bytes]:
    """Work items that started in a trace and did not end."""
    items: set[bytes] = set()
    for event, item in WORK.findall(trace):
        items = items | {item} if event == b"start" else items - {item}
    return frozenset(items)


@contextlib.contextmanager
def recording(session: Session, lines: Sequence[str], needed: str = CALLS) -> Iterator[CrashTrace]:
    """A started recorder, removed afterwards."""
    trace = CrashTrace(session, lines, needed=needed)
    trace.start()
    try:
        yield trace
    finally:
        trace.stop()
