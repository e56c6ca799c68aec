# SPDX-License-Identifier: MIT
"""A core's memory by its own addresses, word by word through /dev/mem.

dma-ranges of the core's bus in the device tree translate the core's addresses (da) into Linux's physical ones
(pa). A bus without them, or with empty ones, translates nothing.
Ref: Devicetree Specification v0.4, 2.3.9 dma-ranges; busybox devmem.
"""

import shlex
import struct
from collections.abc import Mapping, Sequence

from attrs import frozen

from mpbench.board.protocols import Remoteproc, Session
from mpbench.core.errors import InfrastructureError, UsageError

CELLS = {"child": "#address-cells", "size": "#size-cells", "parent": "../#address-cells"}


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
    return tuple(_dma_range(ranges[at : at + step], child, parent) for at in range(0, len(ranges), step))


def _dma_range(entry: bytes, child: int, parent: int) -> DmaRange:
    a, b = 4 * child, 4 * (child + parent)
    return DmaRange(*(int.from_bytes(part, "big") for part in (entry[:a], entry[a:b], entry[b:])))


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
        paths = {name: f"{bus}/{file}" for name, file in {**CELLS, "ranges": "dma-ranges"}.items()}
        found = self._session.read_many(list(paths.values()))
        ranges = found[paths["ranges"]]
        if not isinstance(ranges, bytes) or not ranges:
            return ()
        cells = {name: _cells(found, paths[name]) for name in CELLS}
        return dma_ranges(ranges, cells["child"], cells["parent"], cells["size"])

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
        reply = self._session.execute(command)
        if reply.code != 0:
            raise InfrastructureError(f"/dev/mem access failed ({shlex.quote(command)}): {reply.error}")
        return reply.stdout.decode("ascii", "replace")


def _cells(found: Mapping[str, bytes | str], path: str) -> int:
    data = found[path]
    if not isinstance(data, bytes) or len(data) != 4:
        raise InfrastructureError(f"{path}: not a number of cells: {data!r}")
    return int(struct.unpack(">I", data)[0])
