# SPDX-License-Identifier: MIT
"""KernelLogFollower: the kernel's log for the whole run, over /dev/kmsg in a channel of its own.

Ref: Linux Documentation/ABI/testing/dev-kmsg
"""

import contextlib
import re
import secrets
import threading

from attrs import frozen

from mpbench.board.byte_log import ByteLog, Found
from mpbench.board.session.channel import SshProcess
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError

KMSG = "/dev/kmsg"
FOLLOW = (
    ": <%s || exit 66; while :; do dd if=%s bs=16384 2>/dev/null; [ $? = 1 ] || exit; done"
    # dd: one record per read, whole. It ends with 1 when records were overwritten before they were read
    # (EPIPE); the next one starts at the oldest there is.
)
PRINTK_DEVKMSG = "/proc/sys/kernel/printk_devkmsg"
HEAD = re.compile(rb"^(\d+),(\d+),(\d+),[^;\n]*;", re.MULTILINE)
MARK_SEEN_WITHIN_S = 10.0
_FOREVER_S = 10.0**9


@frozen
class Gap:
    """Records that were overwritten before anybody read them: how many, and where in the log."""

    position: int
    missing: int


@frozen
class Flag:
    """A line of the bench's own in the kernel's log: what it says, what writes it, before where it is not."""

    text: str
    command: str
    begin: int


class RecordFilter:
    """Lets every record pass once, by its sequence number; counts what is missing. Pure."""

    def __init__(self) -> None:
        self.last = -1
        self._rest = b""
        self._passing = True

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Bytes of whole lines of new records, and how many records are missing before them."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        kept, missing = bytearray(), 0
        for line in lines:
            missing += self._judge(line)
            if self._passing:
                kept += line + b"\n"
        return bytes(kept), missing

    def _judge(self, line: bytes) -> int:
        head = HEAD.match(line)
        if head is None:  # a continuation line belongs to its record
            return 0
        number = int(head[2])
        self._passing = number > self.last
        missing = number - self.last - 1 if self._passing and self.last >= 0 else 0
        self.last = max(self.last, number)
        return missing


class KernelLogFollower:
    """Follows the kernel's log of the board behind `session`, across reboots.

    gaps: records the kernel overwrote before they were read.
    """

    def __init__(self, session: SessionDriver, path: str = KMSG) -> None:
        self._session = session
        self._path = path
        self._log = ByteLog("kernel log")
        self._nonce = secrets.token_hex(4)
        self._flags = 0
        self._exact = True
        self._limit = ""
        self._spawned: SshProcess | None = None
        self._ended = threading.Event()
        self.gaps: list[Gap] = []
        self.ended_why = ""
        session.on_reconnect(self._start)
        self._start()

    def mark(self) -> int:
        """Position in the log behind everything the kernel has said by now."""
        return self.position(self._write(self.flag()))

    def since(self, mark: int) -> bytes:
        """Raw records from `mark` until now, as /dev/kmsg gave them."""
        return self.until(self._write(self.flag()), mark)

    def flag(self) -> Flag:
        """A line to be written into the log with other work of the board; see position() and until()."""
        self._flags += 1
        text = f"mpbench mark {self._nonce}-{self._flags}"
        return Flag(text, f"echo '<15>{text}' >{self._path}" if self._exact else ":", self._log.mark())

    def position(self, flag: Flag) -> int:
        """Where the log goes on behind a flag that was written: everything before it had been said before."""
        found = self._find(flag)
        return found.end if found else flag.begin

    def until(self, flag: Flag, mark: int) -> bytes:
        """Raw records from `mark` to a flag that was written."""
        found = self._find(flag)
        return self._log.since(mark, found.start if found else None)

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> Found | None:
        """First match in the raw records from `mark` on; None if there is none in time."""
        return self._log.find(pattern, mark, deadline_s)

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> bool:
        """Whether the log from `mark` on matched before the deadline."""
        return self.find(pattern, mark, deadline_s) is not None

    def close(self) -> None:
        """Stop following; what was read stays readable. The board's kernel gets its setting back."""
        self._end()
        with contextlib.suppress(InfrastructureError):
            self._session.execute(f"[ -z '{self._limit}' ] || echo '{self._limit}' >{PRINTK_DEVKMSG}")

    def _end(self) -> None:
        if self._spawned is not None:
            self._spawned.close()

    def _start(self) -> None:
        self._end()
        # else the kernel drops marks after ten in 5 s
        before = self._session.execute(f"cat {PRINTK_DEVKMSG}; echo on >{PRINTK_DEVKMSG}").stdout
        self._limit = before.decode("ascii", "replace").strip()
        self._spawned = self._session.spawn(FOLLOW % (self._path, self._path))
        self._exact = True
        threading.Thread(target=self._pump, args=(self._spawned,), name="kmsg", daemon=True).start()

    def _pump(self, spawned: SshProcess) -> None:
        records = RecordFilter()
        try:
            while data := spawned.read(_FOREVER_S):
                kept, missing = records.feed(data)
                if missing:
                    self.gaps.append(Gap(self._log.mark(), missing))
                if kept:
                    self._log.append(kept)
            self.ended_why = one_line(f"{self._path}: the follower on the board ended")
        except InfrastructureError as e:
            self.ended_why = one_line(e)

    def _write(self, flag: Flag) -> Flag:
        if self._exact:
            self._session.execute(flag.command)
        return flag

    def _find(self, flag: Flag) -> Found | None:
        if not self._exact:
            return None
        line = re.compile(rb"^[^\n]*;" + flag.text.encode() + rb"\n", re.MULTILINE)
        found = self._log.find(line, flag.begin, MARK_SEEN_WITHIN_S)
        if found is None:
            self._exact = False
            self._session.logger.warning(
                "no marks in %s: positions there are as exact as a round trip", self._path
            )
        return found
