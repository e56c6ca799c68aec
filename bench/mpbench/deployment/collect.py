# SPDX-License-Identifier: MIT
"""Collect evidence of a step: touches the board, understands nothing.

Waits for events with deadlines. A deadline that passes is no error here: the evidence then lacks something,
and a field stays undecided.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from attrs import frozen

from mpbench.core.facts import (
    IMAGE,
    KMSG,
    MEMORY,
    NO_TRACE,
    SECURE_CONSOLE,
    START_ERRNO,
    STATE,
    TRACE_FIRST,
    TRACE_SECOND,
    ZEROS,
    Artefact,
    Evidence,
    MemoryRange,
)

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


BOOT_ID = "/proc/sys/kernel/random/boot_id"
_TREE = "/proc/device-tree"
_SOC = "/sys/devices/soc0"
ABOUT = {
    "about.kernel": "/proc/version",
    "about.kernel-command-line": "/proc/cmdline",
    "about.boot_id": BOOT_ID,
    "about.model": f"{_TREE}/model",
    "about.compatible": f"{_TREE}/compatible",
    "about.serial": f"{_TREE}/serial-number",
    "about.u-boot": f"{_TREE}/chosen/u-boot,version",
    "about.soc_id": f"{_SOC}/soc_id",
    "about.soc_revision": f"{_SOC}/revision",
    "about.soc_serial": f"{_SOC}/serial_number",
}
"""Artefact → file that says who the board is; many boards have some of them only."""

CONSOLE = "console"


class Log(Protocol):
    """A reader that follows a stream of the board for the whole run."""

    def mark(self) -> int:
        """Position of what will come next."""

    def since(self, mark: int) -> bytes:
        """Everything from `mark` until now."""

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> object:
        """Something true if the stream from `mark` on matched before the deadline."""


class ReadsFiles(Protocol):
    """What gather needs of a session."""

    def read(self, path: str) -> bytes | str:
        """A file's bytes, or the errno's name."""

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes | str]:
        """Many files at once, in one round trip."""


class Reads(Protocol):
    """What gather needs of the remoteproc driver."""

    def core_state(self, core: str) -> str:
        """The core's sysfs state."""

    def trace(self, core: str) -> bytes | None:
        """Content of debugfs trace0, None when the core has none."""


class SeesMemory(Protocol):
    """A board whose memory can be read from outside, as a virtual one's."""

    def read_memory(self, pa: int, size: int) -> bytes:
        """Bytes at a physical address."""


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
    remoteproc: Reads,
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
    remoteproc: Reads,
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


def memory(board: SeesMemory, places: Iterable[tuple[int, int]]) -> Artefact:
    """What the memory holds at some places (physical address, size)."""
    ranges = [MemoryRange(pa, size, _content(board.read_memory(pa, size))) for pa, size in places]
    return Artefact(MEMORY, "".join(f"{r.line}\n" for r in ranges).encode())


def _content(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if data.strip(b"\0") else ZEROS


def about(session: ReadsFiles, console: Log, secure: Log) -> Evidence:
    """Evidence of who the board is: its own files, and what both consoles said since the run began."""
    found = session.read_many(ABOUT.values())
    artefacts = [
        Artefact(name, data) for name, path in ABOUT.items() if isinstance(data := found[path], bytes)
    ]
    artefacts += [Artefact(CONSOLE, console.since(0)), Artefact(SECURE_CONSOLE, secure.since(0))]
    return Evidence(tuple(artefacts))


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
