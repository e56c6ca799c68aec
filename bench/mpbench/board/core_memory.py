# SPDX-License-Identifier: MIT
"""A core's memory by its own addresses, word by word through /dev/mem.

Where a device address is for Linux stands in the device tree: dma-ranges of the bus the core sits on. A bus
without them, or with empty ones, translates nothing.
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
class Window:
    """`size` bytes that the core sees at `da` and Linux at `pa`."""

    da: int
    pa: int
    size: int


def windows(ranges: bytes, child: int, parent: int, size: int) -> tuple[Window, ...]:
    """dma-ranges taken apart; child, parent, size: cells of each number. UsageError if the lengths don't fit."""
    step = 4 * (child + parent + size)
    if not step or len(ranges) % step:
        raise UsageError(f"dma-ranges has {len(ranges)} bytes, which is no multiple of {step}")
    return tuple(_window(ranges[at : at + step], child, parent) for at in range(0, len(ranges), step))


def _window(entry: bytes, child: int, parent: int) -> Window:
    a, b = 4 * child, 4 * (child + parent)
    return Window(*(int.from_bytes(part, "big") for part in (entry[:a], entry[a:b], entry[b:])))


def translate(found: Sequence[Window], da: int, size: int) -> int:
    """Physical address of `size` bytes at `da`. UsageError outside of every window."""
    if not found:
        return da
    for window in found:
        if window.da <= da and da + size <= window.da + window.size:
            return window.pa + da - window.da
    known = ", ".join(f"{w.da:#x}..{w.da + w.size:#x}" for w in found)
    raise UsageError(f"{size} bytes at {da:#x} are outside of the core's memory: {known}")


class CoreMemory:
    """Words of one core's memory, as seen from Linux."""

    def __init__(self, session: Session, remoteproc: Remoteproc, core: str) -> None:
        self._session = session
        self._windows = self._read_windows(remoteproc.path(core, "device/of_node/.."))

    def _read_windows(self, bus: str) -> tuple[Window, ...]:
        paths = {name: f"{bus}/{file}" for name, file in {**CELLS, "ranges": "dma-ranges"}.items()}
        found = self._session.read_many(list(paths.values()))
        ranges = found[paths["ranges"]]
        if not isinstance(ranges, bytes) or not ranges:
            return ()
        cells = {name: _cells(found, paths[name]) for name in CELLS}
        return windows(ranges, cells["child"], cells["parent"], cells["size"])

    def write(self, words: Mapping[int, int]) -> None:
        """Write words of 32 bits by device address. InfrastructureError if /dev/mem does not take them."""
        self._run(self.command(words))

    def command(self, words: Mapping[int, int]) -> str:
        """What writes them."""
        places = {translate(self._windows, da, 4): value for da, value in words.items()}
        return " && ".join(f"devmem {pa:#x} 32 {value:#x}" for pa, value in places.items())

    def read(self, da: int, count: int = 1) -> tuple[int, ...]:
        """Words of 32 bits from a device address on. InfrastructureError if /dev/mem does not give them."""
        pa = translate(self._windows, da, 4 * count)
        said = self._run(" && ".join(f"devmem {pa + 4 * n:#x} 32" for n in range(count)))
        return tuple(int(word, 16) for word in said.split())

    def _run(self, command: str) -> str:
        reply = self._session.execute(command)
        if reply.code != 0:
            raise InfrastructureError(f"/dev/mem can't be used ({shlex.quote(command)}): {reply.error}")
        return reply.stdout.decode("ascii", "replace")


def _cells(found: Mapping[str, bytes | str], path: str) -> int:
    data = found[path]
    if not isinstance(data, bytes) or len(data) != 4:
        raise InfrastructureError(f"{path}: no number of cells: {data!r}")
    return int(struct.unpack(">I", data)[0])
