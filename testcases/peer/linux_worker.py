# SPDX-License-Identifier: MIT
"""What Linux' peer must answer according to the twin, byte for byte."""

import struct
import zlib

from attrs import frozen

from mpbench import layout
from mpbench.twin.kernels import Kernel
from mpbench.twin.linux_elf import CLASSES, LinuxOutcome, boot
from mpbench.twin.linux_table import OOPS
from mpbench.twin.linux_values import Carveout, LinuxSide
from testcases.peer.worker import DIED, MEMORY_FILL

STOP = 1
"""Flag of a case: a core that was started is stopped as well."""
LAST = 2
"""Flag of a case whose answer is undetermined: Linux may write anywhere, so the next gets a new process."""
NUMBERS = {"OK": 0, "EINVAL": -22, "ENOMEM": -12, "EOVERFLOW": -75}
IGNORED = "Failed to process resources: 1"
IN_FRONT = "Linux reads in front of the file"
MUST_DIE = ("Linux reads past the file", IN_FRONT, OOPS)
"""Why an answer is undetermined, where AddressSanitizer or a null pointer ends the peer."""
GRANULE = 8
"""Bytes that AddressSanitizer marks at once: those before the file in its first unit stay readable."""

_WORD = struct.Struct("<I")


@frozen
class Board:
    """Input of both: what Linux has of the core's memory, whether it can allocate more."""

    carveouts: tuple[Carveout, ...]
    allocates: bool = False

    def side(self, kernel: Kernel, word_bits: int) -> LinuxSide:
        """The board as the twin knows it."""
        return LinuxSide(self.carveouts, self.allocates, kernel, word_bits)

    def configuration(self, _word_bits: int) -> bytes:
        """The board in the worker's format; vdev0buffer has the physical address that its `da` is."""
        out = b"C\0\0\0" + struct.pack("<2I", self.allocates, len(self.carveouts))
        for one in self.carveouts:
            pa = one.pa if one.mapped else one.da
            out += struct.pack("<4I32s", one.da, pa or 0, one.size, not one.mapped, one.name.encode())
        return out


def encode_case(flags: int, image: bytes) -> bytes:
    """Frame of a start."""
    return struct.pack("<3I", 8 + len(image), ord("X"), flags) + image


def predict(board: Board, side: LinuxSide, flags: int, image: bytes) -> tuple[bytes | None, LinuxOutcome]:
    """What the worker must answer, and the outcome; None where any answer will do."""
    found = boot(image, side)
    if side.word_bits == 32 and misaligned(image):
        return None, found
    if found.errno is None:
        return DIED if must_die(found.why, side.word_bits, len(image)) else None, found
    if flags & STOP and found.errno == "OK" and OOPS in found.notes:
        return DIED, found
    number = 1 if IGNORED in found.lines else NUMBERS[found.errno]
    parts = [b"T\0\0\0" + _WORD.pack(len(text)) + text for text in (x.encode("latin-1") for x in found.lines)]
    parts.append(b"R\0\0\0" + struct.pack("<iQ", number, found.boot_address))
    return b"".join(parts) + _WORD.pack(memory_sum(board, found)), found


def must_die(why: str, word_bits: int, size: int) -> bool:
    """Whether the peer sees why the answer is undetermined; the file of `size` bytes ends at a guard."""
    if why == IN_FRONT and size % GRANULE:
        return False
    return why in MUST_DIE and (word_bits == 64 or why == OOPS)


def misaligned(image: bytes) -> bool:
    """Whether headers of 64 bits are where 32-bit instructions cannot read them; the kernel catches that."""
    if len(image) < CLASSES[2].head.size or image[layout.EI_CLASS] != 2:
        return False
    row = CLASSES[2].head.unpack_from(image)
    return bool((row[5] | row[6]) % 8)


def same(wanted: bytes, answer: bytes, board: Board) -> bool:
    """Whether they agree. Where Linux allocates memory, no table that names it is known."""
    return wanted[:-4] == answer[:-4] if board.allocates and wanted != DIED else wanted == answer


def memory_sum(board: Board, found: LinuxOutcome) -> int:
    """Checksum of all carve-outs after the start."""
    writes = [
        (w.pa, bytes(w.size) if w.offset is None else found.image[w.offset :][: w.size]) for w in found.writes
    ]
    writes += [found.installed] if found.installed else []
    total = 0
    for one in board.carveouts:
        content = bytearray([MEMORY_FILL]) * one.size
        for pa, data in writes if one.mapped else ():
            at = pa - (one.pa or 0)
            if 0 <= at < one.size:
                content[at : at + len(data)] = data
        total = (total * 31 + zlib.crc32(content)) & 0xFFFFFFFF
    return total
