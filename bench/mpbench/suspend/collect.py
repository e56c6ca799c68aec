# SPDX-License-Identifier: MIT
"""Suspends the board and collects what it shows: a script on the board looks before, sleeps, looks again.

The script has a session of its own (setsid) and writes to a file: what it found is there as well if the
connection to the board was lost meanwhile, which happens when the board sleeps longer than a connection may
be silent. Before it sleeps it saves the count of wake-up events, so that an alarm that comes too early makes
the kernel refuse to sleep, instead of never waking up.

Ref: Linux Documentation/ABI/testing/sysfs-power (state, wakeup_count, suspend_stats, pm_wakeup_irq),
     sysfs-class-rtc (wakealarm), sysfs-class-wakeup; Documentation/admin-guide/pm/suspend-flows.rst
"""

import re
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Mapping

from attrs import field, fields_dict, frozen

from mpbench.board.identification import same_boot
from mpbench.board.protocols import Board, Session
from mpbench.board.session import errnos
from mpbench.board.session.shell_protocol import one_line
from mpbench.core import evidence as artefact
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import Artefact
from mpbench.deployment.collect import trace_samples
from mpbench.suspend.facts import ERRNO, LOOKS
from mpbench.suspend.parse import sections_of

EXITED = re.compile(rb"PM: suspend exit")
LATE_S = 60.0
"""How long after its alarm a board is awake at the latest; an emulator on a busy host takes seconds."""
POLL_S = 0.2
LOG_S = 10.0
HELD_S = 5
BEATS = 25
"""Heartbeats after the sleep by which the rate of the firmware is known: half a second."""

FACILITIES = """
echo "state $(cat /sys/power/state 2>/dev/null)"; echo "mem_sleep $(cat /sys/power/mem_sleep 2>/dev/null)"
for f in /sys/class/rtc/*/wakealarm; do [ -e $f ] && echo "alarm ${f%/*}"; done
for f in /sys/bus/platform/devices/alarmtimer.*; do [ -e $f ] && echo "waker ${f##*/}"; done
[ ! -e /proc/config.gz ] || echo "configuration $(zcat /proc/config.gz | grep -c '^CONFIG_FW_CACHE=y')"; :
"""

SCRIPT = """
look() {
  echo "@$1.uptime"; cat /proc/uptime; echo "@$1.trace"; head -n 2 "$trace" 2>/dev/null
}
counts() {
  echo "@$1.stats"; for f in /sys/power/suspend_stats/*; do read -r v <$f; echo "${f##*/} $v"; done
  echo "@$1.events"
  for d in /sys/class/wakeup/*; do read -r n <$d/name && read -r c <$d/event_count && echo "$c $n"; done
}
held() {
  for d in /sys/class/wakeup/*; do read -r a <$d/active_time_ms; [ "$a" = 0 ] || cat $d/name; done
}
put() { e=$(printf %s "$2" | dd of="$1" bs=64 conv=notrunc 2>&1) && e=OK; echo "$e"; }
alarm() {
  timer=
  [ -z "$rtc" ] || { echo 0 >$rtc/wakealarm; put $rtc/wakealarm +$seconds; return; }
  : >$file.timer; $timers alarm,${seconds}000,0 sleep,600000 >$file.timer & timer=$!
  n=0; until [ -s $file.timer ] || [ $n -gt 100000 ]; do n=$((n+1)); done
  read -r e <$file.timer; rm $file.timer; [ "$e" = "0 alarm errno=0" ] && e=OK; echo "$e"
}
sleeps() {
  echo "@fill"; [ -z "$client" ] || $client $fill
  counts before
  c=$(timeout $held cat /sys/power/wakeup_count) || { echo "@held"; held; return; }
  echo "@count"; put /sys/power/wakeup_count "${count:-$c}"; counted=$e
  [ -z "$deep" ] || { echo "@deep"; put /sys/power/mem_sleep $deep; }
  eval "$first"
  echo "@alarm"; alarm
  look before
  eval "$last"
  echo "<14>mpbench suspend $nonce" >/dev/kmsg
  [ "$counted" != OK ] || { echo "@errno"; put /sys/power/state $word; }
  [ -z "$closed" ] || trace=
  look after
  [ -z "$rtc" ] || echo 0 >$rtc/wakealarm
  [ -z "$timer" ] || kill $timer
  echo "@irq"; cat /sys/power/pm_wakeup_irq 2>/dev/null
  echo "@interrupts"; cat /proc/interrupts
  counts after
  echo "@memory"; [ -z "$client" ] || $client $check
  [ -r "$trace" ] && n=0 || n=400; b=$(sed -n '2s/.* //p' "$trace" 2>/dev/null); b=$((0x${b:-0} + beats))
  while [ $n -lt 400 ]; do
    n=$((n+1)); l=$(sed -n '2s/.* //p' "$trace" 2>/dev/null); [ $((0x${l:-0})) -lt $b ] || break
  done
  look later
}
sleeps; echo "@end"
"""
"""Sections begin with @ and their name. Each is explained in parse.py."""

ALARM_FIRST = """
w=$rtc/device/power/wakeup_count; read -r o <$w; n=$o
echo 0 >$rtc/wakealarm; echo +1 >$rtc/wakealarm
read -r u v </proc/uptime; m=$((${u%.*} + 10))
while [ "$n" = "$o" ] && [ ${u%.*} -lt $m ]; do read -r n <$w; read -r u v </proc/uptime; done
"""
"""Has an alarm go off after the wake-up events were counted; waits for its event."""


class NotAwake(Exception):
    """The board did not wake up in time."""


def new_nonce() -> str:
    """For the script's line in the kernel's log and the name of its file."""
    return secrets.token_hex(6)


@frozen
class Request:
    """What the script is to do.

    word: for /sys/power/state; deep: for mem_sleep, "" to leave it; seconds: until the alarm
    rtc: directory of the clock; "": the alarm is a timer of the program `timers`, suspend-client
    trace: path of the core's trace buffer, "" without one
    client: suspend-client, "": compare no memory; fill, check: its words before and after the sleep
    first: shell command after the wake-up events were counted; last: just before the write
    closed: not "": after the sleep the trace buffer is not read, as a recovery may have the firewall closed
    count: stale count, "" for the right one
    """

    rtc: str
    trace: str
    word: str = "freeze"
    deep: str = ""
    seconds: int = 2
    timers: str = ""
    client: str = ""
    fill: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    closed: str = ""
    count: str = ""
    nonce: str = field(factory=new_nonce)

    @property
    def file(self) -> str:
        """What the script prints into, on the board."""
        return f"/tmp/mpbench-suspend-{self.nonce}"

    @property
    def script(self) -> str:
        """For the board's shell, with every value as a variable."""
        found = {name: getattr(self, name) for name in (*fields_dict(Request), "file")}
        found |= {"held": HELD_S, "beats": BEATS}
        values = {name: " ".join(v) if isinstance(v, tuple) else str(v) for name, v in found.items()}
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()) + SCRIPT


def facilities(session: Session, client: str) -> str:
    """Sleep states of the kernel, clocks with an alarm, and timers of suspend-client: parse.facilities().

    client: path of suspend-client on the board, "" without
    """
    return session.execute(FACILITIES + (f"{client} alarm,60000,0; :" if client else "")).text


def sleep(session: Session, request: Request, now_s: Callable[[], float] = time.monotonic) -> str:
    """What the script printed. NotAwake if the board does not answer LATE_S after the alarm.

    InvalidRun if the board was reset; InfrastructureError if the script did not run to its end.
    """
    path, boot = request.file, session.boot_id
    deadline = now_s() + request.seconds + LATE_S
    command = f"setsid sh -c {shlex.quote(request.script)} >{path} 2>&1 </dev/null; cat {path}"
    try:
        text = session.call(command, deadline - now_s()).text
        session.execute(":")  # the answer came, but a keepalive may wait for its own since the board slept
    except InfrastructureError as lost:
        text = _after_loss(session, path, deadline, lost, now_s)
        same_boot(boot, session.boot_id)
    session.execute(f"rm -f {path}")
    if not text.endswith("@end\n"):
        raise InfrastructureError(f"the script that suspends the board did not end: {text[-200:]!r}")
    return text


def _after_loss(
    session: Session, path: str, deadline: float, lost: InfrastructureError, now_s: Callable[[], float]
) -> str:
    """What the script printed, over a new connection. NotAwake if there is none before the deadline."""
    try:
        session.reconnect(max(1.0, deadline - now_s()))
    except InfrastructureError as e:
        raise NotAwake(f"{lost}; {e}") from e
    pause = threading.Event()
    while True:
        text = session.execute(f"cat {path} 2>/dev/null; :").text
        if text.endswith("@end\n") or now_s() >= deadline:
            return text
        pause.wait(POLL_S)


def after(board: Board, core: str, text: str, mark: int, last_line: str) -> tuple[Artefact, ...]:
    """Evidence after the script: its looks, the core's state and trace buffer, the kernel's log.

    last_line: pattern of the line of the kernel to wait for, "" if the end of the suspend is enough. Programs
    run before the kernel has logged everything, so that both are waited for.
    """
    errno = errno_of(sections_of(text))
    if errno == errnos.OK:
        board.kmsg.wait_for(EXITED, mark, LOG_S)
    if last_line:
        board.kmsg.wait_for(re.compile(last_line.encode()), mark, LATE_S)
    samples = trace_samples(lambda: board.remoteproc.trace(core), time.monotonic)
    return (
        Artefact(ERRNO, errno.encode()),
        Artefact(LOOKS, text.encode()),
        *samples,
        Artefact(artefact.STATE, board.remoteproc.core_state(core).encode()),
        Artefact(artefact.CORE, core.encode()),
        Artefact(artefact.KMSG, board.kmsg.since(mark)),
    )


def errno_of(sections: Mapping[str, str]) -> str:
    """Result of the write to /sys/power/state, or of the one that came before it and was refused.

    InfrastructureError if there was none, because an event is being handled, or there was no alarm.
    """
    if "held" in sections:
        held = " ".join(sections["held"].split()) or "its count of events cannot be read"
        raise InfrastructureError(f"the board is not suspended: wake-up sources are active: {held}")
    for name in ("alarm", "deep", "count", "errno"):
        written = sections.get(name, errnos.OK).strip()
        if written == errnos.OK:
            continue
        errno = errnos.errno_name(written)
        if errno is None or name in ("alarm", "deep"):
            raise InfrastructureError(f"the board is not suspended: {name}: {one_line(written)}")
        return errno
    return errnos.OK
