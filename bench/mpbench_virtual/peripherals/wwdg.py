# SPDX-License-Identifier: MIT
"""Window watchdog of the STM32MP15.

Ref: RM0436, WWDG: WWDG_CR, _CFR, _SR. Time-out = 4096 * 2^WDGTB * (T[5:0] + 1) / PCLK1. The reset comes
when T6 falls, when T is written while it is above the window, or when it is written without T6.
The early wake-up flag is shown in SR; its interrupt, which only the core gets, is not modelled.
"""

from typing import ClassVar

from attrs import define

from mpbench_virtual.peripherals.bus import Watchdog

CR, CFR, SR = 0x00, 0x04, 0x08
CR_WDGA, T_MASK, T6 = 1 << 7, 0x7F, 1 << 6
CFR_EWI, CFR_WDGTB_SHIFT, CFR_MASK = 1 << 9, 11, (7 << 11) | (1 << 9) | 0x7F


@define
class Wwdg(Watchdog):
    """One WWDG in board time."""

    registers: ClassVar = {CR: "CR", CFR: "CFR", SR: "SR"}

    _active: bool = False
    _config: int = T_MASK
    _early_flag: bool = False
    _bitten: bool = False
    _counter: int = T_MASK

    def _value(self, offset: int) -> int:
        if offset == CR:
            return (CR_WDGA if self._active else 0) | (self._count() & T_MASK)
        return self._config if offset == CFR else int(self._early())

    def write(self, offset: int, size: int, value: int) -> None:
        if reason := self._no_access(offset, size):
            self._refuse(f"{self.name}: write of 0x{value:x} at 0x{offset:03x} refused: {reason}")
        elif offset == CR:
            self._control(value)
        elif offset == CFR:
            self._load(self._count())
            self._config = value & CFR_MASK | self._config & CFR_EWI
        elif not value & 1:
            self._early_flag = False

    def expired(self) -> bool:
        return self._active and (self._bitten or self._count() < T6)

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

    def _count(self) -> int:
        """T, free running; below T6 it has run out. It wraps only while the watchdog is off."""
        count = self._left(4096 << (self._config >> CFR_WDGTB_SHIFT & 7))
        return count if self._active else count % (T_MASK + 1)
