# SPDX-License-Identifier: MIT
"""Where a firmware failed, from its core dump and its ELF: saved registers, calls found on its stack. Pure.

The firmware of the bench writes the exception and the program counter into its trace (fault_report() in
firmware/coprocessor/lib/start.c); before that the core has saved its registers on the stack. The frame is
the one in memory that has this program counter. Callers above it are words that point behind a call:
candidates, as there is neither a frame pointer nor an unwind table.

Ref: Arm v7-M Architecture Reference Manual, B1.5.6 (exception frame), A7.7.18 (BL, BLX).
"""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from mpbench.recovery.parse_coredump import Segment, part

RECORD: Final = re.compile(r"^fault ([0-9a-f]{8})(?:\npc ([0-9a-f]{8}))?$", re.MULTILINE)
FRAME: Final = struct.Struct("<8I")
"""r0 to r3, r12, lr, pc, xpsr."""
EXCEPTIONS: Final = {
    2: "NMI",
    3: "HardFault",
    4: "MemManage",
    5: "BusFault",
    6: "UsageFault",
    7: "SecureFault",
}
MOST_CALLS: Final = 16


@frozen
class Place:
    """An address in code: what is known of it, and how it is known ("pc", "lr", "stack")."""

    address: int
    known_by: str
    function: str = ""
    line: str = ""


@frozen
class Fault:
    """What a firmware recorded: exception number, the registers by name, and the calls that led there."""

    exception: int
    registers: dict[str, int]
    calls: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the exception."""
        return exception_name(self.exception)


def exception_name(number: int) -> str:
    """Name of an exception; its number in words if it is no fault."""
    return EXCEPTIONS.get(number, f"exception {number}")


def fault(found: Sequence[Segment], trace: str, code: Sequence[tuple[int, int]]) -> Fault | None:
    """The last fault that the trace reports; None without one. code: (device address, end) of code."""
    records = RECORD.findall(trace)
    if not records:
        return None
    exception = int(records[-1][0], 16)
    if not records[-1][1]:  # the stack pointer led nowhere
        return Fault(exception, {}, ())
    pc = int(records[-1][1], 16)
    frame = _frame(found, pc, code)
    if frame is None:
        return Fault(exception, {"pc": pc}, ())
    segment, at = frame
    names = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr")
    registers = dict(zip(names, FRAME.unpack_from(segment.data, at), strict=True))
    registers["sp"] = segment.da + at + FRAME.size + (4 if registers["xpsr"] & 1 << 9 else 0)
    return Fault(exception, registers, tuple(calls(found, segment, at + FRAME.size, code)))


def _frame(found: Sequence[Segment], pc: int, code: Sequence[tuple[int, int]]) -> tuple[Segment, int] | None:
    """Segment and offset of the exception frame with this pc: Thumb state, lr in code or a return code."""
    for segment in found:
        at = segment.data.find(struct.pack("<I", pc))
        while at >= 0:
            if at >= 24 and at % 4 == 0 and at + 8 <= len(segment.data):
                *_, lr, _, xpsr = FRAME.unpack_from(segment.data, at - 24)
                if xpsr & 1 << 24 and (_in(lr & ~1, code) or lr >= 0xFFFF_FF00):
                    return segment, at - 24
            at = segment.data.find(struct.pack("<I", pc), at + 1)
    return None


def calls(
    found: Sequence[Segment], segment: Segment, at: int, code: Sequence[tuple[int, int]]
) -> Iterator[int]:
    """Return addresses on the stack from `at` on: odd, in code, behind a call."""
    count = 0
    for (word,) in struct.iter_unpack("<I", segment.data[at : at + (len(segment.data) - at) // 4 * 4]):
        if word & 1 and _in(word - 1, code) and _behind_call(found, word - 1):
            yield word
            count += 1
        if count == MOST_CALLS:
            return


def _behind_call(found: Sequence[Segment], address: int) -> bool:
    """Whether the instruction in front is BL, or BLX of a register; True if the dump lacks the code."""
    before = part(found, address - 4, 4)
    if before is None:
        return True
    first, second = struct.unpack("<2H", before)
    return bool((first & 0xF800 == 0xF000 and second & 0xD000 == 0xD000) or second & 0xFF87 == 0x4780)


def _in(address: int, code: Sequence[tuple[int, int]]) -> bool:
    return any(start <= address < end for start, end in code)
