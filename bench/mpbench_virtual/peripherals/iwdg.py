# SPDX-License-Identifier: MIT
"""Independent watchdog of the STM32MP2.

Ref: RM0457, IWDG: IWDG_KR, _PR, _RLR, _SR, _WINR; register text and reset values as in ST's
STM32MP25_CM33.svd. Time-out = (RL + 1) * prescaler / LSI. Updates take six periods of LSI, shown by
PVU, RVU, WVU; the model uses the new value at once and only sets these bits for that time.
Not modelled: the early interrupt (EWCR, ICR); an access to them is reported.
"""

from collections.abc import Callable

from mpbench_virtual.memory import WatchdogSpec
from mpbench_virtual.peripherals.bus import NowNs, Refuse

KR, PR, RLR, SR, WINR = 0x00, 0x04, 0x08, 0x0C, 0x10
KEY_RELOAD, KEY_UNLOCK, KEY_START = 0xAAAA, 0x5555, 0xCCCC
UPDATE_BIT = {PR: 1 << 0, RLR: 1 << 1, WINR: 1 << 2}
SR_ONF = 1 << 8
NAMES = {KR: "KR", PR: "PR", RLR: "RLR", SR: "SR", WINR: "WINR"}
MASK = {PR: 0xF, RLR: 0xFFF, WINR: 0xFFF}
RESET = {PR: 0xF, RLR: 0xFFF, WINR: 0xFFF}
UPDATE_PERIODS = 6
NS_PER_S = 1_000_000_000


class Iwdg:
    """One IWDG in board time; a new object is in reset state. `clocked`: whether RCC feeds its bus."""

    def __init__(
        self, spec: WatchdogSpec, now_ns: NowNs, refuse: Refuse, clocked: Callable[[], bool]
    ) -> None:
        self.name = spec.name
        self.da = spec.da
        self._now_ns = now_ns
        self._refuse = refuse
        self._clock_hz = spec.clock_hz
        self._clocked = clocked
        self._values = dict(RESET)
        self._updated_ns = dict.fromkeys(RESET, 0)
        self._unlocked = False
        self._running = False
        self._counter = RESET[RLR]
        self._counter_ns = 0
        self._early = False

    def read(self, offset: int, size: int) -> int:
        """Value of a register; KR reads 0."""
        if reason := self._no_access(offset, size):
            self._refuse(f"{self.name}: {size}-byte read at 0x{offset:03x} refused: {reason}")
            return 0
        if offset == SR:
            return self._status()
        return self._values.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; what hardware ignores is ignored and reported."""
        if reason := self._no_access(offset, size):
            self._refuse(f"{self.name}: {size}-byte write at 0x{offset:03x} refused: {reason}")
        elif offset == KR:
            self._key(value & 0xFFFF)
        elif reason := self._why_not(offset):
            self._refuse(f"{self.name}: write of 0x{value:x} to {NAMES[offset]} refused: {reason}")
        else:
            self._set(offset, value & MASK[offset])

    def expired(self) -> bool:
        """True once the counter ran out, or a refresh came before the window."""
        return self._running and (self._early or self._count() < 0)

    def _no_access(self, offset: int, size: int) -> str | None:
        if offset not in NAMES or size not in (2, 4):
            return "registers are KR 0x00, PR 0x04, RLR 0x08, SR 0x0c, WINR 0x10, 2 or 4 bytes wide"
        return None if self._clocked() else "its clock is off in RCC"

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
        self._updated_ns[offset] = now_ns + UPDATE_PERIODS * NS_PER_S // self._clock_hz
        self._load(self._values[RLR] if offset == WINR else count)

    def _load(self, count: int) -> None:
        self._counter, self._counter_ns = count, self._now_ns()

    def _count(self) -> int:
        """The down-counter; negative once it ran out."""
        if not self._running:
            return self._counter
        divider = min(4 << self._values[PR], 1024)
        elapsed_ns = self._now_ns() - self._counter_ns
        return self._counter - elapsed_ns * self._clock_hz // (divider * NS_PER_S)
