# SPDX-License-Identifier: MIT
"""Reads recorded events from the board: raw pages per CPU, or text, and the descriptions to decode them.

Ref: Linux Documentation/trace/ftrace.rst (trace, trace_pipe_raw, per_cpu/cpuN/stats), events.rst (format)
"""

import re
from collections.abc import Iterator, Sequence

from attrs import field, frozen

from mpbench.board.protocols import Session
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import InfrastructureError

TAKE_S = 300.0

RAW = """cd {instance}/per_cpu/cpu{cpu} && while :; do e=0 b=0; while read -r k v _; do
case $k in entries:) e=$v;; bytes:) b=$v;; esac; done <stats
[ $e = 0 ] && exit 0; n=$((b / 4080)); [ $n = 0 ] && n=1
dd if=trace_pipe_raw bs={page} count=$n 2>/dev/null || exit; done
"""
"""Reads the pages in the buffer without waiting for more: a page has at most 4080 bytes, so there are at
least bytes / 4080. With dd instead of cat: see recorder.TAKE."""

STATS = re.compile(r"^(?:overrun|commit overrun|dropped events): (\d+)$", re.M)


@frozen
class Descriptions:
    """This kernel's descriptions of its events: texts of events/header_page and of the format files."""

    header_page: str
    formats: tuple[str, ...] = field(repr=False)


def descriptions(session: Session, events: Sequence[str]) -> Descriptions:
    """Read them from the board. InfrastructureError if one cannot be read."""
    files = ["header_page", *(f"{event}/format" for event in events)]
    script = "; ".join(f"cat {TRACING}/events/{file}; echo '@@'" for file in files)
    reply = session.execute(script)
    parts = reply.text.split("@@\n")[:-1]
    if len(parts) != len(files) or not all(parts):
        raise InfrastructureError(f"cannot read the formats of the trace buffer: {reply.error}")
    return Descriptions(parts[0], tuple(parts[1:]))


def pages(session: Session, instance: str, cpu: int, page: int) -> bytes:
    """All pages of a CPU that were not read yet. InfrastructureError if they cannot be read."""
    reply = session.spawn(RAW.format(instance=instance, cpu=cpu, page=page)).finish(TAKE_S)
    return reply.checked(f"{instance}: cannot read pages of CPU {cpu}").stdout


def text(session: Session, instance: str) -> bytes:
    """All recorded events as text; they stay in the buffer for `pages`."""
    reply = session.spawn(f"cat {instance}/trace").finish(TAKE_S)
    return reply.checked(f"cannot read {instance}/trace").stdout


def lost(session: Session, instance: str) -> int:
    """Number of events that the buffers had no space for."""
    return sum(int(n) for n in STATS.findall(session.execute(f"cat {instance}/per_cpu/cpu*/stats").text))


def each(session: Session, instance: str, page: int) -> Iterator[tuple[int, bytes]]:
    """(CPU, its pages) of all CPUs that have a buffer, including offline ones."""
    names = session.execute(f"ls {instance}/per_cpu").text.split()
    for cpu in sorted(int(name.removeprefix("cpu")) for name in names):
        yield cpu, pages(session, instance, cpu, page)
