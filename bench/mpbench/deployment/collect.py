# SPDX-License-Identifier: MIT
"""Collect evidence of a step: touches the board, interprets nothing.

Waits for events with deadlines. A deadline that passes is no error here: the evidence then lacks something,
and a field stays undecided.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import frozen

from mpbench.board.protocols import Board, Log, Memory, SecureLog
from mpbench.core import evidence as artefact
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.zeros import all_zeros
from mpbench.deployment.facts import ZEROS, MemoryRange

START_LOGGED = re.compile(rb"remote processor \S+ is now up|Boot failed|TEE err")
"""Last line that the kernel logs about a start, successful or not."""

SECURE_ERROR = re.compile(rb"E/T[AC]:[^\n]*\n")
"""A complete error line of the secure world."""

ANY_BYTE = re.compile(rb".")

KERNEL_DEADLINE_S = 2.0
SECURE_DEADLINE_S = 1.0
NO_LINE_DEADLINE_S = 0.25
"""Deadline for the secure console when no line is predicted: its absence can only be waited for."""
SILENCE_S = 0.05
"""The secure console is complete when nothing follows for this long: 500 characters at 115200 baud."""

BEAT_DEADLINE_S = 2.0

BOOT_AND_BEAT = re.compile(rb"([^\n]+\nboot [0-9a-f]{8} )beat [0-9a-f]{8}")
"""Start of a trace buffer: firmware, core and number of the boot; then the heartbeat."""


@frozen
class LogMarks:
    """Kernel log and secure console, each with its position before a step."""

    kmsg: Log
    secure: SecureLog
    kmsg_mark: int
    secure_mark: int


def mark_logs(kmsg: Log, secure: SecureLog) -> LogMarks:
    """Current position of both logs."""
    return LogMarks(kmsg, secure, kmsg.mark(), secure.mark())


def deployment(
    board: Board,
    before: LogMarks,
    core: str,
    errno: str,
    image: bytes,
    *,
    secure_deadline_s: float = SECURE_DEADLINE_S,
    look_at: Sequence[tuple[int, int]] = (),
    now_s: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Evidence of a deployment whose write of `start` returned `errno`.

    The caller decides by the prediction how long to listen and where to look:
    secure_deadline_s: how long to wait for an error line on the secure console after a refusal
    look_at: (physical address, size) of memory to read back, if the board's memory can be read from outside
    """
    before.kmsg.wait_for(START_LOGGED, before.kmsg_mark, KERNEL_DEADLINE_S)
    if errno != "OK" and not before.secure.proves_silence:
        _await_secure_error(before, secure_deadline_s, now_s)
    artefacts = [*_answer(board, before, core, errno, now_s), Artefact(artefact.IMAGE, image)]
    if board.memory is not None and look_at:
        artefacts.append(memory(board.memory, look_at))
    return Evidence(tuple(artefacts))


def command(
    board: Board, before: LogMarks, core: str, errno: str, now_s: Callable[[], float] = time.monotonic
) -> Evidence:
    """Evidence of a write that returned `errno` and that no log need mention: waits for a heartbeat only."""
    return Evidence(tuple(_answer(board, before, core, errno, now_s)))


def _answer(
    board: Board, before: LogMarks, core: str, errno: str, now_s: Callable[[], float]
) -> Iterator[Artefact]:
    yield Artefact(artefact.START_ERRNO, errno.encode())
    yield Artefact(artefact.STATE, board.remoteproc.core_state(core).encode())
    yield from trace_samples(lambda: board.remoteproc.trace(core), now_s)
    yield Artefact(artefact.KMSG, before.kmsg.since(before.kmsg_mark))
    yield from secure_console(before)


def secure_console(before: LogMarks) -> Iterator[Artefact]:
    """What OP-TEE printed; nothing if it printed nothing as far as known, but its console may be away."""
    printed = before.secure.since(before.secure_mark)
    if printed or before.secure.proves_silence:
        yield Artefact(artefact.SECURE_CONSOLE, printed)


def memory(board: Memory, places: Iterable[tuple[int, int]]) -> Artefact:
    """Hashes of the memory at some places (physical address, size)."""
    ranges = [MemoryRange(pa, size, _content(board.read_memory(pa, size))) for pa, size in places]
    return Artefact(artefact.MEMORY, "".join(f"{r.line}\n" for r in ranges).encode())


def _content(data: bytes) -> str:
    return ZEROS if all_zeros(data) else hashlib.sha256(data).hexdigest()


def trace_samples(read: Callable[[], bytes | None], now_s: Callable[[], float]) -> Iterator[Artefact]:
    """Two samples of the trace buffer: the second shows a later heartbeat of the same boot, or the deadline.

    read: gives the buffer's content, None when the core has none
    """
    first = read()
    if first is None:
        yield Artefact(artefact.NO_TRACE, b"the core has no trace0\n")
        return
    deadline = now_s() + BEAT_DEADLINE_S
    second = read() or b""
    # Each iteration takes a round trip to the board; a core that was just released has not written yet.
    while not _beaten(first, second) and now_s() < deadline:
        first = second
        second = read() or b""
    yield Artefact(artefact.TRACE_FIRST, first)
    yield Artefact(artefact.TRACE_SECOND, second)


def _beaten(first: bytes, second: bytes) -> bool:
    """Whether two samples of a trace buffer show different heartbeats of the same boot."""
    before, after = BOOT_AND_BEAT.match(first), BOOT_AND_BEAT.match(second)
    return bool(before and after and before[1] == after[1] and before[0] != after[0])


def _await_secure_error(before: LogMarks, deadline_s: float, now_s: Callable[[], float]) -> None:
    """Wait for an error line of the secure world, then for the lines that follow it."""
    secure, deadline = before.secure, now_s() + SECURE_DEADLINE_S
    secure.wait_for(SECURE_ERROR, before.secure_mark, deadline_s)
    while now_s() < deadline and secure.wait_for(ANY_BYTE, secure.mark(), SILENCE_S):
        pass


def tamper_proof(original: bytes, tampered: bytes, on_board: str) -> Artefact:
    """Proof by three hashes that an image was tampered with and that the board's file is the tampered one.

    UsageError if the images are equal; InfrastructureError if the board's file is another.
    """
    before, after = (hashlib.sha256(data).hexdigest() for data in (original, tampered))
    if before == after:
        raise UsageError(f"the image is unchanged: SHA-256 {before} before and after tampering")
    if on_board != after:
        raise InfrastructureError(f"the board's file has SHA-256 {on_board}, the tampered image {after}")
    return Artefact(artefact.TAMPER, f"before {before}\nafter {after}\nboard {on_board}\n".encode())
