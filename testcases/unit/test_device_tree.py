# SPDX-License-Identifier: MIT
"""The overlays of the STM32MP257F-EV1's machine, by which Linux knows the cores, agree with the twin."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mpbench.core.shared_files import FIRMWARE
from mpbench.twin.profile import load_profile

PROFILE = load_profile("virtual-mp25")
OVERLAYS = {"m33": "mp25.dtso", "m0": "mp25-m0.dtso"}
SPIS = {"m33": 4, "m0": 7}
"""Interrupts of IWDG3 and IWDG5 at the Cortex-A35. Ref: STM32CubeMP2 stm32mp257cxx_ca35.h"""

pytestmark = [
    pytest.mark.skipif(shutil.which("fdtget") is None, reason="needs fdtget (Debian: device-tree-compiler)"),
    pytest.mark.parametrize("core", sorted(OVERLAYS)),
]


class Tree:
    """A compiled device tree, read by path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _get(self, *arguments: str) -> str:
        command = ["fdtget", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def cells(self, node: str, name: str) -> list[int]:
        return [int(cell, 16) for cell in self._get("-t", "x", str(self.path), node, name).split()]

    def names(self, node: str) -> list[str]:
        return self._get("-p", str(self.path), node).split()

    def children(self, node: str) -> list[str]:
        return [f"{node.rstrip('/')}/{name}" for name in self._get("-l", str(self.path), node).split()]

    def nodes(self, node: str = "/") -> list[str]:
        return [node, *(below for child in self.children(node) for below in self.nodes(child))]


@pytest.fixture
def tree(core: str, tmp_path: Path) -> Tree:
    blob = tmp_path / "overlay.dtbo"
    source = FIRMWARE / "boot" / OVERLAYS[core]
    subprocess.run(["dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", blob, source], check=True)
    return Tree(blob)


def reserved(tree: Tree, node: str) -> tuple[int, int]:
    """Address and size of a reserved memory: two cells each."""
    high, low, size_high, size = tree.cells(node, "reg")
    return high << 32 | low, size_high << 32 | size


def test_every_reserved_memory_is_left_alone_by_linux(tree: Tree) -> None:
    """Linux' driver refuses a region without no-map; a node's name has its address."""
    for node in tree.nodes():
        if "no-map" in tree.names(node):
            pa, size = reserved(tree, node)
            assert node.endswith(f"@{pa:x}")
            assert size % 0x1000 == 0


def test_the_core_s_carve_outs_are_the_twin_s(tree: Tree, core: str) -> None:
    """Linux' carve-outs, by which the twin predicts what becomes of a resource table, are the tree's."""
    by_phandle = {tree.cells(n, "phandle")[0]: n for n in tree.nodes() if "phandle" in tree.names(n)}
    node = next(n for n in tree.nodes() if n.endswith(f"/{core}@0"))
    found = [reserved(tree, by_phandle[number]) for number in tree.cells(node, "memory-region")]
    known = PROFILE.core(core)
    assert sorted(found) == sorted((one.pa, one.size) for one in known.carveouts)


def test_the_core_s_id_and_watchdog(tree: Tree, core: str) -> None:
    """The id by which OP-TEE knows it; the shared interrupt (0), a level (4), that means a watchdog bite."""
    node = next(n for n in tree.nodes() if n.endswith(f"/{core}@0"))
    assert tree.cells(node, "st,proc-id") == [PROFILE.core(core).id]
    assert tree.cells(node, "interrupts") == [0, SPIS[core], 4]
