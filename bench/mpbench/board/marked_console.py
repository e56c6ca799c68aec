# SPDX-License-Identifier: MIT
"""OP-TEE's console with a sign of life at both ends of a step: a console that was away is not a quiet one.

A TEE call that OP-TEE refuses with a line on its console is the marker. OP-TEE prints it after everything
else, and UART, terminal server and connection keep that order: once a marker has arrived, all earlier output
has. So nothing has to be waited for, and a marker that does not arrive means that the console is away.
Markers look alike, so they are counted.

Ref: OP-TEE core/pta/stats.c, get_pager_stats() (CFG_WITH_STATS=y, the default of ST's platforms)
"""

import re
import time
from typing import Protocol

from attrs import define, field

from mpbench.board.byte_log import LogMatch
from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError

PATH = "/tmp/mpbench-marker"
CALL = "{path} context times,{count} session,d96a5b40-e2c7-b1af-8794-1002a5d5c61b invoke,0,0 close,0"
"""Words of firmware/userland/tee-client.c: a request for the pager's statistics without its parameters.

Each session is closed: one that ends with the program looks like a leak to who counts calls of the driver.
"""
MARKER = re.compile(rb"[^\n]*get_pager_stats:\d+ expect 3 output values as argument\r?\n")
MARKER_S = 5.0
"""A marker takes milliseconds; a terminal server that needs longer than this is away."""
CALL_S = 20.0
BURST = 40
"""Markers of check_quality(): about 3 kB, a quarter of a second at 115200 baud."""


class Recorder(Protocol):
    """What is needed of ConsoleRecorder."""

    name: str

    @property
    def away(self) -> str:
        """Why the connection is lost at present, "" while there is one."""

    @property
    def losses(self) -> list[tuple[int, str]]:
        """Position and reason of every loss of the connection."""

    def mark(self) -> int:
        """Position of the next byte."""

    def since(self, mark: int, until: int | None = None) -> bytes:
        """All bytes from `mark` to `until`."""

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> LogMatch | None:
        """First match from `mark` on, None if there is none within deadline_s."""

    def reopen(self) -> None:
        """Connect anew; what the old connection still carries is dropped."""


@define
class MarkedConsole:
    """The console that carries OP-TEE's log. InfrastructureError if it was away in a step.

    program: tee-client, built for the board; b"" if there is none
    exact:   whether markers work on this board. Without them a loss of the connection is still noticed, but a
             silent console may be a quiet one or one that is away: then `proves_silence` is False.
    """

    recorder: Recorder
    session: Session
    program: bytes
    exact: bool = field(init=False, default=False)
    _sent: int = field(init=False, default=0)
    _seen: int = field(init=False, default=0)
    _position: int = field(init=False, default=0)
    _uploaded: str = field(init=False, default="")
    _losses: dict[int, int] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._position = self.recorder.mark()
        self.exact = bool(self.program) and self._printed_one()

    @property
    def proves_silence(self) -> bool:
        """Whether an empty log shows that nothing was printed."""
        return self.exact

    def mark(self) -> int:
        """Position of the next byte, once everything printed so far has arrived."""
        position = self._marker().end if self.exact else self.recorder.mark()
        self._losses[position] = len(self.recorder.losses)
        return position

    def since(self, mark: int) -> bytes:
        """All bytes from `mark` until now. InfrastructureError if some may be missing."""
        until = self._marker().start if self.exact else None
        lost = self.recorder.losses[self._losses[mark] :] if mark in self._losses else []
        if lost:
            raise self._away(f"the connection was lost during the step: {lost[0][1]}")
        return MARKER.sub(b"", self.recorder.since(mark, until))

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> bool:
        """Whether the console from `mark` on matched; with markers at once, else before the deadline."""
        if self.exact:
            return pattern.search(self.since(mark)) is not None
        return self.recorder.find(pattern, mark, deadline_s) is not None

    def position(self) -> int:
        """See SecureLog."""
        return self.recorder.mark()

    def arrived(self, position: int) -> bytes:
        """See SecureLog."""
        return MARKER.sub(b"", self.recorder.since(position))

    def check_quality(self) -> None:
        """InfrastructureError if the console loses bytes: not all of many markers arrive undamaged."""
        if self.exact:
            self._marker(BURST)

    def close(self) -> None:
        """Remove the program from the board."""
        if self._uploaded:
            self._uploaded = ""
            self.session.execute(f"rm -f {PATH}")

    def _away(self, why: str) -> InfrastructureError:
        return InfrastructureError(f"console {self.recorder.name}: {why}")

    def _printed_one(self) -> bool:
        """Whether a marker appears: not without a TEE, without its statistics, or with a silent OP-TEE."""
        return self._call(1) and self._await(MARKER_S) is not None

    def _marker(self, count: int = 1) -> LogMatch:
        """Have OP-TEE print markers; the last of them, once it has arrived."""
        if why := self.recorder.away:
            raise self._away(f"not connected: {why}")
        if not self._called(count):
            raise self._away("the call of the TEE that prints a marker failed")
        found = self._await(MARKER_S)
        if found is None:
            missing = self._sent - self._seen
            self._synchronise()
            raise self._away(f"{missing} of {count} markers did not arrive within {MARKER_S:g} s")
        return found

    def _called(self, count: int) -> bool:
        """Whether the call was answered; if not, how many markers it printed is unknown."""
        try:
            answered = self._call(count)
        except InfrastructureError:
            self._synchronise()
            raise
        if not answered:
            self._synchronise()
        return answered

    def _call(self, count: int) -> bool:
        if self._uploaded != self.session.boot_id:
            self.session.put_bytes(self.program, PATH)
            self.session.execute(f"chmod 700 {PATH}")
            self._uploaded = self.session.boot_id
        reply = self.session.call(CALL.format(path=PATH, count=count), CALL_S)
        answered = reply.code == 0 and reply.stdout.count(b" invoke errno=0 ret=ffff0006 ") == count
        self._sent += count if answered else 0
        return answered

    def _await(self, deadline_s: float) -> LogMatch | None:
        """The last marker that was sent; None if one does not arrive in time."""
        deadline, found = time.monotonic() + deadline_s, None
        while self._seen < self._sent:
            found = self.recorder.find(MARKER, self._position, max(0.0, deadline - time.monotonic()))
            if found is None:
                return None
            self._seen, self._position = self._seen + 1, found.end
        return found

    def _synchronise(self) -> None:
        """After a missing marker: a late one must not be taken for a later one, so connect anew."""
        self.recorder.reopen()
        self._position, self._seen = self.recorder.mark(), self._sent
