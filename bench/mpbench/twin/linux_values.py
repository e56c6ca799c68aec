# SPDX-License-Identifier: MIT
"""Values of Linux' side: what it has of a core's memory, why a start is refused."""

from typing import Final

from attrs import frozen

from mpbench.twin.kernels import KERNELS, Kernel
from mpbench.twin.memory import Core
from mpbench.twin.profile import Allocates, Profile

ANY_ADDRESS: Final = 0xFFFF_FFFF
"""FW_RSC_ADDR_ANY: Linux chooses the address."""
BUFFER: Final = "vdev0buffer"
"""Memory for virtio's buffers, which the driver does not map for segments."""
PAGE: Final = 4096
NAME_BYTES: Final = 31
"""Of a carve-out's name, without its end (struct rproc_mem_entry, name[32])."""


class Refused(Exception):
    """A check has failed, or Linux' behaviour is undetermined.

    errno: "EINVAL", "ENOMEM", ..., None where it is undetermined
    line:  the kernel's, "" without one
    why:   in words, what an undetermined answer depends on
    """

    def __init__(self, errno: str | None, line: str = "", why: str = "") -> None:
        super().__init__(line or why)
        self.errno, self.line, self.why = errno, line, why


@frozen
class Carveout:
    """Memory that Linux has of a core (struct rproc_mem_entry).

    da, pa: where the core and where Linux see it; pa is None for memory that is yet to be allocated
    mapped: whether Linux maps it for segments and tables: vdev0buffer is not
    entry:  place in the resource table of the entry that asks for it, None without one
    """

    name: str
    da: int
    size: int
    pa: int | None = None
    mapped: bool = True
    entry: int | None = None


@frozen
class LinuxSide:
    """A core as its driver in Linux has it.

    carveouts: in the order of memory-region of its device tree node; None if that is not known
    allocates: whether Linux can allocate memory for the core that is not among them: not where dma-ranges of
               the core's bus leaves out the memory that Linux runs from; None if that is not known
    word_bits: of the kernel
    reads_table: whether the core's driver looks at the resource table of a plain ELF
    """

    carveouts: tuple[Carveout, ...] | None
    allocates: Allocates
    kernel: Kernel = KERNELS["6.12"]
    word_bits: int = 64
    reads_table: bool = True

    @property
    def mask(self) -> int:
        """Of size_t and of addresses."""
        return (1 << self.word_bits) - 1


@frozen
class TableAnswer:
    """What Linux makes of a table.

    errno: of the start as far as the table decides it, "OK" for none, None where it is undetermined
    why:   what an undetermined answer depends on
    lines: the kernel's warnings and errors in order, without device names
    notes: reasons that no line gives, and what does not work although the core starts
    table: as Linux copies it to the core; of memory that Linux allocates the address is not known
    started: further lines once the core has started, by rproc_add_virtio_dev()
    carveouts: the memory that Linux has for the core by then, at addresses that are known
    """

    errno: str | None
    why: str = ""
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table: bytes = b""
    carveouts: tuple[Carveout, ...] = ()
    started: tuple[str, ...] = ()


def linux_side(profile: Profile, core: str | int | Core) -> LinuxSide:
    """What the profile says of Linux. Ref: stm32_rproc.c, stm32_rproc_prepare().

    A carve-out has the name of its device tree node, where `-` stands for the `_` of its label.
    """
    known = core if isinstance(core, Core) else profile.core(core)
    found = tuple(
        Carveout(r.name.replace("_", "-")[:NAME_BYTES], r.da, r.size, r.pa)
        if r.name != BUFFER
        else Carveout(r.name, r.pa & ANY_ADDRESS, r.size, 0, mapped=False)
        for r in known.carveouts
    )
    return LinuxSide(
        None if profile.allocates is None else found,
        profile.allocates,
        KERNELS[profile.kernel],
        profile.word_bits,
        known.reads_table,
    )


def signed(number: int) -> int:
    """A C int of the lower 32 bits."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def place_of(carveouts: tuple[Carveout, ...], da: int, size: int, mask: int) -> tuple[Carveout, int] | None:
    """rproc_da_to_va: the first mapped carve-out that takes it, and the offset in it.

    The offset is an int and the sum a size_t: device addresses that differ by 4 GiB are the same, and a size
    that wraps is taken. Refused(None): what follows would be written behind the carve-out.
    """
    for one in carveouts:
        offset = signed(da - one.da)
        if not one.mapped or offset < 0 or (offset + size & mask) > one.size:
            continue
        if offset + size > one.size:
            raise Refused(
                None, why=f"{size:#x} bytes at {da:#x} wrap to a small size: Linux writes past {one.name}"
            )
        return one, offset
    return None


def misfit(one: Carveout, da: int, size: int) -> str | None:
    """rproc_check_carveout_da: what is reported if a request does not fit, "" for nothing; None: it fits."""
    if size > one.size:
        return "Registered carveout doesn't fit len request"
    if ANY_ADDRESS in (da, one.da):
        return None if da == ANY_ADDRESS else ""
    delta = signed(da - one.da)
    if delta < 0:
        return "Registered carveout doesn't fit da request"
    return "Registered carveout doesn't fit len request" if (delta + size) % (1 << 32) > one.size else None


def vring_bytes(num: int, align: int) -> int:
    """Bytes of a vring of `num` buffers in whole pages, with 32-bit arithmetic.

    Ref: include/uapi/linux/virtio_ring.h, vring_size()
    """
    first = 16 * num + 2 * (3 + num)
    size = (first + align - 1 & ~(align - 1)) + 2 * 3 + 8 * num & ANY_ADDRESS
    return size + PAGE - 1 & -PAGE & ANY_ADDRESS
