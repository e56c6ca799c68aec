# SPDX-License-Identifier: MIT
"""Inter-processor mailbox, as seen from the co-processor (processor 2).

Ref: RM0436 and RM0457, IPCC; Linux drivers/mailbox/stm32-ipcc.c. Processor 1 marks a channel occupied,
processor 2 frees it by writing its clear bit. The flags are a word that both sides share.
The direction to Linux (IPCC_C2TOC1SR) is not modelled: firmware of this bench sends nothing.
"""

from collections.abc import Callable

from attrs import define

from mpbench_virtual.peripherals.bus import Refuse

C1TOC2SR, C2SCR = 0x0C, 0x18
CHANNELS = 0xFFFF


@define
class Ipcc:
    """`occupied` and `set_occupied` read and write the shared word: bit n is channel n, counted from 0."""

    da: int
    _occupied: Callable[[], int]
    _set_occupied: Callable[[int], None]
    _refuse: Refuse

    def read(self, offset: int, size: int) -> int:
        """Channels occupied by processor 1; C2SCR reads 0."""
        if size == 4 and offset in (C1TOC2SR, C2SCR):
            return self._occupied() & CHANNELS if offset == C1TOC2SR else 0
        self._refuse(
            f"ipcc: {size}-byte read at 0x{offset:03x} refused: C1TOC2SR 0x0c and C2SCR 0x18 are modelled"
        )
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """C2SCR: ones in the lower half free channels, the upper half would occupy channels to Linux."""
        if size != 4 or offset != C2SCR or value & ~CHANNELS:
            self._refuse(
                f"ipcc: write of 0x{value:x} at 0x{offset:03x} refused: only channels of C2SCR are modelled"
            )
        else:
            self._set_occupied(self._occupied() & ~value)
