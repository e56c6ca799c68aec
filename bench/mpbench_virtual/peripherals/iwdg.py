# SPDX-License-Identifier: MIT
"""Independent watchdog of the STM32MP2.

Ref: RM0457, IWDG: IWDG_KR, _PR, _RLR, _SR, _WINR; register text and reset values as in ST's
STM32MP25_CM33.svd. Time-out = (RL + 1) * prescaler / LSI. Updates take six periods of LSI, shown by
PVU, RVU, WVU; the model uses the new value at once and only sets these bits for that time.
Not modelled: the early interrupt (EWCR, ICR); an access to them is reported.
"""

from typing import ClassVar

from attrs import define, field

from mpbench_virtual.peripherals.bus import NS_PER_S, Watchdog

KR, PR, RLR, SR, WINR = 0x00, 0x04, 0x08, 0x0C, 0x10
KEY_RELOAD, KEY_UNLOCK, KEY_START = 0xAAAA, 0x5555, 0xCCCC
UPDATE_BIT = {PR: 1 << 0, RLR: 1 << 1, WINR: 1 << 2}
SR_ONF = 1 << 8
MASK = {PR: 0xF, RLR: 0xFFF, WINR: 0xFFF}
RESET = {PR: 0xF, RLR: 0xFFF, WINR: 0xFFF}
UPDATE_PERIODS = 6


@define
class Iwdg(Watchdog):
    """One IWDG in board time."""

    registers: ClassVar = {KR: "KR", PR: "PR", RLR: "RLR", SR: "SR", WINR: "WINR"}

    _values: dict[int, int] = field(factory=lambda: dict(RESET))
    _updated_ns: dict[int, int] = field(factory=lambda: dict.fromkeys(RESET, 0))
    _unlocked: bool = False
    _running: bool = False
    _counter: int = RESET[RLR]
    _early: bool = False

    def _value(self, offset: int) -> int:
        return self._status() if offset == SR else self._values.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        if reason := self._no_access(offset, size):
            self._refuse(f"{self.name}: {size}-byte write at 0x{offset:03x} refused: {reason}")
        elif offset == KR:
            self._key(value & 0xFFFF)
        elif reason := self._why_not(offset):
            self._refuse(f"{self.name}: write of 0x{value:x} to {self.registers[offset]} refused: {reason}")
        else:
            self._set(offset, value & MASK[offset])

    def expired(self) -> bool:
        return self._running and (self._early or self._count() < 0)

    def _status(self) -> int:
        now_ns = self._now_ns()
        updating = sum(bit for at, bit in UPDATE_BIT.items() if now_ns < self._updated_ns[at])
        return updating | (SR_ONF if self._running else 0)

    def _why_not(self, offset: int) -> str | None:
        if offset == SR:
            return "it is read-only"
        if not self._unlocked:
            return "the registers are locked, write 0x5555 to KR first"
        if self._status() & UPDATE_BIT[offset]:
            return "an update is still under way, wait for SR"
        return None

    def _key(self, key: int) -> None:
        self._unlocked = key == KEY_UNLOCK
        if key == KEY_START and not self._running:
            self._running = True
            self._load(self._values[RLR])
        elif key == KEY_RELOAD:
            self._early = self._early or (self._running and self._count() > self._values[WINR])
            self._load(self._values[RLR])

    def _set(self, offset: int, value: int) -> None:
        now_ns = self._now_ns()
        count = self._count()
        self._values[offset] = value
        self._updated_ns[offset] = now_ns + UPDATE_PERIODS * NS_PER_S // self.spec.clock_hz
        self._load(self._values[RLR] if offset == WINR else count)

    def _count(self) -> int:
        return self._left(min(4 << self._values[PR], 1024)) if self._running else self._counter
