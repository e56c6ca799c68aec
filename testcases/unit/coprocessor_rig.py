# SPDX-License-Identifier: MIT
"""An emulated co-processor without a board: its RAM, and a test in place of the PTA that drives its slot."""

import io
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from elftools.elf.elffile import ELFFile

from mpbench.harness.configuration import configured
from mpbench_virtual.coprocessor import SLOT, Coprocessor
from mpbench_virtual.memory import MP15_CORES, MP25_CORES, CoreSpec, SharedRam

CORES = {**MP25_CORES, **MP15_CORES}
DEADLINE_S = 20.0


@define
class Rig:
    """A core, its RAM and its slot; what the emulator logged, the levels of its interrupt line, and the
    accesses that its firewall refused.
    """

    core: CoreSpec
    ram: SharedRam
    levels: list[bool] = field(factory=list)
    lines: list[str] = field(factory=list)
    illegal: list[int] = field(factory=list)
    speed: int = 1
    coprocessor: Coprocessor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.coprocessor = Coprocessor(
            self.core,
            self.ram,
            self.levels.append,
            self.lines.append,
            self.illegal.append,
            monotonic_ns=lambda: time.monotonic_ns() * self.speed,
        )

    def word(self, word: SLOT) -> int:
        return self.ram.word(self.core.slot_pa + word)

    def load(self, elf: Path, watchdog: str | None = None) -> None:
        """Load a firmware that may use a watchdog: the core's, or as given; "" for none."""
        given = self.core.watchdog.name if watchdog is None else watchdog
        data = configured(elf.read_bytes(), self.core.name, given)
        for segment in ELFFile(io.BytesIO(data)).iter_segments("PT_LOAD"):
            data = segment.data().ljust(segment["p_memsz"], b"\0")
            self.ram.write(self.core.pa_of(segment["p_paddr"], len(data)), data)

    def release(self) -> None:
        slot = self.core.slot_pa
        self.ram.set_word(slot + SLOT.VECTOR_DA, self.core.vector_da)
        self.ram.set_word(slot + SLOT.GENERATION, self.word(SLOT.GENERATION) + 1)
        self.ram.set_word(slot + SLOT.RUN, 1)

    def hold(self) -> None:
        self.ram.set_word(self.core.slot_pa + SLOT.RUN, 0)
        self.until(lambda: self.word(SLOT.ACK) == 0)

    def parameter(self, word: int, value: int) -> None:
        """Mailbox word of firmware.h, with its tag."""
        self.ram.set_word(self.core.region("ipc").pa + 0x1000 + 4 * word, 0x4D42_0000 | value)

    def trace(self) -> list[str]:
        text = self.ram.read(self.core.region("ipc").pa, 0x1000).split(b"\0")[0]
        return text.decode("ascii").splitlines() or [""]

    def boot(self) -> int:
        lines = self.trace()
        return int(lines[1].split()[1], 16) if len(lines) > 1 else 0

    def beat(self) -> int:
        lines = self.trace()
        return int(lines[1].split()[3], 16) if len(lines) > 1 else 0

    def until(self, true: Callable[[], object]) -> None:
        """Poll until `true` holds: a change of memory is no event."""
        end = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < end, f"timeout: {self.lines} {self.trace()}"
            time.sleep(0.002)

    def logged(self, text: str) -> bool:
        return any(text in line for line in self.lines)


def code(rig: Rig, *halfwords: int, stack: int = 0x800) -> None:
    """Write a vector table, followed by Thumb code, into the core's memory."""
    start = rig.core.vector_da
    vectors = [start + stack] + [start + 0x41] * 15
    rig.ram.write(rig.core.regions[0].pa, b"".join(v.to_bytes(4, "little") for v in vectors))
    rig.ram.write(rig.core.regions[0].pa + 0x40, b"".join(h.to_bytes(2, "little") for h in halfwords))
