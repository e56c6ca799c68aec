# SPDX-License-Identifier: MIT
"""Window watchdog of the STM32MP15.

Ref: RM0436, WWDG: WWDG_CR, _CFR, _SR. Time-out = 4096 * 2^WDGTB * (T[5:0] + 1) / PCLK1. The reset comes
when T6 falls, when T is written while it is above the window, or when it is written without T6.
The early wake-up flag is shown in SR; its interrupt, which only the core gets, is not modelled.
"""

from collections.abc import Callable

from mpbench_virtual.memory import WatchdogSpec
from mpbench_virtual.peripherals.bus import NowNs, Refuse

CR, CFR, SR = 0x00, 0x04, 0x08
NAMES = {CR: "CR", CFR: "CFR", SR: "SR"}
CR_WDGA, T_MASK, T6 = 1 << 7, 0x7F, 1 << 6
CFR_EWI, CFR_WDGTB_SHIFT, CFR_MASK = 1 << 9, 11, (7 << 11) | (1 << 9) | 0x7F
NS_PER_S = 1_000_000_000


class Wwdg:
    """One WWDG in board time; a new object is in reset state. `clocked`: whether RCC feeds it."""

    def __init__(
        self, spec: WatchdogSpec, now_ns: NowNs, refuse: Refuse, clocked: Callable[[], bool]
    ) -> None:
        self.name = spec.name
        self.da = spec.da
        self._now_ns = now_ns
        self._refuse = refuse
        self._clock_hz = spec.clock_hz
        self._clocked = clocked
        self._active = False
        self._config = T_MASK
        self._early_flag = False
        self._bitten = False
        self._counter = T_MASK
        self._counter_ns = now_ns()

    def read(self, offset: int, size: int) -> int:
        """Value of a register."""
        if reason := self._why_not(offset, size):
            self._refuse(f"{self.name}: {size}-byte read at 0x{offset:03x} refused: {reason}")
            return 0
        if offset == CR:
            return (CR_WDGA if self._active else 0) | (self._count() & T_MASK)
        return self._config if offset == CFR else int(self._early())

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; what hardware ignores is ignored and reported."""
        if reason := self._why_not(offset, size):
            self._refuse(f"{self.name}: write of 0x{value:x} at 0x{offset:03x} refused: {reason}")
        elif offset == CR:
            self._control(value)
        elif offset == CFR:
            self._load(self._count())
            self._config = value & CFR_MASK | self._config & CFR_EWI
        elif not value & 1:
            self._early_flag = False

    def expired(self) -> bool:
        """True once T6 fell, or a refresh was wrong."""
        return self._active and (self._bitten or self._count() < T6)

    def _why_not(self, offset: int, size: int) -> str | None:
        if offset not in NAMES or size not in (2, 4):
            return "registers are CR 0x00, CFR 0x04, SR 0x08, 2 or 4 bytes wide"
        if not self._clocked():
            return "its clock is off in RCC"
        return None

    def _control(self, value: int) -> None:
        if self._active and not value & CR_WDGA:
            self._refuse(f"{self.name}: WDGA can't be cleared by software, 0x{value:x} written to CR")
        too_early = self._active and self._count() > self._config & T_MASK
        self._active = self._active or bool(value & CR_WDGA)
        self._bitten = self._bitten or (self._active and (too_early or not value & T6))
        self._early()
        self._load(value & T_MASK)

    def _early(self) -> bool:
        self._early_flag = self._early_flag or self._count() <= T6
        return self._early_flag

    def _load(self, count: int) -> None:
        self._counter, self._counter_ns = count, self._now_ns()

    def _count(self) -> int:
        """T, free running; below T6 it has run out. It wraps only while the watchdog is off."""
        divider = 4096 << (self._config >> CFR_WDGTB_SHIFT & 7)
        elapsed = (self._now_ns() - self._counter_ns) * self._clock_hz // (divider * NS_PER_S)
        count = self._counter - elapsed
        return count if self._active else count % (T_MASK + 1)
