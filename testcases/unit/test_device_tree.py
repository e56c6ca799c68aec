# SPDX-License-Identifier: MIT
"""The board's device tree, which OP-TEE and Linux use, agrees with emulator and twin."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mpbench.twin.profile import load_profile
from mpbench_virtual.memory import CONTROL_PA, CONTROL_SIZE, RAM_PA, RAM_SIZE, CoreSpec, MemoryRegion
from mpbench_virtual.models import KINDS, Soc

OVERLAYS = Path(__file__).parents[2] / "firmware/boot"
ROOT = "/fragment@0/__overlay__"
RESERVED = f"{ROOT}/reserved-memory"
MAPPED_BLOCK = 2 << 20
"""OP-TEE's reserved virtual memory is mapped in blocks of this size. Ref: core_mmu_add_mapping()."""

pytestmark = pytest.mark.skipif(
    shutil.which("fdtget") is None, reason="needs dtc and fdtget (Debian: device-tree-compiler)"
)
SOCS = {kind.soc.name: kind.soc for kind in KINDS.values()}
PAIRS = [(soc, core) for soc in SOCS.values() for core in soc.cores.values()]
cores = pytest.mark.parametrize(
    ("tree", "core"), PAIRS, indirect=["tree"], ids=[f"{soc.name}-{core.name}" for soc, core in PAIRS]
)
boards = pytest.mark.parametrize("tree", SOCS.values(), indirect=True, ids=SOCS)


class Tree:
    """A compiled device tree, read by path."""

    def __init__(self, path: Path, soc: Soc) -> None:
        self.path = path
        self.soc = soc

    def _get(self, *arguments: str) -> str:
        command = ["fdtget", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def cells(self, node: str, name: str) -> list[int]:
        return [int(cell, 16) for cell in self._get("-t", "x", str(self.path), node, name).split()]

    def words(self, node: str, name: str) -> list[str]:
        return self._get("-t", "s", str(self.path), node, name).split()

    def names(self, node: str) -> list[str]:
        return self._get("-p", str(self.path), node).split()

    def children(self, node: str) -> list[str]:
        return [f"{node}/{name}" for name in self._get("-l", str(self.path), node).split()]

    def core(self, name: str) -> tuple[str, str]:
        """The node of a core, and that of the bus it is on."""
        buses = [node for node in self.children(ROOT) if "/ahb@" in node]
        return next((f"{bus}/{name}@0", bus) for bus in buses if f"{bus}/{name}@0" in self.children(bus))


@pytest.fixture(scope="module")
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    soc: Soc = request.param
    blob = tmp_path_factory.mktemp("dt") / f"{soc.name}.dtbo"
    overlay = OVERLAYS / f"{soc.name}.dtso"
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", blob, overlay], check=True)
    return Tree(blob, soc)


def reserved(tree: Tree, node: str) -> tuple[int, int]:
    """Address and size of a reserved memory: two cells each."""
    high, low, size_high, size = tree.cells(node, "reg")
    return high << 32 | low, size_high << 32 | size


@boards
def test_every_reserved_memory_is_ram_that_linux_leaves_alone(tree: Tree) -> None:
    """OP-TEE refuses a region without no-map, and U-Boot places kernel and initrd around them."""
    for node in tree.children(RESERVED):
        pa, size = reserved(tree, node)
        assert "no-map" in tree.names(node)
        assert pa >= RAM_PA
        assert pa + size <= RAM_PA + RAM_SIZE
        assert node.endswith(f"@{pa:x}")


@cores
def test_the_core_s_memory_is_the_emulator_s(tree: Tree, core: CoreSpec) -> None:
    """Physical address, size, device address of each region, in order: the first has the vectors."""
    by_phandle = {
        tree.cells(node, "phandle")[0]: node
        for node in tree.children(RESERVED)
        if "phandle" in tree.names(node)
    }
    node, bus = tree.core(core.name)
    ranges = tree.cells(bus, "dma-ranges")
    da_of = {(high << 32 | low, size): da for da, high, low, size in zip(*[iter(ranges)] * 4, strict=True)}
    found = [reserved(tree, by_phandle[p]) for p in tree.cells(node, "memory-region")]
    names = [region.name for region in core.regions]
    assert [
        MemoryRegion(n, da_of[pa, size], pa, size) for n, (pa, size) in zip(names, found, strict=True)
    ] == list(core.regions)


@cores
def test_the_core_s_memory_is_the_twin_s(tree: Tree, core: CoreSpec) -> None:
    """The twin's memory map, by which it predicts what the loader accepts, is the emulator's."""
    known = load_profile(f"virtual-{tree.soc.name}").core(core.name)
    assert known.id == core.processor_id
    assert [(r.da, r.pa, r.size) for r in known.regions] == [(r.da, r.pa, r.size) for r in core.regions]


@cores
def test_the_core_s_id_and_watchdog_are_the_emulator_s(tree: Tree, core: CoreSpec) -> None:
    """The slot in the control page, and the shared interrupt (0), a level (4), that means a watchdog bite."""
    node, _ = tree.core(core.name)
    assert tree.cells(node, "st,proc-id") == [core.processor_id]
    assert tree.cells(node, "interrupts") == [0, core.watchdog.spi, 4]
    assert tree.words(node, "compatible") == [f"mpbench,virt-{core.name}-tee"]


@boards
def test_the_control_page_is_alone_in_its_block(tree: Tree) -> None:
    """A block that OP-TEE maps and unmaps for a region must not hold the page it keeps mapped."""
    page = next(node for node in tree.children(RESERVED) if "compatible" in tree.names(node))
    assert tree.words(page, "compatible") == ["mpbench,virt-rproc-control"]
    assert reserved(tree, page) == (CONTROL_PA, CONTROL_SIZE)
    for node in set(tree.children(RESERVED)) - {page}:
        pa, size = reserved(tree, node)
        assert CONTROL_PA // MAPPED_BLOCK not in range(
            pa // MAPPED_BLOCK, (pa + size - 1) // MAPPED_BLOCK + 1
        )
