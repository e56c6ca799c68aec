# SPDX-License-Identifier: MIT
"""A core as a profile has it: its memory with rights, where it takes its vectors, what Linux has of it.

The rights of a region are one of these words:

    open         Linux, the core and the TEE, at any time: no firewall
    shared       Linux and the core; while the TEE loads or clears: the TEE alone
    core         the core alone; while the TEE loads or clears: the TEE alone
    core-secure  as `core`, but secure code of the core only (a boot with BOOTSEC)

`shared`, `core` and `core-secure` are ST's: a region's `access-controllers-conf-default` and `-conf-load` in
OP-TEE's device tree. Its PTA applies the second one from GET_MEM (load) or CLEAN on, and the first one again
when that ends, whether the core runs or not. An access without the right raises an illegal access event: on
an STM32MP25 OP-TEE panics. Ref: ST optee_os 4.0.0-stm32mp core/drivers/remoteproc/stm32_remoteproc.c,
stm32_rproc_get_mems_access, stm32_rproc_release_mems_access, stm32_rproc_clean; core/drivers/firewall/
stm32_iac.c.
"""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from mpbench.core.yaml_reader import YamlNode

LOADING = "loading"
"""Phase: the TEE loads an image or clears the memory."""
OTHERWISE = "otherwise"
"""Phase: before, between and after, whether the core runs or not."""

_ALL = frozenset({"linux", "core", "tee"})
_TEE = frozenset({"tee"})
RIGHTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "open": {LOADING: _ALL, OTHERWISE: _ALL},
    "shared": {LOADING: _TEE, OTHERWISE: frozenset({"linux", "core"})},
    "core": {LOADING: _TEE, OTHERWISE: frozenset({"core"})},
    "core-secure": {LOADING: _TEE, OTHERWISE: frozenset({"core-secure"})},
}
"""Word → phase → who may read and write: `linux`, `core`, `core-secure`, `tee`."""


@frozen
class Region:
    """Memory of a core: where the core sees it (da) and where the host sees it (pa), bytes, rights."""

    name: str
    da: int
    pa: int
    size: int
    rights: str = "open"

    def may(self, who: str, phase: str = OTHERWISE) -> bool:
        """Whether `who` may read and write it; see RIGHTS for both words."""
        return who in RIGHTS[self.rights][phase]

    def holds(self, pa: int, size: int = 1) -> bool:
        """Whether all of a range, by physical address, is inside."""
        return self.pa <= pa and pa + size <= self.pa + self.size


@frozen
class Watchdog:
    """The watchdog by whose interrupt Linux learns that a core hangs.

    user: who may use it: "firmware", "secure-firmware" (others raise an illegal access event), "nobody";
    given_by: the line of OP-TEE's device tree that would give it to firmware, "" if none is known.
    """

    name: str
    user: str
    given_by: str = ""


@frozen
class Core:
    """A co-processor: its name, its processor id in the TEE, its memory.

    vectors: device address of its vector table, None if the image's BOOTADDR names it;
    carveouts: what Linux has of its memory, `memory-region` of the core's node in Linux' device tree;
    watchdog: None if Linux has no line for it, or nothing is known;
    compatible: of the core's node in Linux, "" if not known;
    manager: who loads it, "tee" or "linux", "" where it is as for the whole board, see Profile.manager_of();
    reads_table: whether its driver in Linux looks at the resource table of a plain ELF: ST's for the M0 does
    not, so that Linux has no trace buffer, no RPMsg and no core dump of it;
    written_at_boot: names of regions that others write before the core is first started, and that the TEE
    clears only when it stops the core: what a refused image leaves there is not known;
    source: the files that the regions, rights and carve-outs were read in.
    """

    name: str
    id: int
    regions: tuple[Region, ...]
    vectors: int | None = field()
    carveouts: tuple[Region, ...] = field()
    watchdog: Watchdog | None = None
    compatible: str = ""
    manager: str = ""
    reads_table: bool = True
    written_at_boot: tuple[str, ...] = ()
    source: str = ""

    @vectors.default
    def _vectors(self) -> int | None:
        return self.regions[0].da

    @carveouts.default
    def _carveouts(self) -> tuple[Region, ...]:
        return self.regions

    @property
    def firewalled(self) -> bool:
        """Whether the TEE changes who may access its memory, and clears it whenever it stops the core."""
        return any(region.rights != "open" for region in self.regions)

    def pa_of(self, da: int) -> int | None:
        """Physical address of a device address, None outside the core's memory."""
        return next((da - r.da + r.pa for r in self.regions if r.da <= da < r.da + r.size), None)

    def region(self, pa: int, size: int = 1) -> Region | None:
        """The region with all of a range, by physical address."""
        return next((r for r in self.regions if r.holds(pa, size)), None)

    def linux_may_read(self, pa: int, size: int = 1, phase: str = OTHERWISE) -> bool:
        """Whether Linux may read all of a range, by physical address; True outside the core's memory."""
        inside = (r for r in self.regions if r.pa < pa + size and pa < r.pa + r.size)
        return all(region.may("linux", phase) for region in inside)

    def vectors_of(self, boot_address: int | None) -> int | None:
        """Device address of the vectors for an image with this BOOTADDR, None without one.

        None: the core has none and will not start.
        """
        return boot_address if self.vectors is None else self.vectors


def read_cores(node: YamlNode, base: tuple[Core, ...] = ()) -> tuple[Core, ...]:
    """The cores of a profile; one without `id` changes the core of that name in `base`.

    UsageError: no core, two with one id, anything that is no core.
    """
    known = {core.name: core for core in base}
    cores = tuple(_core(name, item, known.get(name)) for name, item in node.entries().items())
    if not cores:
        raise node.wrong("is empty: a board has a core")
    if len({core.id for core in cores}) != len(cores):
        raise node.wrong("has two cores with the same id")
    return cores


def _core(name: str, node: YamlNode, base: Core | None) -> Core:
    changes = base is not None and "id" not in node.entries()
    found = node.entries(tuple(_FIELDS), () if changes else ("id", "regions"))
    values = {key: _FIELDS[key](item) for key, item in found.items()}
    core = evolve(base, **values) if base is not None and changes else Core(name, **values)
    known = [region.name for region in core.regions]
    if unknown := [name for name in core.written_at_boot if name not in known]:
        raise node.wrong(
            f"has no region {unknown[0]!r} that is written at boot; its regions: {', '.join(known)}"
        )
    return core


def _regions(node: YamlNode) -> tuple[Region, ...]:
    regions = tuple(read_region(name, item) for name, item in node.entries().items())
    if not regions:
        raise node.wrong("is empty: a core has memory")
    return regions


def read_region(name: str, node: YamlNode) -> Region:
    """Memory, or a range of a bus, as a profile has it. UsageError: something is missing, or past 32 bits."""
    found = node.entries(("da", "pa", "size", "rights"), ("da", "size"))
    da = found["da"].integer(0, 0xFFFFFFFF)
    pa = found["pa"].integer(1, (1 << 48) - 1) if "pa" in found else da
    size = found["size"].integer(1, 1 << 32)
    if da + size > 1 << 32:
        raise node.wrong(f"runs past 32 bits: {da:#x} + {size:#x}")
    rights = found["rights"].choice(*RIGHTS) if "rights" in found else "open"
    return Region(name, da, pa, size, rights)


def _vectors(node: YamlNode) -> int | None:
    return None if node.value() == "BOOTADDR" else node.integer(0, 0xFFFFFFFF)


def _watchdog(node: YamlNode) -> Watchdog:
    found = node.entries(("name", "user", "given_by"), ("name", "user"))
    user = found["user"].choice("firmware", "secure-firmware", "nobody")
    return Watchdog(found["name"].text(), user, found["given_by"].text() if "given_by" in found else "")


_FIELDS: dict[str, Callable[[YamlNode], Any]] = {
    "id": lambda node: node.integer(0, 0xFFFFFFFF),
    "regions": _regions,
    "vectors": _vectors,
    "carveouts": _regions,
    "watchdog": _watchdog,
    "compatible": lambda node: node.text(),
    "manager": lambda node: node.choice("tee", "linux"),
    "reads_table": lambda node: node.choice(True, False),
    "written_at_boot": lambda node: tuple(item.text() for item in node.items()),
    "source": lambda node: node.text(),
}
