# SPDX-License-Identifier: MIT
"""P13, P15: a message to a core, and back: by the mailbox alone, and by RPMsg.

The mailbox's round trip is from the driver's send of a kick until the interrupt of the core's answer; in
between the core takes the message from its ring and returns it. When the driver's thread handles that
interrupt is Linux' affair, and shown beside it. Both calls are dated by the function tracer, or by kprobes
where the kernel has none. RPMsg's is that of a program on the board, dated by the same clock: with write,
poll and read of a character device around it.
"""

import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mpbench.board.identification import boot_id
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import watchdogs_of
from mpbench.harness.environment import profile_of
from mpbench.harness.firmware import FirmwareFiles, board_program
from mpbench.harness.run_state import RunState
from mpbench.rpmsg import collect
from mpbench.rpmsg.client import RpmsgClient
from mpbench.rpmsg.fixture import PATH, Rpmsg
from mpbench.rpmsg.parse import round_trips
from mpbench.rpmsg.predict import RAW
from testcases.crash_rig import opened, signer
from testcases.performance.rows import Board, Row

NUMBERS = ("P13", "P15")
MESSAGES, LENGTH = 500, 64
MAILBOX_S, RPMSG_S = 200e-6, 1e-3
TRACING = "/sys/kernel/tracing"
SENT, ANSWERED = "stm32_ipcc_send_data", "stm32_ipcc_rx_irq"
"""The second is the thread of the interrupt of an answer. Ref: Linux drivers/mailbox/stm32-ipcc.c"""
INTERRUPT = "events/irq/irq_handler_entry"
THREAD, NUMBER = re.compile(r"irq/(\d+)-"), re.compile(r"irq_handler_entry: irq=(\d+) ")
NO_TRACER = 9
GROUP = "mpbench_perf"
START = f"""(
cd {TRACING} && echo 0 >tracing_on && echo mono >trace_clock &&
if grep -qw function available_tracers; then
    echo '{SENT} {ANSWERED}' >set_ftrace_filter && echo function >current_tracer
elif [ -e kprobe_events ]; then
    for f in {SENT} {ANSWERED}; do echo "p:{GROUP}/$f $f" >>kprobe_events || exit 1; done
    echo 1 >events/{GROUP}/enable
else
    exit {NO_TRACER}
fi && echo 1 >{INTERRUPT}/enable && echo >trace && echo 1 >tracing_on)"""
STOP = f"""(
cd {TRACING} && echo 0 >tracing_on && cat trace
echo 0 >{INTERRUPT}/enable
if [ -e events/{GROUP} ]; then
    echo 0 >events/{GROUP}/enable
    for f in {SENT} {ANSWERED}; do echo "-:{GROUP}/$f" >>kprobe_events; done
else
    echo nop >current_tracer; echo >set_ftrace_filter
fi
echo local >trace_clock; echo 1 >tracing_on)"""


def benchmarks(board: Board | None) -> Iterator[Row]:
    """Nothing without a board, and on one of silicon whose cores the TEE loads: its key is not known here."""
    if board is None:
        return
    profile = profile_of(board.target.env.config)
    if profile.manager != "linux" and board.virtual is None:
        return

    def signed(core: str, elf: bytes) -> bytes:
        return elf if profile.by_linux(core) else signer()(core, elf)

    with opened(board.target) as found:
        session: Any = found.session
        watchdogs = watchdogs_of({}, profile)
        firmware = FirmwareFiles(Path(), {}, watchdogs)
        session.put_bytes(board_program("rpmsg-client", session.execute("uname -m").text.strip()), PATH)
        session.execute(f"chmod 700 {PATH}")
        bench = DeployBench(found, profile, RunState(), None, board.strategy, boot_id(found))
        client = RpmsgClient(session, PATH)
        rpmsg = Rpmsg(bench, firmware, collect.drivers(session), client, signed=signed)
        for core in found.remoteproc.cores():
            yield from _round_trips(rpmsg, session, core)
        rpmsg.restore()


def _round_trips(rpmsg: Rpmsg, session: Any, core: str) -> Iterator[Row]:
    rpmsg.start(core, record=False).check("state", "channels")
    words = f"open,{rpmsg.device(core, RAW)}", f"echo,0,{LENGTH},{LENGTH},{MESSAGES}"
    trips = round_trips(rpmsg.client.run(*words))
    taken_s = statistics.median(trip.ns for trip in trips) / 1e9
    what = f"{core}: round trip of {LENGTH} bytes, {len(trips)} messages, median"
    yield from _mailbox(session, core, lambda: rpmsg.client.run(*words))
    yield Row("P15", what, "", None, taken_s, "≤ 1 ms", taken_s <= RPMSG_S)
    rpmsg.stop(core, record=False)


def _mailbox(session: Any, core: str, send: Callable[[], object]) -> list[Row]:
    """The rows of the mailbox while messages are sent, or why it could not run."""

    def row(what: str, taken_s: float | None) -> Row:
        met = None if taken_s is None else taken_s <= MAILBOX_S
        return Row("P13", f"{core}: mailbox round trip, {what}", "", None, taken_s, "≤ 200 µs", met)

    code = session.execute(START).code
    if code == NO_TRACER:
        return [row("this kernel has no function tracer and no kprobes (CONFIG_KPROBE_EVENTS)", None)]
    if code:
        return [row(f"{SENT} and {ANSWERED} cannot be traced below {TRACING}", None)]
    send()
    trips = mailbox_trips(session.execute(STOP).stdout.decode())
    if not trips:
        return [row("none in the trace", None)]
    interrupts, threads = (statistics.median(times) for times in zip(*trips, strict=True))
    handled = Row(
        "P13", f"{core}: the same until the driver's thread handles it", "", None, threads, "", None
    )
    return [row(f"{len(trips)} of them, median", interrupts), handled]


def mailbox_trips(trace: str) -> list[tuple[float, float]]:
    """Seconds from each send that the core answers until the answer's interrupt, and until its thread.

    A send that another follows had no answer: it returned a buffer. Ref: Documentation/trace/ftrace.rst,
    Documentation/trace/events.rst
    """
    found: list[tuple[float, float]] = []
    sent: float | None = None
    interrupts: dict[str, float] = {}
    for line in trace.splitlines():
        head, _, event = line.partition(": ")
        if line.startswith("#") or not event:
            continue
        when, thread = float(head.split()[-1]), THREAD.match(line.strip())
        if event.startswith(SENT):
            sent, interrupts = when, {}
        elif number := NUMBER.match(event):
            interrupts.setdefault(number[1], when)
        elif event.startswith(ANSWERED) and sent is not None and thread and thread[1] in interrupts:
            found.append((interrupts[thread[1]] - sent, when - sent))
            sent = None
    return found
