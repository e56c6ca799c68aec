# SPDX-License-Identifier: MIT
"""SysTick and its pending bit in the system control space of a Cortex-M.

Ref: Arm v7-M Architecture Reference Manual (DDI 0403), B3.3 SysTick, B3.2.4 ICSR. The same registers
exist in Armv6-M and Armv8-M. The count is exact in board time: `cpu_hz` cycles are a second.
"""

from typing import ClassVar

from attrs import define

from mpbench_virtual.peripherals.bus import NS_PER_S, NowNs, Refuse

SCS_DA = 0xE000_E000
CSR, RVR, CVR, ICSR = 0x010, 0x014, 0x018, 0xD04
CSR_ENABLE, CSR_TICKINT, CSR_CLKSOURCE, CSR_COUNTFLAG = 1 << 0, 1 << 1, 1 << 2, 1 << 16
ICSR_PENDSTCLR, ICSR_PENDSTSET = 1 << 25, 1 << 26


@define
class SysTick:
    """SYST_CSR, SYST_RVR, SYST_CVR and the SysTick bits of ICSR; the rest of the space is refused."""

    da: ClassVar = SCS_DA

    _cpu_hz: int
    _now_ns: NowNs
    _refuse: Refuse
    _control: int = 0
    _reload: int = 0
    _wrapped: bool = False
    _pending: bool = False
    _started_ns: int = 0
    _wraps: int = 0

    def read(self, offset: int, size: int) -> int:
        """Value of a register; COUNTFLAG is cleared by reading it."""
        self._catch_up()
        if size == 4 and offset == CSR:
            flag, self._wrapped = (CSR_COUNTFLAG if self._wrapped else 0), False
            return self._control | flag
        if size == 4 and offset == RVR:
            return self._reload
        if size == 4 and offset == CVR:
            return self._current()
        if size == 4 and offset == ICSR:
            return ICSR_PENDSTSET if self._pending else 0
        self._refuse(f"scs: {size}-byte read at 0x{offset:03x}: only SysTick and ICSR are modelled")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; any write to CVR clears the count."""
        self._catch_up()
        if size == 4 and offset == CSR:
            if value & CSR_ENABLE and not self._control & CSR_ENABLE:
                self._restart()
            self._control = value & (CSR_ENABLE | CSR_TICKINT | CSR_CLKSOURCE)
        elif size == 4 and offset == RVR:
            self._reload = value & 0xFF_FFFF
        elif size == 4 and offset == CVR:
            self._wrapped = False
            self._restart()
        elif size == 4 and offset == ICSR:
            self._pending = bool(value & ICSR_PENDSTSET) or (self._pending and not value & ICSR_PENDSTCLR)
        else:
            self._refuse(f"scs: {size}-byte write at 0x{offset:03x}: only SysTick and ICSR are modelled")

    def pending(self) -> bool:
        """Whether the exception is pending: this ends a WFI."""
        self._catch_up()
        return self._pending

    def until_pending_ns(self) -> int | None:
        """Board time until the exception becomes pending; None: never."""
        if self.pending():
            return 0
        if not self._counting() or not self._control & CSR_TICKINT:
            return None
        due_ns = self._started_ns + (self._wraps + 1) * self._period_ns()
        return max(0, due_ns - self._now_ns())

    def _counting(self) -> bool:
        return bool(self._control & CSR_ENABLE and self._reload)

    def _period_ns(self) -> int:
        return max(1, (self._reload + 1) * NS_PER_S // self._cpu_hz)

    def _restart(self) -> None:
        self._started_ns = self._now_ns()
        self._wraps = 0

    def _catch_up(self) -> None:
        if not self._counting():
            return
        wraps = (self._now_ns() - self._started_ns) // self._period_ns()
        if wraps > self._wraps:
            self._wraps = wraps
            self._wrapped = True
            self._pending = self._pending or bool(self._control & CSR_TICKINT)

    def _current(self) -> int:
        if not self._counting():
            return 0
        into_ns = (self._now_ns() - self._started_ns) % self._period_ns()
        return max(0, self._reload - into_ns * self._cpu_hz // NS_PER_S)
