# SPDX-License-Identifier: MIT
"""All bytes of a stream, kept in a file nobody else can see, with positions, and waits for patterns."""

import os
import re
import tempfile
import threading
import time
import weakref
from collections.abc import Callable

from attrs import frozen

from mpbench.core.errors import InfrastructureError

SEARCH_SHARE = 4
"""Of the time of a wait, one part in this many at most is spent on searching: see `find`."""

_pause = threading.Event().wait


@frozen
class Found:
    """Where a pattern matched: positions in the stream, and the match itself."""

    start: int
    end: int
    match: re.Match[bytes]


class ByteLog:
    """Append-only; one writer, any number of readers. Positions count bytes from the start of the run.

    clock: seconds, monotonic; pause: waits that many seconds.
    close: gives the file back, and the bytes with it; at the latest it happens with the last reference.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = _pause,
    ) -> None:
        self._name = name
        self._clock = clock
        self._pause = pause
        self._descriptor, path = tempfile.mkstemp(prefix="mpbench-")
        os.unlink(path)
        self.close = weakref.finalize(self, os.close, self._descriptor)
        self._news = threading.Condition()
        self._end = 0
        self._failure: OSError | None = None

    def append(self, data: bytes) -> None:
        """Take the stream's next bytes. What the disk does not take is reported to every reader."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as e:
            self._failure = e
        with self._news:
            self._end += len(data)
            self._news.notify_all()

    def mark(self) -> int:
        """Position of the next byte."""
        return self._end

    def since(self, mark: int, until: int | None = None) -> bytes:
        """Bytes from `mark` to `until` (now). InfrastructureError if the lab host could not keep them."""
        end = self._end if until is None else until
        if self._failure is not None:
            raise InfrastructureError(f"{self._name}: can't be kept on this host: {self._failure.strerror}")
        data = bytearray()
        while mark + len(data) < end:
            piece = os.pread(self._descriptor, end - mark - len(data), mark + len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Whether the stream has grown beyond `position` in time."""
        with self._news:
            return self._news.wait_for(lambda: self._end > position, max(0.0, timeout_s))

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> Found | None:
        """First match from `mark` on; None if there is none within deadline_s (0: look once)."""
        return self.search(pattern.search, mark, deadline_s)

    def search(
        self,
        look: Callable[[bytes], re.Match[bytes] | None],
        mark: int,
        deadline_s: float,
        window: int = 0,
    ) -> Found | None:
        """As find(), for any way of looking; window: look at the last bytes only, 0 at all since `mark`.

        A pattern may span everything since `mark`, so all of it is looked at again when more has come.
        Not at every byte, which would be quadratic: after a look that took t, the next is not before 3 t.
        """
        deadline = self._clock() + deadline_s
        while True:
            begun, end = self._clock(), self._end
            start = max(mark, end - window) if window else mark
            match = look(self.since(start, end))
            if match is not None:
                return Found(start + match.start(), start + match.end(), match)
            now = self._clock()
            if begun >= deadline or not self.await_beyond(end, deadline - now):
                return None
            self._rest((SEARCH_SHARE - 1) * (now - begun), deadline)

    def _rest(self, rest_s: float, deadline: float) -> None:
        """Let more come before the next look."""
        left_s = min(rest_s, deadline - self._clock())
        if left_s > 0.0002:
            self._pause(left_s)
