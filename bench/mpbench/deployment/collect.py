# SPDX-License-Identifier: MIT
"""Collect evidence of a step: touches the board, understands nothing.

Waits for events with deadlines. A deadline that passes is no error here: the evidence then lacks something,
and a field stays undecided.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from mpbench.board.protocols import Log, Memory, Remoteproc
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import (
    IMAGE,
    KMSG,
    MEMORY,
    NO_TRACE,
    SECURE_CONSOLE,
    START_ERRNO,
    STATE,
    TAMPER,
    TRACE_FIRST,
    TRACE_SECOND,
    Artefact,
    Evidence,
)
from mpbench.deployment.facts import ZEROS, MemoryRange

KERNEL_SAYS = re.compile(rb"remote processor \S+ is now up|Boot failed|TEE err")
"""What the kernel logs last about a start, good or bad."""

SECURE_SAYS = re.compile(rb"E/T[AC]:[^\n]*\n")
"""An error line of the secure world, complete."""

ANYTHING = re.compile(rb".")

KERNEL_DEADLINE_S = 2.0
SECURE_DEADLINE_S = 1.0
MUTE_DEADLINE_S = 0.25
"""The same where nobody expects a line: its absence can only be waited for."""
SILENCE_S = 0.05
"""The secure console has said all when nothing follows for this long: 500 characters at 115200 baud."""

BEAT_DEADLINE_S = 2.0

PULSE = re.compile(rb"([^\n]+\nboot [0-9a-f]{8} )beat [0-9a-f]{8}")
"""Begin of a trace buffer: who, and which of its lives; then its beat."""


@frozen
class Watch:
    """The streams of the board and where they stood before a step."""

    kmsg: Log
    secure: Log
    kmsg_mark: int
    secure_mark: int


def watch(kmsg: Log, secure: Log) -> Watch:
    """Remember where the streams stand."""
    return Watch(kmsg, secure, kmsg.mark(), secure.mark())


def gather(
    remoteproc: Remoteproc,
    watched: Watch,
    core: str,
    errno: str,
    image: bytes,
    *,
    seen: Iterable[Artefact] = (),
    secure_deadline_s: float = SECURE_DEADLINE_S,
    now_s: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Evidence of a deployment whose write of `start` returned `errno`; `seen`: more, gathered last."""
    watched.kmsg.wait_for(KERNEL_SAYS, watched.kmsg_mark, KERNEL_DEADLINE_S)
    if errno != "OK":
        _until_silent(watched, secure_deadline_s, now_s)
    artefacts = [Artefact(START_ERRNO, errno.encode()), Artefact(STATE, remoteproc.core_state(core).encode())]
    artefacts += trace_samples(lambda: remoteproc.trace(core), now_s)
    artefacts.append(Artefact(KMSG, watched.kmsg.since(watched.kmsg_mark)))
    artefacts.append(Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)))
    artefacts.append(Artefact(IMAGE, image))
    artefacts += seen
    return Evidence(tuple(artefacts))


def after(
    remoteproc: Remoteproc,
    watched: Watch,
    core: str,
    errno: str,
    now_s: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Evidence of a write that need not be answered by any line: nothing is waited for but a heartbeat."""
    return Evidence(
        (
            Artefact(START_ERRNO, errno.encode()),
            Artefact(STATE, remoteproc.core_state(core).encode()),
            *trace_samples(lambda: remoteproc.trace(core), now_s),
            Artefact(KMSG, watched.kmsg.since(watched.kmsg_mark)),
            Artefact(SECURE_CONSOLE, watched.secure.since(watched.secure_mark)),
        )
    )


def memory(board: Memory, places: Iterable[tuple[int, int]]) -> Artefact:
    """What the memory holds at some places (physical address, size)."""
    ranges = [MemoryRange(pa, size, _content(board.read_memory(pa, size))) for pa, size in places]
    return Artefact(MEMORY, "".join(f"{r.line}\n" for r in ranges).encode())


def _content(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if data.strip(b"\0") else ZEROS


def trace_samples(read: Callable[[], bytes | None], now_s: Callable[[], float]) -> Iterator[Artefact]:
    """The trace buffer, and once more when the same life has changed it or the deadline is over.

    read: gives its content, None when the core has none
    """
    first = read()
    if first is None:
        yield Artefact(NO_TRACE, b"the core has no trace0\n")
        return
    deadline = now_s() + BEAT_DEADLINE_S
    second = read() or b""
    # Every turn waits for a round trip to the board; a core that was just released has not written yet.
    while not _beaten(first, second) and now_s() < deadline:
        first = second
        second = read() or b""
    yield Artefact(TRACE_FIRST, first)
    yield Artefact(TRACE_SECOND, second)


def _beaten(first: bytes, second: bytes) -> bool:
    """Whether two samples of a trace buffer are of one life that beat in between."""
    before, after = PULSE.match(first), PULSE.match(second)
    return bool(before and after and before[1] == after[1] and before[0] != after[0])


def _until_silent(watched: Watch, deadline_s: float, now_s: Callable[[], float]) -> None:
    """Wait for an error line of the secure world, then for the lines that follow it."""
    secure, deadline = watched.secure, now_s() + SECURE_DEADLINE_S
    secure.wait_for(SECURE_SAYS, watched.secure_mark, deadline_s)
    while now_s() < deadline and secure.wait_for(ANYTHING, secure.mark(), SILENCE_S):
        pass


def tamper_proof(original: bytes, tampered: bytes, on_board: str) -> Artefact:
    """That an image was tampered with, and that this is what the board had, by three hashes.

    UsageError if nothing was changed; InfrastructureError if the board had something else.
    """
    before, after = (hashlib.sha256(data).hexdigest() for data in (original, tampered))
    if before == after:
        raise UsageError(f"the image was not changed at all: SHA-256 {before} before and after")
    if on_board != after:
        raise InfrastructureError(f"the board's file has SHA-256 {on_board}, the tampered image {after}")
    return Artefact(TAMPER, f"before {before}\nafter {after}\nboard {on_board}\n".encode())
