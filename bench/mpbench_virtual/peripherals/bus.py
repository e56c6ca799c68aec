# SPDX-License-Identifier: MIT
"""Interface between a core and its peripherals, what watchdogs have in common, and the clock they share."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from attrs import define, field

from mpbench_virtual.memory import WatchdogSpec

NowNs = Callable[[], int]
Refuse = Callable[[str], None]
"""Called with one line per access that the hardware would refuse."""

NS_PER_S = 1_000_000_000
STALL_NS = 50_000_000
"""A longer gap between two readings of the clock is the host's, not the board's."""


class Peripheral(Protocol):
    """Registers at `da`; offsets are relative to it, sizes in bytes."""

    @property
    def da(self) -> int: ...

    def read(self, offset: int, size: int) -> int: ...

    def write(self, offset: int, size: int, value: int) -> None: ...


@define
class Watchdog(ABC):
    """Resets its core when it is not refreshed; a new object is in reset state. `clocked`: RCC feeds it."""

    registers: ClassVar[Mapping[int, str]]
    """Names by offset."""

    spec: WatchdogSpec
    _now_ns: NowNs
    _refuse: Refuse
    _clocked: Callable[[], bool]
    _counter: int = field(init=False)
    _counter_ns: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._counter_ns = self._now_ns()

    @property
    def name(self) -> str:
        """The SoC's name of it."""
        return self.spec.name

    @property
    def da(self) -> int:
        """Device address of its registers."""
        return self.spec.da

    def read(self, offset: int, size: int) -> int:
        """Value of a register; write-only ones read 0."""
        if reason := self._no_access(offset, size):
            self._refuse(f"{self.name}: {size}-byte read at 0x{offset:03x} refused: {reason}")
            return 0
        return self._value(offset)

    @abstractmethod
    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; what hardware ignores is ignored and reported."""

    @abstractmethod
    def expired(self) -> bool:
        """True from the moment at which hardware asserts the core's reset."""

    @abstractmethod
    def _value(self, offset: int) -> int: ...

    def _no_access(self, offset: int, size: int) -> str | None:
        if offset not in self.registers or size not in (2, 4):
            names = ", ".join(f"{name} 0x{at:02x}" for at, name in self.registers.items())
            return f"registers are {names}, 2 or 4 bytes wide"
        return None if self._clocked() else "its clock is off in RCC"

    def _load(self, count: int) -> None:
        self._counter, self._counter_ns = count, self._now_ns()

    def _left(self, divider: int) -> int:
        """The down-counter, one step per `divider` periods of its clock; negative once it ran out."""
        elapsed_ns = self._now_ns() - self._counter_ns
        return self._counter - elapsed_ns * self.spec.clock_hz // (divider * NS_PER_S)


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
