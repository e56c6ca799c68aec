# SPDX-License-Identifier: MIT
"""The board as the stages use it: one protocol per part, so that a test can replace any of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from attrs import frozen

from mpbench.board.byte_log import LogMatch
from mpbench.board.session.shell_protocol import Reply


class RemoteProcess(Protocol):
    """A command that runs on the board concurrently with others, until it ends or its channel is closed."""

    @property
    def pid(self) -> int:
        """Process id of its shell on the board."""

    def read(self, timeout_s: float) -> bytes:
        """Next bytes of stdout; empty at its end. InfrastructureError if none arrive within timeout_s."""

    def finish(self, timeout_s: float) -> Reply:
        """The rest of its output and its exit code. InfrastructureError if it does not end in timeout_s."""

    def close(self) -> None:
        """Kill it."""


class Session(Protocol):
    """Commands and files of a board; SessionDriver implements it, SerialShellDriver its `execute`.

    Every failure between the lab host and the board raises InfrastructureError.
    """

    @property
    def boot_id(self) -> str:
        """The kernel's boot_id when the session was connected."""

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command line in the board's shell."""

    def call(self, command: str, timeout_s: float) -> Reply:
        """As execute(), for commands that may hang: other commands run concurrently."""

    def spawn(self, command: str) -> RemoteProcess:
        """Start a command that runs concurrently with others; it ends with its channel."""

    def read(self, path: str) -> bytes | str:
        """A file's bytes, or the errno's name."""

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes | str]:
        """Many files in one round trip: bytes, or the errno's name."""

    def look(
        self, paths: Sequence[str], *, first: str = "", then: str = ""
    ) -> tuple[bytes, dict[str, bytes | str], bytes]:
        """In one round trip: stdout of the command `first`, the files, stdout of the command `then`."""

    def put_bytes(self, data: bytes, path: str) -> None:
        """Write `data` to the board's file `path`, atomically and verified by hash."""

    def get_bytes(self, path: str, timeout_s: float = 60.0) -> bytes:
        """Bytes of a file on the board, verified by hash."""

    def get_status(self) -> int:
        """1 while the session is connected."""

    def reconnect(self, deadline_s: float, *, same_boot: bool = False) -> bool:
        """Connect again; whether the board has rebooted. InvalidRun if it has in spite of same_boot."""

    def on_reconnect(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every reconnect()."""


class Remoteproc(Protocol):
    """The board's co-processors as Linux presents them; RemoteprocDriver implements it.

    unshown_traces: device addresses of trace buffers that Linux does not show, by core
    """

    unshown_traces: dict[str, int]

    def cores(self) -> list[str]:
        """Names of the cores that the kernel knows now."""

    def index(self, core: str) -> str:
        """The core's directory name, e.g. "remoteproc1"."""

    def path(self, core: str, file: str) -> str:
        """Path of a core's sysfs file."""

    def debug_path(self, core: str, file: str) -> str:
        """Path of a core's debugfs file."""

    def firmware_path(self, name: str) -> str:
        """Path at which the kernel finds the firmware file `name`."""

    def attributes(self, core: str, *files: str) -> dict[str, str]:
        """Text of some of a core's sysfs files."""

    def drivers(self) -> dict[str, str]:
        """Name of each core's driver in Linux, "" where that is unknown."""

    def core_state(self, core: str) -> str:
        """The core's sysfs state."""

    def write(self, core: str, file: str, text: str, deadline_s: float) -> str:
        """Write a core's sysfs file; "OK" or the errno's name."""

    def crash(self, core: str, kind: int, deadline_s: float) -> str:
        """Report a crash through debugfs; "OK" or the errno's name."""

    def trace(self, core: str, buffer: int = 0) -> bytes | None:
        """Content of a trace buffer, None if the core has none."""


class Log(Protocol):
    """A reader that follows a stream of the board for the whole run.

    InfrastructureError or InvalidRun if bytes may be missing in what is asked for.
    """

    def mark(self) -> int:
        """Position of the next byte."""

    def since(self, mark: int) -> bytes:
        """All bytes from `mark` until now."""

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> bool:
        """Whether the stream from `mark` on matched within deadline_s."""


class SecureLog(Log, Protocol):
    """OP-TEE's log."""

    @property
    def proves_silence(self) -> bool:
        """Whether no bytes mean that OP-TEE printed none, and not that the console was away."""

    def position(self) -> int:
        """Position of the next byte; the TEE is not asked, so earlier ones may be on their way."""

    def arrived(self, position: int) -> bytes:
        """Bytes from a position that have arrived; the TEE is not asked, because it may have stopped."""

    def check_quality(self) -> None:
        """InfrastructureError if the console loses bytes."""

    def close(self) -> None:
        """Remove from the board what it was read with."""


@frozen
class Marker:
    """A line of the bench in the kernel's log: its text, the command that writes it, a position before it."""

    text: str
    command: str
    start: int


class KernelLog(Log, Protocol):
    """The kernel's log, into which a marker can be written along with other commands."""

    def marker(self) -> Marker:
        """A new marker, not written yet."""

    def position(self, marker: Marker) -> int:
        """Position after a marker that was written."""

    def until(self, marker: Marker, mark: int) -> bytes:
        """All bytes from `mark` to a marker that was written."""

    def close(self) -> None:
        """Stop following it."""

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> LogMatch | None:
        """First match from `mark` on, None if there is none within deadline_s."""


class Memory(Protocol):
    """Memory of the board that can be read without its help, as a virtual board's."""

    def read_memory(self, pa: int, size: int) -> bytes:
        """Bytes at a physical address."""


@frozen
class Board:
    """The board as the stages use it.

    kmsg:    the kernel's log
    secure:  console that carries OP-TEE's log
    console: console of the boot loaders and Linux
    memory:  None if it cannot be read from outside, as on silicon
    """

    session: Session
    remoteproc: Remoteproc
    kmsg: KernelLog
    secure: SecureLog
    console: Log
    memory: Memory | None = None
