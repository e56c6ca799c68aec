# SPDX-License-Identifier: MIT
"""KernelLogFollower: the kernel's log for the whole run, over /dev/kmsg in a channel of its own.

Ref: Linux Documentation/ABI/testing/dev-kmsg
"""

import contextlib
import re
import secrets
import threading

from attrs import frozen

from mpbench.board.byte_log import ByteLog, LogMatch
from mpbench.board.protocols import Marker
from mpbench.board.session.channel import SshProcess
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError, InvalidRun

KMSG = "/dev/kmsg"
FOLLOW = (
    ": <%s || exit 66; while :; do dd if=%s bs=16384 2>/dev/null; [ $? = 1 ] || exit; done"
    # dd: one whole record per read. It exits with 1 when records were overwritten before they were read
    # (EPIPE); the next dd starts at the oldest record.
)
PRINTK_DEVKMSG = "/proc/sys/kernel/printk_devkmsg"
HEAD = re.compile(rb"^(\d+),(\d+),(\d+),[^;\n]*;", re.MULTILINE)
MARKER_TIMEOUT_S = 10.0
LINE_BYTES = 64 << 10
"""Of a line, eight times what the kernel gives for a record; the rest of a longer one is cut off."""
CUT = b" [cut by mpbench]"
_NO_TIMEOUT_S = 10.0**9


@frozen
class Gap:
    """Records that the kernel overwrote before they were read: their position in the log and their number."""

    position: int
    missing: int


class RecordFilter:
    """Passes every record once, by its sequence number, and counts the missing ones. Pure."""

    def __init__(self) -> None:
        self.last = -1
        self._rest = b""
        self._passing = True

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Whole lines of new records, and the number of records that are missing before them."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()[: LINE_BYTES + 1]
        kept, missing = bytearray(), 0
        for line in lines:
            if head := HEAD.match(line):  # a continuation line belongs to its record
                number = int(head[2])
                self._passing = number > self.last
                missing += number - self.last - 1 if self._passing and self.last >= 0 else 0
                self.last = max(self.last, number)
            if self._passing:
                kept += (line if len(line) <= LINE_BYTES else line[:LINE_BYTES] + CUT) + b"\n"
        return bytes(kept), missing


class KernelLogFollower:
    """Follows the kernel's log through `session`, across reboots.

    gaps: records that the kernel overwrote before they were read
    ended_why: why the follower on the board ended, "" while it runs

    InfrastructureError if the follower has ended, InvalidRun if records are missing in what was asked for.
    """

    def __init__(self, session: SessionDriver, path: str = KMSG) -> None:
        self._session = session
        self._path = path
        self._log = ByteLog("kernel log")
        self._nonce = secrets.token_hex(4)
        self._markers = 0
        self._exact = True
        self._printk_devkmsg = ""
        self._unlimited = self._seen_marker = self._lived = False
        self.gaps: list[Gap] = []
        self.ended_why = ""
        self._start()
        session.on_reconnect(self._restart)

    def mark(self) -> int:
        """Current end of the log."""
        return self.position(self._write(self.marker()))

    def since(self, mark: int) -> bytes:
        """Raw records from `mark` until now, as /dev/kmsg gave them."""
        self._check_follower()
        return self.until(self._write(self.marker()), mark)

    def marker(self) -> Marker:
        """A new marker line, which any command can write into the log; see position() and until()."""
        self._markers += 1
        text = f"mpbench mark {self._nonce}-{self._markers}"
        return Marker(text, f"echo '<15>{text}' >{self._path}" if self._exact else ":", self._log.mark())

    def position(self, marker: Marker) -> int:
        """Position after a marker that was written."""
        found = self._find(marker)
        return found.end if found else marker.start

    def until(self, marker: Marker, mark: int) -> bytes:
        """Raw records from `mark` to a marker that was written."""
        found = self._find(marker)
        self._check_follower()
        end = found.start if found else self._log.mark()
        if missing := sum(gap.missing for gap in self.gaps if 0 < mark <= gap.position <= end):
            raise InvalidRun(f"{self._path}: the kernel overwrote {missing} records before they were read")
        return self._log.since(mark, end)

    def _check_follower(self) -> None:
        """A board without /dev/kmsg has no log; one that had one has lost it."""
        if self.ended_why and self._lived:
            raise InfrastructureError(f"the kernel log is not followed any more: {self.ended_why}")

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> LogMatch | None:
        """First match in the raw records from `mark` on; None if there is none within deadline_s."""
        found = self._log.find(pattern, mark, deadline_s)
        if found is None:
            self._check_follower()
        return found

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> bool:
        """Whether the log from `mark` on matched before the deadline."""
        return self.find(pattern, mark, deadline_s) is not None

    def close(self) -> None:
        """Stop following and restore the board's printk_devkmsg; what was read stays readable."""
        self._process.close()
        before = self._printk_devkmsg
        with contextlib.suppress(InfrastructureError):
            self._session.execute(f"[ -z '{before}' ] || echo '{before}' >{PRINTK_DEVKMSG}")

    def _restart(self) -> None:
        self._process.close()
        self._start()

    def _start(self) -> None:
        # without "on" the kernel drops markers after ten in 5 s
        switch = f"cat {PRINTK_DEVKMSG}; echo on >{PRINTK_DEVKMSG}; cat {PRINTK_DEVKMSG}"
        states = self._session.execute(switch).stdout.decode("ascii", "replace").split()
        self._printk_devkmsg = states[0] if states else ""
        self._unlimited, self._seen_marker, self._lived = states[1:] == ["on"], False, False
        self._process = self._session.spawn(FOLLOW % (self._path, self._path))
        self._exact = True
        self.ended_why = ""
        threading.Thread(target=self._pump, args=(self._process,), name="kmsg", daemon=True).start()

    def _pump(self, process: SshProcess) -> None:
        records = RecordFilter()
        try:
            while data := process.read(_NO_TIMEOUT_S):
                self._lived = True
                kept, missing = records.feed(data)
                if missing:
                    self.gaps.append(Gap(self._log.mark(), missing))
                if kept:
                    self._log.append(kept)
            why = one_line(f"{self._path}: the follower on the board ended")
        except InfrastructureError as e:
            why = one_line(e)
        if process is self._process:  # not one that a later one has replaced
            self.ended_why = why

    def _write(self, marker: Marker) -> Marker:
        if self._exact:
            self._session.execute(marker.command)
        return marker

    def _find(self, marker: Marker) -> LogMatch | None:
        if not self._exact:
            return None
        line = re.compile(rb"^[^\n]*;" + marker.text.encode() + rb"\n", re.MULTILINE)
        found = self._log.find(line, marker.start, MARKER_TIMEOUT_S)
        if found is not None:
            self._seen_marker = True
            return found
        self._check_follower()
        if self._unlimited and self._seen_marker:  # a log that could carry them is away
            raise InfrastructureError(f"{self._path}: a marker did not arrive within {MARKER_TIMEOUT_S:g} s")
        self._exact = False
        self._session.logger.warning(
            "no markers appear in %s: positions are only exact to a round trip", self._path
        )
        return None
