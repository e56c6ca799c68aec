# SPDX-License-Identifier: MIT
"""Inter-processor mailbox, as seen from the co-processor, its processor 1 or 2.

Ref: RM0436 and RM0457, IPCC; Linux drivers/mailbox/stm32-ipcc.c. The other processor marks a channel
occupied, this one frees it by writing its clear bit. The flags are a word that both sides share.
The direction to Linux is not modelled: firmware of this bench sends nothing.
"""

from collections.abc import Callable

from attrs import define

from mpbench_virtual.peripherals.bus import Refuse

SIDE, SCR, TO_OTHER_SR = 0x10, 0x08, 0x0C
"""Bytes of one processor's registers, and of two of them their offset."""
CHANNELS = 0xFFFF


@define
class Ipcc:
    """`occupied` and `set_occupied` read and write the shared word: bit n is channel n, counted from 0."""

    da: int
    processor: int
    _occupied: Callable[[], int]
    _set_occupied: Callable[[int], None]
    _refuse: Refuse

    @property
    def _status(self) -> int:
        return SIDE * (2 - self.processor) + TO_OTHER_SR

    @property
    def _clear(self) -> int:
        return SIDE * (self.processor - 1) + SCR

    def read(self, offset: int, size: int) -> int:
        """Channels occupied by the other processor; the own SCR reads 0."""
        if size == 4 and offset in (self._status, self._clear):
            return self._occupied() & CHANNELS if offset == self._status else 0
        self._refuse(
            f"ipcc: {size}-byte read at 0x{offset:03x} refused: of processor {self.processor} the status "
            f"0x{self._status:02x} and SCR 0x{self._clear:02x} are modelled"
        )
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """SCR: ones in the lower half free channels, the upper half would occupy channels to Linux."""
        if size != 4 or offset != self._clear or value & ~CHANNELS:
            self._refuse(
                f"ipcc: write of 0x{value:x} at 0x{offset:03x} refused: only channels of SCR are modelled"
            )
        else:
            self._set_occupied(self._occupied() & ~value)
