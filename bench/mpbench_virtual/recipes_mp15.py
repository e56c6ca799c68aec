# SPDX-License-Identifier: MIT
"""How the parts of kind mp15 are made: OP-TEE as for Debian's kernel, and a small Linux.

Ref: Linux Documentation/arch/arm/booting.rst
"""

from collections.abc import Callable
from functools import partial
from inspect import getsource

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import linux_image
from mpbench_virtual.models import MP15, BoardKind
from mpbench_virtual.recipes import _source_id, linux_step, make_device_tree, rootfs_step
from mpbench_virtual.recipes_machine import DDR, gic_phandle
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.recipes_tee import OVERLAY, optee_step
from mpbench_virtual.steps import BuildStep, Place, hash_files
from mpbench_virtual.tools import run_logged

BOOT = FIRMWARE / "boot"
TEXT_OFFSET = 0x8000
"""Linux' distance from where memory starts. Ref: Linux arch/arm/Makefile, textofs-y"""


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps of the board, each after those it needs."""

    def step(name: str, inputs: Callable[[], list[str]], make: Callable[..., None], *needs: str) -> BuildStep:
        return BuildStep(name, lambda: [getsource(make), *inputs()], partial(make, kind), needs)

    return [
        machine_steps_of(kind)[0],  # QEMU
        optee_step("mp15-optee", kind),
        linux_step(MP15),
        rootfs_step(MP15),
        step("mp15-kernel", lambda: [getsource(linux_image)], _make_kernel, "linux"),
        step("mp15-device-tree", partial(_device_tree_inputs, kind), _make_device_tree),
    ]


def _make_kernel(_: BoardKind, place: Place) -> None:
    kernel = (place.needs["linux"] / "kernel").read_bytes()
    (place.out / "kernel").write_bytes(linux_image.with_address(kernel, DDR + TEXT_OFFSET))


def _device_tree_inputs(kind: BoardKind) -> list[str]:
    return [_source_id("linux"), getsource(make_device_tree), kind.device_tree, hash_files(OVERLAY)]


def _make_device_tree(kind: BoardKind, place: Place) -> None:
    """The node that OP-TEE adds at the root has a parent."""
    tree = make_device_tree(kind.soc, kind.device_tree, [OVERLAY], place)
    run_logged(["fdtput", "-t", "i", tree, "/", "interrupt-parent", gic_phandle(tree)], place.log)
