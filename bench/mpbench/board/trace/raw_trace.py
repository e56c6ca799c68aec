# SPDX-License-Identifier: MIT
"""Takes recorded events off the board: raw pages by CPU, or text, with what is needed to decode them.

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
"""Reads what is there and never waits: a page holds at most 4080 bytes, so there are at least bytes / 4080.

By dd and not by cat: see mpbench.board.trace.recorder.TAKE.
"""

STATS = re.compile(r"^(overrun|commit overrun|dropped events): (\d+)$", re.M)


@frozen
class Descriptions:
    """How this kernel writes events: texts of events/header_page and of the events' format files."""

    header_page: str
    formats: tuple[str, ...] = field(repr=False)


def descriptions(session: Session, events: Sequence[str]) -> Descriptions:
    """Ask the board. InfrastructureError if it does not say."""
    files = ["header_page", *(f"{event}/format" for event in events)]
    script = "; ".join(f"cat {TRACING}/events/{file}; echo '@@'" for file in files)
    reply = session.execute(script)
    parts = reply.stdout.decode("utf-8", "replace").split("@@\n")[:-1]
    if len(parts) != len(files) or not all(parts):
        raise InfrastructureError(f"the board does not describe its trace buffer: {reply.error}")
    return Descriptions(parts[0], tuple(parts[1:]))


def cpus(session: Session, instance: str) -> list[int]:
    """CPUs that have a buffer, also those that are offline now."""
    found = session.execute(f"ls {instance}/per_cpu").stdout.decode("ascii", "replace")
    return sorted(int(name.removeprefix("cpu")) for name in found.split())


def pages(session: Session, instance: str, cpu: int, page: int) -> bytes:
    """All pages of a CPU that were not taken yet. InfrastructureError if they can't be read."""
    reply = session.spawn(RAW.format(instance=instance, cpu=cpu, page=page)).finish(TAKE_S)
    if reply.code != 0:
        raise InfrastructureError(f"{instance}: pages of CPU {cpu} can't be read: {reply.error}")
    return reply.stdout


def text(session: Session, instance: str) -> bytes:
    """Everything that was recorded as text; it stays there for `pages`."""
    reply = session.spawn(f"cat {instance}/trace").finish(TAKE_S)
    if reply.code != 0:
        raise InfrastructureError(f"{instance}/trace can't be read: {reply.error}")
    return reply.stdout


def lost(session: Session, instance: str) -> int:
    """Events that the buffers had no room for."""
    found = session.execute(f"cat {instance}/per_cpu/cpu*/stats").stdout.decode("ascii", "replace")
    return sum(int(n) for _, n in STATS.findall(found))


def each(session: Session, instance: str, page: int) -> Iterator[tuple[int, bytes]]:
    """(CPU, its pages) of all CPUs."""
    for cpu in cpus(session, instance):
        yield cpu, pages(session, instance, cpu, page)
