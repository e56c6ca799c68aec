# SPDX-License-Identifier: MIT
"""What the stages need of a board: one protocol per part, so that a test can play any of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from attrs import frozen

from mpbench.board.session.shell_protocol import Reply


class RemoteProcess(Protocol):
    """A command that runs on the board beside others, until it ends or its channel is closed."""

    @property
    def pid(self) -> int:
        """Process id of its shell on the board."""

    def read(self, timeout_s: float) -> bytes:
        """Next bytes of stdout; empty at its end. InfrastructureError when none come in time."""

    def finish(self, timeout_s: float) -> Reply:
        """The rest of its output, and its exit code."""

    def close(self) -> None:
        """End it."""


class Session(Protocol):
    """Commands and files of a board; SessionDriver and SerialShellDriver are two.

    Whatever fails between here and the board raises InfrastructureError.
    """

    @property
    def boot_id(self) -> str:
        """The kernel's boot_id when the session was connected."""

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command line in the board's shell."""

    def call(self, command: str, timeout_s: float) -> Reply:
        """As execute(), for commands that may hang: other work continues beside them."""

    def spawn(self, command: str) -> RemoteProcess:
        """Start a command that runs beside others; it ends with its channel."""

    def read(self, path: str) -> bytes | str:
        """A file's bytes, or the errno's name."""

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes | str]:
        """Many files in one round trip: bytes, or the errno's name."""

    def look(
        self, paths: Sequence[str], *, first: str = "", then: str = ""
    ) -> tuple[bytes, dict[str, bytes | str], bytes]:
        """In one round trip: what the command `first` writes, some files, what the command `then` writes."""

    def put_bytes(self, data: bytes, path: str) -> None:
        """Make the board's file `path` hold `data`, whole or not at all."""

    def get_bytes(self, path: str, timeout_s: float = 60.0) -> bytes:
        """Bytes of a file on the board."""

    def get_status(self) -> int:
        """1 while the session is connected."""

    def reconnect(self, deadline_s: float, *, same_boot: bool = False) -> bool:
        """Connect again; whether the board has booted since."""

    def on_reconnect(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after every reconnect()."""


class Remoteproc(Protocol):
    """The board's co-processors as Linux shows them; RemoteprocDriver is one."""

    def cores(self) -> list[str]:
        """Names of the cores that the kernel knows now."""

    def index(self, core: str) -> str:
        """The core's directory name, e.g. "remoteproc1"."""

    def path(self, core: str, file: str) -> str:
        """Path of a core's sysfs file."""

    def debug_path(self, core: str, file: str) -> str:
        """Path of a core's debugfs file."""

    def firmware_path(self, name: str) -> str:
        """Where the kernel looks for the firmware file `name`."""

    def attributes(self, core: str, *files: str) -> dict[str, str]:
        """Text of some of a core's sysfs files."""

    def core_state(self, core: str) -> str:
        """The core's sysfs state."""

    def write(self, core: str, file: str, text: str, deadline_s: float) -> str:
        """Write a core's sysfs file; "OK" or the errno's name."""

    def crash(self, core: str, kind: int, deadline_s: float) -> str:
        """Report a crash through debugfs; "OK" or the errno's name."""

    def trace(self, core: str, buffer: int = 0) -> bytes | None:
        """Content of a trace buffer, None when the core has none."""


class Log(Protocol):
    """A reader that follows a stream of the board for the whole run."""

    def mark(self) -> int:
        """Position of what will come next."""

    def since(self, mark: int) -> bytes:
        """Everything from `mark` until now."""

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> Any:
        """Something true if the stream from `mark` on matched before the deadline."""


class KernelLog(Log, Protocol):
    """The kernel's log, whose marks can be written along with other commands."""

    def flag(self) -> Any:
        """A marker line to be written; its `command` writes it."""

    def position(self, flag: Any) -> int:
        """Position after a marker that was written."""

    def until(self, flag: Any, mark: int) -> bytes:
        """Everything from `mark` to a marker that was written."""

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> Any:
        """First match from `mark` on with its `end`, None if there is none in time."""


class Memory(Protocol):
    """A board whose memory can be read from outside, as a virtual one's."""

    def read_memory(self, pa: int, size: int) -> bytes:
        """Bytes at a physical address."""


@frozen
class Board:
    """The board as the stages see it; `console` is Linux's, which the boot loaders used before.

    memory: where its memory can be read from outside; None: not at all, as on silicon
    """

    session: Session
    remoteproc: Remoteproc
    kmsg: KernelLog
    secure: Log
    console: Log
    memory: Memory | None = None
