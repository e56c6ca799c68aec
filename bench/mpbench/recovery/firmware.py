# SPDX-License-Identifier: MIT
"""Firmware that fails on command: its mailbox in the core's memory, written from Linux.

Ref: firmware/coprocessor/lib/firmware.h; Linux include/linux/remoteproc.h (struct resource_table, fw_rsc_hdr,
     fw_rsc_trace)
"""

import io
import struct
from collections.abc import Mapping

from attrs import frozen
from elftools.elf.elffile import ELFFile

from mpbench.board.core_memory import CoreMemory
from mpbench.core.errors import UsageError
from mpbench.recovery.collect import Subject

MAILBOX = 0x1000
"""Offset of the mailbox words from the trace buffer's start."""
TAG = 0x4D420000
LIVE_MS, FAILURES, BEATS = range(3)
"""Index of each word, in the mailbox and in the configuration."""
RSC_TRACE = 2


@frozen
class FirmwareUnderTest:
    """What runs on a core: the firmware's name, the signed image, and the device address of its mailbox.

    mark: position of the kernel log before the deployment
    earlier_boots: number that the firmware's count of boots started from
    """

    name: str
    image: bytes
    mailbox_da: int
    subject: Subject
    memory: CoreMemory
    mark: int
    earlier_boots: int = 0

    @property
    def identity(self) -> str:
        """Name and core as the firmware prints them."""
        return f"{self.name} {self.subject.core}"

    def write(self, words: Mapping[int, int]) -> None:
        """Write mailbox words by index; see parameters()."""
        self.memory.write(self._places(words))

    def fail_command(self) -> str:
        """Command of the board's shell that has the running firmware fail once."""
        return self.memory.command(self._places(parameters(failures=1)))

    def _places(self, words: Mapping[int, int]) -> dict[int, int]:
        return {self.mailbox_da + 4 * index: word for index, word in words.items()}


def parameters(**values: int | None) -> dict[int, int]:
    """Words of live_ms, failures, beats by index, of those that are given; None: firmware ignores it."""
    indices = {"live_ms": LIVE_MS, "failures": FAILURES, "beats": BEATS}
    return {indices[name]: 0 if value is None else TAG | value for name, value in values.items()}


def trace_da(elf: bytes) -> int:
    """Device address of the trace buffer, by the resource table of an ELF file. UsageError if it has none."""
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".resource_table")
    table: bytes = section.data() if section else bytes(16)
    for at in struct.unpack_from(f"<{struct.unpack_from('<I', table, 4)[0]}I", table, 16):
        kind, da = struct.unpack_from("<2I", table, at)
        if kind == RSC_TRACE:
            return int(da)
    raise UsageError("this firmware has no trace buffer in its resource table, so its mailbox is unknown")
