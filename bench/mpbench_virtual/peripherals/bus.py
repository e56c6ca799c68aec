# SPDX-License-Identifier: MIT
"""What a peripheral is to the core that reads and writes it, and the clock they share."""

import time
from collections.abc import Callable
from typing import Protocol

NowNs = Callable[[], int]
Refuse = Callable[[str], None]
"""Called with one line for each access that the hardware would refuse."""

STALL_NS = 50_000_000
"""A longer gap between two looks at the clock is the host's, not the board's."""


class Peripheral(Protocol):
    """Registers at `da`; offsets are relative to it, sizes in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def da(self) -> int: ...

    def read(self, offset: int, size: int) -> int: ...

    def write(self, offset: int, size: int, value: int) -> None: ...


class Watchdog(Peripheral, Protocol):
    """A peripheral that resets its core when nobody refreshes it."""

    def expired(self) -> bool:
        """True from the moment at which hardware pulls the core's reset."""
        ...


class BoardClock:
    """Real time for the core and its peripherals, in ns.

    A host that stops this process for longer than STALL_NS stops the whole board with it: without
    that, a busy machine would look like a firmware that forgot its watchdog. `stalled_ns` is the time
    left out.
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
