# SPDX-License-Identifier: MIT
"""All bytes of a stream in an unlinked temporary file, with positions, and waits for patterns."""

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
"""At most one part in this many of a wait is spent on searching: see `search`."""

_pause = threading.Event().wait
Search = Callable[[bytes], re.Match[bytes] | None]


@frozen
class LogMatch:
    """Where a pattern matched: positions in the stream, and the match itself."""

    start: int
    end: int
    match: re.Match[bytes]


class ByteLog:
    """Append-only; one writer, any number of readers. Positions count bytes from the start of the run.

    clock: seconds, monotonic; pause: waits for a number of seconds.
    close: releases the file and the bytes in it; happens with the last reference at the latest.
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
        self._grown = threading.Condition()
        self._end = 0
        self._failure: OSError | None = None

    def append(self, data: bytes) -> None:
        """Append the stream's next bytes. A failed write is raised in every later `since`."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as e:
            self._failure = e
        with self._grown:
            self._end += len(data)
            self._grown.notify_all()

    def mark(self) -> int:
        """Position of the next byte."""
        return self._end

    def since(self, mark: int, until: int | None = None) -> bytes:
        """Bytes from `mark` to `until` (default: now). InfrastructureError if the host did not store them."""
        end = self._end if until is None else until
        if self._failure is not None:
            raise InfrastructureError(
                f"{self._name}: cannot be stored on this host: {self._failure.strerror}"
            )
        data = bytearray()
        while mark + len(data) < end:
            piece = os.pread(self._descriptor, end - mark - len(data), mark + len(data))
            if not piece:
                break
            data += piece
        return bytes(data)

    def await_beyond(self, position: int, timeout_s: float) -> bool:
        """Whether the stream has grown beyond `position` within timeout_s."""
        with self._grown:
            return self._grown.wait_for(lambda: self._end > position, max(0.0, timeout_s))

    def find(self, pattern: re.Pattern[bytes], mark: int, deadline_s: float) -> LogMatch | None:
        """First match from `mark` on; None if there is none within deadline_s (0: search once)."""
        return self.search(pattern.search, mark, deadline_s)

    def search(self, find_in: Search, mark: int, deadline_s: float, window: int = 0) -> LogMatch | None:
        """As find(), with any search function; window: search the last bytes only, 0 for all since `mark`.

        A pattern may span everything since `mark`, so all of it is searched again when more has come.
        Not at every byte, which would be quadratic: after a search that took t, the next waits for 3 t.
        """
        deadline = self._clock() + deadline_s
        while True:
            started, end = self._clock(), self._end
            start = max(mark, end - window) if window else mark
            match = find_in(self.since(start, end))
            if match is not None:
                return LogMatch(start + match.start(), start + match.end(), match)
            now = self._clock()
            if started >= deadline or not self.await_beyond(end, deadline - now):
                return None
            rest_s = min((SEARCH_SHARE - 1) * (now - started), deadline - self._clock())
            if rest_s > 0.0002:
                self._pause(rest_s)
