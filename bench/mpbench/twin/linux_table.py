# SPDX-License-Identifier: MIT
"""Linux' handling of a resource table: which entries it refuses, what it asks for, what it writes back.

Read in 6.1.192, 6.12.107, 6.12.117 and ST's 6.6; see kernels.KERNELS for what differs. An entry is read
from the copy that the entries before it have changed, as in the kernel.

A vdev is special since 6.1: rproc_handle_vdev() registers a platform device and does not look at whether its
probe succeeds. A vring that is wrong or does not fit its carve-out leaves the core started, without RPMsg.

Ref: Linux drivers/remoteproc/remoteproc_core.c: rproc_handle_resources(), rproc_handle_carveout(),
     rproc_handle_devmem(), rproc_handle_trace(), rproc_handle_vdev(), rproc_parse_vring(),
     rproc_alloc_vring(), rproc_alloc_registered_carveouts(), rproc_free_vring(); remoteproc_virtio.c:
     rproc_virtio_probe(), rproc_virtio_remove(); include/linux/rsc_table.h: rsc_table_for_each_entry()
"""

import struct
from typing import Final

from attrs import evolve

from mpbench import layout
from mpbench.twin.linux_values import (
    ANY_ADDRESS,
    NAME_BYTES,
    Carveout,
    LinuxSide,
    Refused,
    TableAnswer,
    misfit,
    signed,
    vring_bytes,
)

CARVEOUT, DEVMEM, TRACE, VDEV = range(4)
VENDOR: Final = range(128, 513)
CARVEOUT_BYTES: Final = 52
"""Of struct fw_rsc_carveout: da, pa, len, flags, reserved, 32 characters of name."""
TRACE_BYTES: Final = 44
"""Of struct fw_rsc_trace: da, len, reserved, 32 characters of name."""
VDEV_BYTES: Final = 24
"""Of struct fw_rsc_vdev without its vrings."""
VRING: Final = struct.Struct("<5I")
"""da, align, num, notifyid, pa."""
NOTIFYID: Final = 12
VRINGS: Final = 2
"""RVDEV_NUM_VRINGS."""
RPMSG: Final = 7
"""VIRTIO_ID_RPMSG."""
LARGEST: Final = 4 << 20
"""Bytes that Linux can allocate in one piece without CMA: pages of order 10."""
OOPS: Final = (
    "a vdev of fewer than two vrings: when Linux frees it, rproc_free_vring() follows a null pointer; "
    "the core cannot be used until a reboot"
)

LOST: Final = (
    "the device tree has no such memory for the core: Linux takes some of its own at an address that the "
    "core's bus has not, starts the core, and crashes as it gives it back: at the next stop"
)
"""Ref: Linux 6.12 arch/arm/mm/dma-mapping.c, __dma_alloc() (phys_to_dma() is not checked), arch_dma_free().
Seen with Debian's own kernel, driver and device tree on a virtual STM32MP157C-DK2."""

_U32 = struct.Struct("<I")


def handle(table: bytes, linux: LinuxSide) -> TableAnswer:
    """The answer to a table whose number of entries fits its size. b"": no table, and nothing is refused."""
    run = _Handling(bytearray(table), linux)
    try:
        if table:
            run.handle_resources()
        run.allocate()
    except Refused as refused:
        run.lines += [refused.line] if refused.line else []
        return run.answer(refused.errno, refused.why)
    return run.answer("OK")


def trace_buffer(table: bytes) -> int | None:
    """Device address of the first trace buffer that a sound table names, None without one."""
    (count,) = _U32.unpack_from(table, 4)
    for at in struct.unpack_from(f"<{count}I", table, layout.RESOURCE_HEAD.size):
        if at + 8 <= len(table) and _U32.unpack_from(table, at)[0] == TRACE:
            return int(_U32.unpack_from(table, at + 4)[0])
    return None


class _Handling:
    """One boot's handling of a table, which it changes."""

    def __init__(self, table: bytearray, linux: LinuxSide) -> None:
        self.table, self.linux = table, linux
        self.carveouts: list[Carveout] = list(linux.carveouts or ())
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.vdevs = 0
        self.probed: list[int] = []
        self.notifyids: set[int] = set()
        self.frees_badly = False
        self.depends = ""  # of a vdev, which fails nothing by itself

    def answer(self, errno: str | None, why: str = "") -> TableAnswer:
        """What has come of it."""
        lines, notes = tuple(self.lines), tuple(self.notes)
        known = tuple(one for one in self.carveouts if one.pa is not None or one.da != ANY_ADDRESS)
        buffers = {index: self.find(f"vdev{index}buffer") for index in self.probed}
        started = tuple(f"vdev {i} buffer already mapped" for i, one in buffers.items() if one and one.mapped)
        return TableAnswer(errno, why, lines, notes, bytes(self.table), known, started)

    def word(self, at: int) -> int:
        """A number of the table. Refused(None) outside of it."""
        if at < 0 or at + 4 > len(self.table):
            raise Refused(None, why="Linux reads past the resource table")
        return int(_U32.unpack_from(self.table, at)[0])

    def handle_resources(self) -> None:
        """rproc_handle_resources."""
        ignored = False
        for index in range(self.word(4)):
            at, avail = self.entry(self.word(layout.RESOURCE_HEAD.size + 4 * index))
            kind = self.word(at - 4)
            if kind in VENDOR:
                self.lines.append(f"unsupported vendor resource {kind}")
                ignored = not self.linux.kernel.iterator
            elif kind > VDEV:
                self.lines.append(f"unsupported resource {signed(kind)}")
            else:
                self.resource(kind, at, avail)
                ignored = False
        if ignored:  # RSC_IGNORED, 1: sysfs takes it for a short write, and refuses the rest, "tart"
            raise Refused(self.after_cleanup("EINVAL"), "Failed to process resources: 1", self.why_oops())

    def entry(self, offset: int) -> tuple[int, int]:
        """Place of an entry after its type, and the bytes that are left there."""
        start, size = offset if self.linux.kernel.iterator else signed(offset), len(self.table)
        avail = signed(size - start - 4)
        inside = layout.RESOURCE_HEAD.size <= start <= size - 4 if self.linux.kernel.iterator else avail >= 0
        if not inside:
            self.refuse("rsc table is truncated")
        if start < 0:
            raise Refused(
                None, why=f"an entry's offset is {offset:#x}: Linux reads in front of the resource table"
            )
        return start + 4, avail

    def resource(self, kind: int, at: int, avail: int) -> None:
        """The handler of a type."""
        if kind == DEVMEM:  # looked at first
            self.notes.append("a devmem entry is refused: Linux has no IOMMU for the core")
            self.refuse()
        elif kind == TRACE:
            self.plain("trace", TRACE_BYTES, avail, at + 8)
        elif kind == CARVEOUT:
            self.plain("carveout", CARVEOUT_BYTES, avail, at + 16)
            self.carveout(at)
        else:
            self.vdev(at, avail)

    def refuse(self, line: str = "", errno: str = "EINVAL") -> None:
        """A handler's failure, which the core reports as well."""
        self.lines += [line] if line else []
        number = {"EINVAL": -22, "ENOMEM": -12}[errno]
        raise Refused(self.after_cleanup(errno), f"Failed to process resources: {number}", self.why_oops())

    def after_cleanup(self, errno: str) -> str | None:
        """The errno, if rproc_resource_cleanup() comes to its end."""
        return None if self.frees_badly else errno

    def why_oops(self) -> str:
        """What keeps rproc_resource_cleanup() from its end."""
        return OOPS if self.frees_badly else ""

    def plain(self, what: str, size: int, avail: int, reserved: int) -> None:
        """The two checks that entries have in common."""
        if size > avail:
            self.refuse(f"{what} rsc is truncated")
        if self.word(reserved):
            self.refuse(f"{what} rsc has non zero reserved bytes")

    # ------------------------------------------------------------- carve-outs
    def find(self, name: str) -> Carveout | None:
        """rproc_find_carveout_by_name."""
        return next((one for one in self.carveouts if one.name == name), None)

    def unknown(self, name: str) -> str:
        """What the answer depends on where the board's carve-outs are not known, else ""."""
        if self.linux.carveouts is not None:
            return ""
        return (
            f"depends on memory-region of the core in Linux' device tree: is {name} there, and does it fit?"
        )

    def misfit(self, one: Carveout, da: int, size: int) -> bool:
        """Whether it does not fit the carve-out, which is reported."""
        line = misfit(one, da, size)
        self.lines += [line] if line else []
        return line is not None

    def carveout(self, at: int) -> None:
        """rproc_handle_carveout, after its checks. The name is used as a format."""
        da, _, size, _, _ = struct.unpack_from("<5I", self.table, at)
        text, end, _ = self.table[at + 20 :].partition(b"\0")
        if not end or b"%" in text:
            what = "has no end" if not end else "has a %, and Linux uses it as a format"
            raise Refused(None, why=f"the name of a carve-out {what}")
        name = text[:NAME_BYTES].decode("latin-1")
        found = self.find(name)
        if found is None and (why := self.unknown(name)):
            raise Refused(None, why=why)
        if found is None:
            self.carveouts.append(Carveout(name, da, size, entry=at))
            return
        if found.entry is not None:
            self.refuse("Carveout already associated to resource table", "ENOMEM")
        if self.misfit(found, da, size):
            self.refuse(errno="ENOMEM")
        self.carveouts[self.carveouts.index(found)] = evolve(found, entry=at)

    def allocate(self) -> None:
        """rproc_alloc_registered_carveouts."""
        if self.depends:
            raise Refused(None, why=self.depends)
        for one in self.carveouts:
            if one.pa is None:
                self.allocate_one(one)
            elif one.entry is not None:
                struct.pack_into("<3I", self.table, one.entry, one.da, one.pa & ANY_ADDRESS, one.size)

    def allocate_one(self, one: Carveout) -> None:
        """rproc_alloc_carveout: memory of Linux, at an address that nothing here knows."""
        if self.linux.allocates == "lost":
            raise Refused(None, why=LOST)
        if self.linux.allocates is None or (self.linux.allocates and one.size > LARGEST):
            raise Refused(
                None, why=f"depends on whether Linux can allocate {one.size:#x} bytes for {one.name}"
            )
        if not self.linux.allocates:
            self.lines.append(f"failed to allocate dma memory: len {one.size:#x}")
            self.lines.append(f"Unable to allocate carveout {one.name}: -12")
            self.notes.append(
                f"the device tree has no memory {one.name} for the core, and Linux can allocate none"
            )
            line = "Failed to allocate associated carveouts: -12"
            raise Refused(self.after_cleanup("ENOMEM"), line, self.why_oops())
        where = "" if one.da == ANY_ADDRESS else f", not at {one.da:#x}"
        self.lines += ["Allocated carveout doesn't fit device address request"] if where else []
        self.notes.append(f"{one.name} is allocated in Linux' own memory{where}: can the core reach it?")

    # ------------------------------------------------------------- virtio devices
    def vdev(self, at: int, avail: int) -> None:
        """rproc_handle_vdev."""
        if avail < VDEV_BYTES:
            self.refuse("vdev rsc is truncated")
        count = self.table[at + 21]
        if VDEV_BYTES + VRING.size * count + self.word(at + 16) > avail:
            self.refuse("vdev rsc is truncated")
        if self.table[at + 22] or self.table[at + 23]:
            self.refuse("vdev rsc has non zero reserved bytes")
        if count > VRINGS:
            self.refuse(f"too many vrings: {count}")
        index, self.vdevs = self.vdevs, self.vdevs + 1
        rings = [at + VDEV_BYTES + VRING.size * i for i in range(count)]
        problem = self.probe(index, rings)
        if problem:
            number = {"EINVAL": -22, "ENOMEM": -12}[problem]
            self.lines.append(self.linux.kernel.probe.format(number))
            self.notes.append(f"vdev{index} is not there: no RPMsg through it")
            return
        self.probed.append(index)
        if count < VRINGS:
            self.frees_badly = True
            self.notes.append(OOPS)
        self.remarks(at, index, rings)

    def probe(self, index: int, rings: list[int]) -> str:
        """rproc_virtio_probe: errno of its failure, "" for none."""
        for ring in rings:
            _, align, num, _, _ = VRING.unpack_from(self.table, ring)
            if not num or not align:
                self.lines.append(f"invalid qsz ({signed(num)}) or alignment ({signed(align)})")
                return "EINVAL"
        taken: list[tuple[int, int]] = []
        for number, ring in enumerate(rings):
            if not self.vring(f"vdev{index}vring{number}", ring):
                for before, notifyid in taken:  # rproc_free_vring
                    self.notifyids.discard(notifyid)
                    _U32.pack_into(self.table, before, 0)
                    _U32.pack_into(self.table, before + NOTIFYID, ANY_ADDRESS)
                return "ENOMEM"
            taken.append((ring, self.word(ring + NOTIFYID)))
        return ""

    def vring(self, name: str, ring: int) -> bool:
        """rproc_alloc_vring: whether it fits; its notifyid is the lowest that is free."""
        da, align, num, _, _ = VRING.unpack_from(self.table, ring)
        size = vring_bytes(num, align)
        found = self.find(name)
        if found is None and (why := self.unknown(name)):
            self.depends = self.depends or why
        elif found is None:
            self.carveouts.append(Carveout(name, da, size))
        elif self.misfit(found, da, size):
            return False
        notifyid = next(n for n in range(len(self.notifyids) + 1) if n not in self.notifyids)
        self.notifyids.add(notifyid)
        _U32.pack_into(self.table, ring + NOTIFYID, notifyid)
        return True

    def remarks(self, at: int, index: int, rings: list[int]) -> None:
        """What keeps RPMsg from working over a vdev that is there: vring_new_virtqueue(), rpmsg_probe()."""
        if self.word(at) != RPMSG:
            self.notes.append(
                f"vdev{index} is a virtio device of type {self.word(at)}, not of RPMsg's, {RPMSG}"
            )
        for number, ring in enumerate(rings):
            num = self.word(ring + 8)
            if num & (num - 1):
                self.notes.append(f"vring {number} of vdev{index} has {num} buffers, no power of 2: no RPMsg")
        if self.linux.carveouts is not None and not any(
            c.name == f"vdev{index}buffer" for c in self.carveouts
        ):
            self.notes.append(
                f"no memory vdev{index}buffer: RPMsg's buffers are allocated elsewhere, or not at all"
            )
