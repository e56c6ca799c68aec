# SPDX-License-Identifier: MIT
"""The one register of RCC that switches a watchdog's clock.

Ref: STM32MP25: RCC_IWDG3CFGR, read and written. STM32MP15: RM0436, RCC_MC_APB1ENSETR, ones set bits.
"""

from attrs import define

from mpbench_virtual.memory import Gate
from mpbench_virtual.peripherals.bus import Refuse

PAGE = 0x1000


def always_on() -> bool:
    """Clock of a watchdog whose core has no access to RCC: switched on before the core is released."""
    return True


@define
class ClockGate:
    """RCC's page: one register is modelled, accesses to others are refused."""

    _gate: Gate
    _refuse: Refuse
    _value: int = 0

    @property
    def da(self) -> int:
        """Device address of the page."""
        return self._gate.da & ~(PAGE - 1)

    def read(self, offset: int, size: int) -> int:
        """Value of the register; another one reads 0 and is reported."""
        return self._value if self._known(f"{size}-byte read", offset, size) else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register; in a set-only one, bits that are set stay set."""
        if self._known(f"write of 0x{value:x}", offset, size):
            self._value = value | (self._value if self._gate.sets_only else 0)

    def enabled(self) -> bool:
        """Whether the clock is on."""
        return bool(self._value & self._gate.mask)

    def _known(self, access: str, offset: int, size: int) -> bool:
        if self.da + offset == self._gate.da and size == 4:
            return True
        modelled = f"only 0x{self._gate.da - self.da:03x} is modelled"
        self._refuse(f"rcc: {access} at 0x{offset:03x} refused: {modelled}")
        return False
