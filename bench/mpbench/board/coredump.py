# SPDX-License-Identifier: MIT
"""Core dumps of co-processors, in each place where a board's image puts them; a dump is removed once read.

Ref: Linux drivers/base/devcoredump.c (class devcoredump: `data`, `failing_device`; any write to `data` frees
the dump); ST's images move dumps to /var/crash by a udev rule.
"""

import shlex
import threading
import time

from attrs import frozen

from mpbench.board.protocols import Session

LIST = """
for d in /sys/class/devcoredump/devcd*; do
  [ -e "$d/data" ] && echo "$d/data $(readlink "$d/failing_device")"; done
for f in /var/crash/*fw-error*.dump; do [ -e "$f" ] && echo "$f -"; done; :
"""
POLL_S = 0.02
"""A new dump is announced only by a uevent, which a shell cannot receive."""

READ_S = 120.0


@frozen
class Pending:
    """A pending dump: its file, and its device ("remoteproc0"; "" if the file does not name it)."""

    path: str
    device: str


def pending(session: Session) -> list[Pending]:
    """All pending dumps of the board, in both places."""
    rows = (line.split() for line in session.execute(LIST).text.splitlines())
    found = (row for row in rows if len(row) == 2)
    return [Pending(path, "" if link == "-" else link.rpartition("/")[2]) for path, link in found]


def await_dump(session: Session, device: str, deadline_s: float) -> Pending | None:
    """The dump of a device as soon as there is one, None after deadline_s."""
    deadline, pause = time.monotonic() + deadline_s, threading.Event()
    while True:
        found = next((p for p in pending(session) if p.device in ("", device)), None)
        if found is not None or time.monotonic() > deadline:
            return found
        pause.wait(POLL_S)


def take(session: Session, dump: Pending) -> bytes:
    """The dump's bytes; the dump is then removed: the kernel discards new ones while one is pending."""
    try:
        return session.get_bytes(dump.path, READ_S)
    finally:
        clear(session, dump)


def clear(session: Session, dump: Pending) -> None:
    """Remove a dump: the kernel frees its own at a write, a file is deleted."""
    path = shlex.quote(dump.path)
    session.execute(f"echo 1 >{path}" if dump.path.startswith("/sys/") else f"rm -f {path}")


def clear_all(session: Session) -> int:
    """Remove every dump; returns how many there were."""
    found = pending(session)
    for dump in found:
        clear(session, dump)
    return len(found)
