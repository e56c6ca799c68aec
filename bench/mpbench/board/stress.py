# SPDX-License-Identifier: MIT
"""Context managers that run a background load on the board during a measurement."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from mpbench.board.protocols import RemoteProcess, Session
from mpbench.core.errors import InfrastructureError

CPU = "/sys/devices/system/cpu"
BUSY = "for i in 1 2 3 4; do nice sh -c 'while :; do :; done' & done; wait"
MEMORY = "while :; do dd if=/dev/zero of=/dev/null bs=4M count=64 2>/dev/null; done"
SEND = "while :; do dd if=/dev/zero bs=64k count=64 2>/dev/null; done"
READ_S = 30.0


@contextlib.contextmanager
def running(session: Session, command: str) -> Iterator[RemoteProcess]:
    """A running command; killed when the block ends."""
    found = session.spawn(command)
    try:
        yield found
    finally:
        found.close()


def cpu(session: Session) -> AbstractContextManager[RemoteProcess]:
    """More busy processes than CPUs, niced so that the measuring shell is still scheduled."""
    return running(session, BUSY)


def memory(session: Session) -> AbstractContextManager[RemoteProcess]:
    """Memory writes in blocks larger than the caches of these SoCs."""
    return running(session, MEMORY)


@contextlib.contextmanager
def interrupts(session: Session) -> Iterator[None]:
    """Network interrupts: floods the network from the board to the host."""
    with running(session, SEND) as sender:
        receiver = threading.Thread(target=_receive, args=(sender,), name="receiver", daemon=True)
        receiver.start()
        yield
        sender.close()
        receiver.join(READ_S)


def _receive(sender: RemoteProcess) -> None:
    with contextlib.suppress(InfrastructureError):
        while sender.read(READ_S):
            pass


@contextlib.contextmanager
def affinity(session: Session, irq: int, cpu_number: int) -> Iterator[None]:
    """Move an interrupt to one CPU. InfrastructureError if it has no affinity (a per-CPU interrupt)."""
    path = f"/proc/irq/{irq}/smp_affinity_list"
    before = session.execute(f"cat {path}").text.strip()
    _set(session, path, str(cpu_number))
    try:
        yield
    finally:
        _set(session, path, before)


def online(session: Session, cpu_number: int, wanted: bool) -> None:
    """Take a CPU online (wanted) or offline. InfrastructureError if the kernel refuses."""
    _set(session, f"{CPU}/cpu{cpu_number}/online", str(int(wanted)))


def _set(session: Session, path: str, value: str) -> None:
    session.execute(f"echo {value} >{path}").checked(f"{path}: writing {value!r} failed")
