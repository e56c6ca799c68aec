# SPDX-License-Identifier: MIT
"""The board's RAM, shared by host and co-processors, and the memory maps of its cores."""

import ctypes
import mmap
import os
from typing import Self

from attrs import field, frozen

from mpbench.core.errors import UsageError

RAM_PA = 0x4000_0000
RAM_SIZE = 0x4400_0000
"""Guest RAM of QEMU's virt machine: 1088 MiB, so that an STM32MP25's own DDR addresses lie inside."""

RAM_NAME = "mpbench-ram"
"""Name of the memory file (memfd) that holds the RAM."""

CONTROL_PA = 0x8140_0000
CONTROL_SIZE = 0x1000
SLOT_SIZE = 0x100
"""Control page: one slot per core, at SLOT_SIZE times its processor id.

It is instead of RCC, for release and reset, and of Linux's half of the mailbox (IPCC), whose other half the
co-processor has: a word with which Linux asks for a shutdown. It doesn't exist on silicon.
"""


FIREWALL_PA = CONTROL_PA + 15 * SLOT_SIZE
FIREWALL_SPI = 178
"""Where the number of a refused access is written, after the slots, and OP-TEE's interrupt then."""


@frozen
class MemoryRegion:
    """Memory of a core: at `da` for the core, at `pa` in the board's RAM."""

    name: str
    da: int = field(repr=hex)
    pa: int = field(repr=hex)
    size: int = field(repr=hex)


@frozen
class Gate:
    """Clock enable bit of a peripheral in RCC; `sets_only`: a write of 0 clears nothing."""

    da: int = field(repr=hex)
    mask: int = field(repr=hex)
    sets_only: bool = False


@frozen
class WatchdogSpec:
    """The SoC's watchdog of a core: `clock_hz` feeds its prescaler, `spi` is its interrupt in QEMU.

    illegal_id: number of the exception if the firewall refuses the core's accesses, 0 if it allows them.
    Ref: RM0457, IAC; OP-TEE core/include/dt-bindings/firewall/stm32mp25-rifsc.h
    """

    name: str
    da: int = field(repr=hex)
    clock_hz: int
    spi: int
    gate: Gate | None = None
    illegal_id: int = 0


@frozen
class CoreSpec:
    """A co-processor: `cpu` is "cortex-m33", "cortex-m0" or "cortex-m4"; the first region has the vectors."""

    name: str
    processor_id: int
    cpu: str
    cpu_hz: int
    regions: tuple[MemoryRegion, ...]
    watchdog: WatchdogSpec
    ipcc_da: int = field(repr=hex)
    ipcc_processor: int = 2

    @property
    def vector_da(self) -> int:
        """Device address of the vector table."""
        return self.regions[0].da

    @property
    def slot_pa(self) -> int:
        """Physical address of the core's slot in the control page."""
        return CONTROL_PA + SLOT_SIZE * self.processor_id

    def region(self, name: str) -> MemoryRegion:
        """The region called `name`; UsageError if there is none."""
        for region in self.regions:
            if region.name == name:
                return region
        raise UsageError(f"{self.name} has no region {name!r}; it has {[r.name for r in self.regions]}")

    def pa_of(self, da: int, size: int = 1) -> int:
        """Physical address of `size` bytes at `da`; UsageError if no region holds them all."""
        for region in self.regions:
            if region.da <= da and da + size <= region.da + region.size:
                return region.pa + da - region.da
        raise UsageError(f"{self.name}: {size} bytes at 0x{da:08x} lie in none of its regions {self.regions}")


MP25_CORES: dict[str, CoreSpec] = {
    "m33": CoreSpec(
        name="m33",
        processor_id=1,
        cpu="cortex-m33",
        cpu_hz=400_000_000,
        regions=(
            MemoryRegion("firmware", 0x8010_0000, 0x8010_0000, 0x80_0000),
            MemoryRegion("ipc", 0x8120_0000, 0x8120_0000, 0x10_0000),
        ),
        watchdog=WatchdogSpec(
            name="iwdg3", da=0x4403_0000, clock_hz=32_000, spi=176, gate=Gate(da=0x4420_0890, mask=1 << 1)
        ),
        ipcc_da=0x4049_0000,
    ),
    "m0": CoreSpec(
        name="m0",
        processor_id=2,
        cpu="cortex-m0",
        cpu_hz=200_000_000,
        regions=(
            MemoryRegion("firmware", 0x200C_0000, 0x8160_0000, 0x6000),
            MemoryRegion("ipc", 0x200C_6000, 0x8180_0000, 0x2000),
        ),
        watchdog=WatchdogSpec(name="iwdg5", da=0x4609_0000, clock_hz=32_000, spi=177),
        ipcc_da=0x4625_0000,
        ipcc_processor=1,
    ),
}
"""The virtual STM32MP25. All its differences from ST's board, besides the control page:

- The watchdogs' interrupts are SPI 176 and 177, not 4 and 7: QEMU's virt machine uses those itself.
- The M0's memory is LPSRAM at 0x200c0000 on silicon; here it is RAM at another physical address
  (0x81600000, 0x81800000), because virt has no memory there. The core sees ST's addresses.
- ST gives the M33 a second data area (cm33_cube_data); the firmware here needs none.
- No public source names a processor id for the M0: 2 is ours. The M33's 1 is ST's.
- The M33 is in one world only: IWDG3 answers it, whereas silicon asks RIFSC first.
- No cache.

Ref: the headers in firmware/coprocessor/soc name ST's documents for each address.
"""

RCC_MC_APB1ENSETR_WWDG1 = Gate(da=0x5000_0A80, mask=1 << 28, sets_only=True)

MP15_CORES: dict[str, CoreSpec] = {
    "m4": CoreSpec(
        name="m4",
        processor_id=0,
        cpu="cortex-m4",
        cpu_hz=208_877_930,
        regions=(
            MemoryRegion("retram", 0x0000_0000, 0x8010_0000, 0x1_0000),
            MemoryRegion("mcuram2", 0x1000_0000, 0x8011_0000, 0x4_0000),
            MemoryRegion("ipc", 0x1004_0000, 0x8120_0000, 0x2000),
        ),
        watchdog=WatchdogSpec(
            name="wwdg1", da=0x4000_A000, clock_hz=104_438_965, spi=176, gate=RCC_MC_APB1ENSETR_WWDG1
        ),
        ipcc_da=0x4C00_1000,
    ),
}
"""The virtual STM32MP15. All its differences from ST's board, besides the control page:

- RETRAM and MCUSRAM are RAM at other physical addresses, because QEMU's virt machine has no memory at
  0x38000000 and 0x10000000. The M4 sees them where it does on silicon: RETRAM at 0, MCUSRAM at 0x10000000.
- The last region is vdev0vring0 and vdev0vring1 of ST's boards in one; the buffers after them are missing.
- The watchdog's interrupt is SPI 176; on silicon WWDG1 resets the M4 and reaches Linux through EXTI 68.
- The Cortex-A cores are A15, not A7: TF-A's qemu platform knows no other of 32 bit. No cache.

Ref: Linux arch/arm/boot/dts/st/stm32mp151.dtsi (mlahb), stm32mp15xx-dkx.dtsi (memory-region of m4_rproc).
"""


def ram_offset(pa: int, size: int) -> int:
    """Offset of `size` bytes at `pa` in the RAM's file; UsageError outside."""
    end = RAM_PA + RAM_SIZE
    if pa < RAM_PA or pa + size > end:
        raise UsageError(f"{size} bytes at 0x{pa:08x} are outside the RAM 0x{RAM_PA:08x}..0x{end:08x}")
    return pa - RAM_PA


class SharedRam:
    """The board's RAM as mapped memory, shared by QEMU, the PTA and the co-processors.

    Addresses are physical; a range outside is UsageError. Words are little-endian and aligned, read and
    written in one access, as the other side expects of a register. `fd` stays open until close().
    """

    def __init__(self, fd: int) -> None:
        self.fd = os.dup(fd)
        self._map = mmap.mmap(self.fd, RAM_SIZE)
        self._words = memoryview(self._map).cast("I")
        self._first = ctypes.c_char.from_buffer(self._map)

    @classmethod
    def create(cls) -> Self:
        """New, zeroed RAM in a memory file, which the kernel frees after its last user."""
        fd = os.memfd_create(RAM_NAME, os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, RAM_SIZE)
            return cls(fd)
        finally:
            os.close(fd)

    def read(self, pa: int, size: int) -> bytes:
        """Bytes at `pa`."""
        start = ram_offset(pa, size)
        return self._map[start : start + size]

    def write(self, pa: int, data: bytes) -> None:
        """Put `data` at `pa`."""
        start = ram_offset(pa, len(data))
        self._map[start : start + len(data)] = data

    def word(self, pa: int) -> int:
        """The 32-bit word at `pa`."""
        return self._words[self._word_index(pa)]

    def set_word(self, pa: int, value: int) -> None:
        """Write the 32-bit word at `pa`."""
        self._words[self._word_index(pa)] = value & 0xFFFF_FFFF

    def address(self, pa: int, size: int) -> int:
        """Address in this process of `size` bytes at `pa`; valid until close()."""
        return ctypes.addressof(self._first) + ram_offset(pa, size)

    def close(self) -> None:
        """Unmap; no emulator may use the RAM after this. A second call does nothing."""
        if self._map.closed:
            return
        del self._first
        self._words.release()
        self._map.close()
        os.close(self.fd)

    def _word_index(self, pa: int) -> int:
        if pa % 4:
            raise UsageError(f"a word at 0x{pa:08x} is not aligned to 4")
        return ram_offset(pa, 4) // 4
