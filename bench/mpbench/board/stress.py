# SPDX-License-Identifier: MIT
"""Loads that a measurement is taken under: each goes on inside its block, and is gone behind it."""

import contextlib
import threading
from collections.abc import Iterator

from mpbench.board.protocols import RemoteProcess, Session
from mpbench.core.errors import InfrastructureError

CPU = "/sys/devices/system/cpu"
BUSY = "for i in 1 2 3 4; do nice sh -c 'while :; do :; done' & done; wait"
MEMORY = "while :; do dd if=/dev/zero of=/dev/null bs=4M count=64 2>/dev/null; done"
TALK = "while :; do dd if=/dev/zero bs=64k count=64 2>/dev/null; done"
READ_S = 30.0


@contextlib.contextmanager
def running(session: Session, command: str) -> Iterator[RemoteProcess]:
    """A command that goes on inside the block."""
    found = session.spawn(command)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def cpu(session: Session) -> Iterator[None]:
    """More busy processes than CPUs, nice ones: the shell that measures has to get its turn."""
    with running(session, BUSY):
        yield


@contextlib.contextmanager
def memory(session: Session) -> Iterator[None]:
    """Memory written in pieces that no cache of these SoCs holds."""
    with running(session, MEMORY):
        yield


@contextlib.contextmanager
def interrupts(session: Session) -> Iterator[None]:
    """Network interrupts: the board talks as fast as it can, and somebody listens."""
    with running(session, TALK) as talking:
        listener = threading.Thread(target=_listen, args=(talking,), name="listener", daemon=True)
        listener.start()
        yield
        talking.close()
        listener.join(READ_S)


def _listen(talking: RemoteProcess) -> None:
    with contextlib.suppress(InfrastructureError):
        while talking.read(READ_S):
            pass


@contextlib.contextmanager
def affinity(session: Session, irq: int, cpu_number: int) -> Iterator[None]:
    """An interrupt on one CPU. InfrastructureError where it has no affinity (a per-CPU one)."""
    path = f"/proc/irq/{irq}/smp_affinity_list"
    before = session.execute(f"cat {path}").stdout.decode("ascii", "replace").strip()
    _set(session, path, str(cpu_number))
    try:
        yield
    finally:
        _set(session, path, before)


def online(session: Session, cpu_number: int, wanted: bool) -> None:
    """Take a CPU offline or back. InfrastructureError if it does not go."""
    _set(session, f"{CPU}/cpu{cpu_number}/online", str(int(wanted)))


def _set(session: Session, path: str, value: str) -> None:
    reply = session.execute(f"echo {value} >{path}")
    if reply.code != 0:
        raise InfrastructureError(f"{path} does not take {value!r}: {reply.error}")
