# SPDX-License-Identifier: MIT
"""A core's memory by its own addresses, word by word through /dev/mem.

dma-ranges of the core's bus in the device tree translate the core's addresses (da) into Linux's physical ones
(pa). A bus without them, or with empty ones, translates nothing.
Ref: Devicetree Specification v0.4, 2.3.9 dma-ranges; busybox devmem.
"""

import shlex
from collections.abc import Mapping, Sequence

from attrs import frozen

from mpbench.board.protocols import Remoteproc, Session
from mpbench.core.errors import InfrastructureError, UsageError

CELLS = ("#address-cells", "../#address-cells", "#size-cells")
"""Files of dma_ranges()' child, parent and size."""


@frozen
class DmaRange:
    """`size` bytes that the core sees at `da` and Linux at `pa`."""

    da: int
    pa: int
    size: int


def dma_ranges(ranges: bytes, child: int, parent: int, size: int) -> tuple[DmaRange, ...]:
    """Parse a dma-ranges property; child, parent, size: number of cells of each value.

    UsageError if its length is no multiple of an entry's.
    """
    step = 4 * (child + parent + size)
    if not step or len(ranges) % step:
        raise UsageError(f"dma-ranges has {len(ranges)} bytes, not a multiple of {step}")
    a, b = 4 * child, 4 * (child + parent)
    entries = (ranges[at : at + step] for at in range(0, len(ranges), step))
    cells = ((entry[:a], entry[a:b], entry[b:]) for entry in entries)
    return tuple(DmaRange(*(int.from_bytes(value, "big") for value in values)) for values in cells)


def translate(ranges: Sequence[DmaRange], da: int, size: int) -> int:
    """Physical address of `size` bytes at `da`. UsageError outside of every range."""
    if not ranges:
        return da
    for entry in ranges:
        if entry.da <= da and da + size <= entry.da + entry.size:
            return entry.pa + da - entry.da
    known = ", ".join(f"{r.da:#x}..{r.da + r.size:#x}" for r in ranges)
    raise UsageError(f"{size} bytes at {da:#x} are outside of the core's memory: {known}")


class CoreMemory:
    """32-bit words of one core's memory, accessed through Linux's /dev/mem."""

    def __init__(self, session: Session, remoteproc: Remoteproc, core: str) -> None:
        self._session = session
        self._ranges = self._read_ranges(remoteproc.path(core, "device/of_node/.."))

    def _read_ranges(self, bus: str) -> tuple[DmaRange, ...]:
        paths = [f"{bus}/{file}" for file in CELLS]
        found = self._session.read_many([*paths, f"{bus}/dma-ranges"])
        ranges = found[f"{bus}/dma-ranges"]
        if not isinstance(ranges, bytes) or not ranges:
            return ()
        return dma_ranges(ranges, *(_cells(path, found[path]) for path in paths))

    def write(self, words: Mapping[int, int]) -> None:
        """Write 32-bit words by device address. InfrastructureError if /dev/mem rejects them."""
        self._run(self.command(words))

    def command(self, words: Mapping[int, int]) -> str:
        """The command line that writes 32-bit words by device address."""
        places = {translate(self._ranges, da, 4): value for da, value in words.items()}
        return " && ".join(f"devmem {pa:#x} 32 {value:#x}" for pa, value in places.items())

    def read(self, da: int, count: int = 1) -> tuple[int, ...]:
        """`count` 32-bit words from device address `da` on. InfrastructureError if /dev/mem is unreadable."""
        pa = translate(self._ranges, da, 4 * count)
        output = self._run(" && ".join(f"devmem {pa + 4 * n:#x} 32" for n in range(count)))
        return tuple(int(word, 16) for word in output.split())

    def _run(self, command: str) -> str:
        return self._session.execute(command).checked(f"/dev/mem access failed ({shlex.quote(command)})").text


def _cells(path: str, data: bytes | str) -> int:
    if not isinstance(data, bytes) or len(data) != 4:
        raise InfrastructureError(f"{path}: not a number of cells: {data!r}")
    return int.from_bytes(data, "big")
