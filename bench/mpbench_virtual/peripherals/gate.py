# SPDX-License-Identifier: MIT
"""The one register of RCC that switches a watchdog's clock.

Ref: STM32MP25: RCC_IWDG3CFGR, read and written. STM32MP15: RM0436, RCC_MC_APB1ENSETR, ones set bits.
"""

from mpbench_virtual.memory import Gate
from mpbench_virtual.peripherals.bus import Refuse

PAGE = 0x1000


def always_on() -> bool:
    """Clock of a watchdog whose core has no access to RCC: switched on before the core is released."""
    return True


class ClockGate:
    """RCC's page: one register is modelled, accesses to others are refused."""

    name = "rcc"

    def __init__(self, gate: Gate, refuse: Refuse) -> None:
        self.da = gate.da & ~(PAGE - 1)
        self._offset = gate.da - self.da
        self._gate = gate
        self._refuse = refuse
        self._value = 0

    def read(self, offset: int, size: int) -> int:
        """Value of the register; another one reads 0 and is reported."""
        if self._known(offset, size):
            return self._value
        self._refuse(
            f"rcc: {size}-byte read at 0x{offset:03x} refused: only 0x{self._offset:03x} is modelled"
        )
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write the register; in a set-only one, bits that are set stay set."""
        if self._known(offset, size):
            self._value = value | (self._value if self._gate.sets_only else 0)
        else:
            self._refuse(
                f"rcc: write of 0x{value:x} at 0x{offset:03x} refused: only 0x{self._offset:03x} is modelled"
            )

    def enabled(self) -> bool:
        """Whether the clock is on."""
        return bool(self._value & self._gate.mask)

    def _known(self, offset: int, size: int) -> bool:
        return offset == self._offset and size == 4
