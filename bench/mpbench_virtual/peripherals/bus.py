# SPDX-License-Identifier: MIT
"""Interface between a core and its peripherals, and the clock they share."""

import time
from collections.abc import Callable
from typing import Protocol

NowNs = Callable[[], int]
Refuse = Callable[[str], None]
"""Called with one line per access that the hardware would refuse."""

STALL_NS = 50_000_000
"""A longer gap between two readings of the clock is the host's, not the board's."""


class Peripheral(Protocol):
    """Registers at `da`; offsets are relative to it, sizes in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def da(self) -> int: ...

    def read(self, offset: int, size: int) -> int: ...

    def write(self, offset: int, size: int, value: int) -> None: ...


class Watchdog(Peripheral, Protocol):
    """A peripheral that resets its core when it is not refreshed."""

    def expired(self) -> bool:
        """True from the moment at which hardware asserts the core's reset."""
        ...


class BoardClock:
    """Real time for the core and its peripherals, in ns.

    When the host stops this process for longer than STALL_NS, board time stops too: otherwise a busy
    host would look like firmware that does not refresh its watchdog. `stalled_ns` is the time left out.
    """

    def __init__(self, monotonic_ns: NowNs = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._last_ns = monotonic_ns()
        self._now_ns = 0
        self.stalled_ns = 0

    def now_ns(self) -> int:
        """Board time since the clock was made."""
        seen_ns = self._monotonic_ns()
        gap_ns, self._last_ns = seen_ns - self._last_ns, seen_ns
        counted_ns = min(gap_ns, STALL_NS)
        self.stalled_ns += gap_ns - counted_ns
        self._now_ns += counted_ns
        return self._now_ns
