# SPDX-License-Identifier: MIT
"""The bytes of a stream in an unlinked temporary file, with positions, and waits for patterns.

The file is a ring: of a stream that is longer, or if the disk is nearly full, its last bytes are kept.
"""

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
MOST_BYTES = 64 << 20
"""Of a stream that are kept: an hour and a half at 115200 baud."""
LEAST_BYTES = 1 << 20
"""Are kept on a disk that is nearly full, too."""
FREE_BYTES = 256 << 20
"""Are left free on the disk of temporary files."""

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
    kept: position of the oldest byte that is still there.
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
        self._end = self.kept = 0
        self._room = LEAST_BYTES
        self._growing = True
        self._failure: OSError | None = None

    def append(self, data: bytes) -> None:
        """Append the stream's next bytes. A failed write is raised in every later `since`."""
        try:
            for start in range(0, len(data), LEAST_BYTES):
                self._store(memoryview(data)[start : start + LEAST_BYTES], self._end + start)
        except OSError as e:
            self._failure = e
        with self._grown:
            self._end += len(data)
            self._grown.notify_all()

    def _store(self, view: memoryview, position: int) -> None:
        while self._growing and position + len(view) > self._room:
            disk = os.fstatvfs(self._descriptor)
            self._growing = self._room < MOST_BYTES and disk.f_bavail * disk.f_frsize > FREE_BYTES
            self._room += LEAST_BYTES if self._growing else 0
        self.kept = max(self.kept, position + len(view) - self._room)  # before they are overwritten
        while view:
            at = position % self._room
            written = os.pwrite(self._descriptor, view[: self._room - at], at)
            view, position = view[written:], position + written

    def mark(self) -> int:
        """Position of the next byte."""
        return self._end

    def since(self, mark: int, until: int | None = None) -> bytes:
        """Bytes from `mark` to `until` (default: now). InfrastructureError if this host has not kept them."""
        end = self._end if until is None else until
        data = bytearray()
        while mark + len(data) < end and self._failure is None:
            at, size = (mark + len(data)) % self._room, end - mark - len(data)
            piece = os.pread(self._descriptor, min(size, self._room - at), at)
            if not piece:
                break
            data += piece
        if self._failure is not None:
            raise InfrastructureError(
                f"{self._name}: cannot be stored on this host: {self._failure.strerror}"
            )
        if mark < self.kept:
            why = "" if self._room == MOST_BYTES else ", since the disk of temporary files is nearly full"
            kept = f"only the last {self._room >> 20} MiB were kept{why}"
            raise InfrastructureError(f"{self._name}: of {self._end - mark} bytes {kept}")
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
