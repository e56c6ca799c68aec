# SPDX-License-Identifier: MIT
"""How the parts of kinds mp15 and mp15-st are made: a small Linux, and OP-TEE as for Debian's kernel, or one
that answers as ST's.

Ref: Linux Documentation/arch/arm/booting.rst
"""

import shutil
from collections.abc import Callable
from functools import partial
from inspect import getsource
from pathlib import Path

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import linux_image
from mpbench_virtual.keys import signing_public_key
from mpbench_virtual.models import MP15, BoardKind
from mpbench_virtual.recipes import (
    _gcc,
    _lines,
    _source_id,
    copied_source,
    lay_over_optee,
    linux_step,
    make_device_tree,
    make_optee,
    rootfs_step,
)
from mpbench_virtual.recipes_machine import DDR
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.recipes_tee import OPTEE_NODES, OVERLAY, optee_step
from mpbench_virtual.steps import BuildStep, Place, hash_files

BOOT = FIRMWARE / "boot"
LAID_OVER = (FIRMWARE / "optee", FIRMWARE / "optee-st")
"""Over OP-TEE's source, where it answers as ST's."""
ST_TREE = BOOT / "mp15-ostl-optee.dts"
"""Its device tree: that of its own source, with core, memory and firewall as ST's tree has them."""
TEXT_OFFSET = 0x8000
"""Linux' distance from where memory starts. Ref: Linux arch/arm/Makefile, textofs-y"""


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps of the board, each after those it needs."""

    def step(name: str, inputs: Callable[[], list[str]], make: Callable[..., None], *needs: str) -> BuildStep:
        return BuildStep(name, lambda: [getsource(make), *inputs()], partial(make, kind), needs)

    return [
        machine_steps_of(kind)[0],  # QEMU
        step("mp15-optee", _st_optee_inputs, _make_st_optee)
        if kind.st_optee
        else optee_step("mp15-optee", kind),
        linux_step(MP15),
        rootfs_step(MP15),
        step("mp15-kernel", lambda: [getsource(linux_image)], _make_kernel, "linux"),
        step("mp15-device-tree", partial(_device_tree_inputs, kind), _make_device_tree),
    ]


def _make_kernel(_: BoardKind, place: Place) -> None:
    kernel = (place.needs["linux"] / "kernel").read_bytes()
    (place.out / "kernel").write_bytes(linux_image.with_address(kernel, DDR + TEXT_OFFSET))


def _device_tree_inputs(kind: BoardKind) -> list[str]:
    texts = [getsource(make_device_tree), kind.device_tree, _optee_nodes(kind)]
    return [_source_id("linux"), *texts, hash_files(*_overlays(kind))]


def _make_device_tree(kind: BoardKind, place: Place) -> None:
    make_device_tree(kind.soc, kind.device_tree, _overlays(kind), place, more=_optee_nodes(kind))


def _optee_nodes(kind: BoardKind) -> str:
    """As source; none where OP-TEE adds its own."""
    return "" if kind.st_optee else "/ { " + OPTEE_NODES.replace("{gic}", "&intc") + " };"


def _overlays(kind: BoardKind) -> list[Path]:
    return [OVERLAY, *(BOOT / name for name in kind.overlays)]


def st_optee_settings() -> list[str]:
    """make settings of upstream's OP-TEE with ST's answers."""
    return [*_lines(FIRMWARE / "optee/config.mk"), *_lines(BOOT / "mp15-ostl.mk")]


def _st_optee_inputs() -> list[str]:
    ours = [getsource(lay_over_optee), *map(hash_files, LAID_OVER), hash_files(ST_TREE)]
    settings = [*st_optee_settings(), signing_public_key().read_text()]
    return [_source_id("optee"), _gcc(MP15), getsource(make_optee), *settings, *ours]


def _make_st_optee(_: BoardKind, place: Place) -> None:
    tree = copied_source("optee", place)
    for ours in LAID_OVER:
        lay_over_optee(tree, ours)
    shutil.copy(ST_TREE, tree / "core/arch/arm/dts")
    settings = [*st_optee_settings(), f"CFG_EMBED_DTB_SOURCE_FILE={ST_TREE.name}"]
    make_optee(tree, [*settings, f"RPROC_SIGN_KEY={signing_public_key()}"], MP15, place)
    shutil.copy(tree / "out/core/tee.bin", place.out)
