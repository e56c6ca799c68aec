# SPDX-License-Identifier: MIT
"""The parts of a kind of virtual board: which steps build them, and what QEMU gets of their results."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from mpbench.core.errors import UsageError
from mpbench_virtual.fetch import own_tree
from mpbench_virtual.models import KINDS, MP15, MP25, BoardKind
from mpbench_virtual.qemu import Parts, icount_arguments
from mpbench_virtual.recipes import EMULATORS
from mpbench_virtual.recipes_ev1 import optee_settings as ev1_settings
from mpbench_virtual.recipes_ev1 import own_optee
from mpbench_virtual.recipes_ev1 import steps_of as ev1_steps_of
from mpbench_virtual.recipes_machine import LIBRARIES, QEMU
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.recipes_mp15 import st_optee_settings
from mpbench_virtual.recipes_mp15 import steps_of as mp15_steps_of
from mpbench_virtual.recipes_tee import optee_settings as tee_settings
from mpbench_virtual.recipes_tee import steps_of as tee_steps_of
from mpbench_virtual.steps import BuildStep, Report, build
from mpbench_virtual.tools import require, require_libraries

LONG_LOG = "log_buf_len=2M"
"""The kernel's log has a whole run: storms of messages would push out what drivers said at the start."""
DEBIAN_ARGUMENTS = (
    "cryptomgr.notests initcall_blacklist=jent_mod_init,init_encrypted,crypto_kdf108_init"
    " rcupdate.rcu_cpu_stall_suppress=1 vmalloc=750M"
)
"""Without self tests of ciphers and of a key derivation, entropy from timing and encrypted keys, which take a
third of the start, and without reports of a CPU that stalled: on a busy host QEMU's do.

vmalloc: after each module Linux takes a range out of the TLB page by page, from modules to vmalloc's area,
with all of lowmem in between (mm/vmalloc.c, __purge_vmap_area_lazy). When QEMU stopped all CPUs for each page
(qemu_edits.TLBI), that took half of the start with 512 MiB of lowmem.  U-Boot puts the
device tree below 256 MiB, which must stay lowmem.
"""

SMALL_ARGUMENTS = "fw_devlink=off"
"""No links between the devices of the tree, which took 128 ms of a start together with the devices, now 50.
A driver whose supplier is not there yet is deferred. Ref: Linux Documentation/driver-api/device_link.rst"""


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps that build the board, each after those it needs."""
    return _recipe(kind).steps_of(kind)


def optee_settings(kind: BoardKind) -> list[str]:
    """make settings that select OP-TEE's platform and word sizes."""
    if not kind.tee:
        return ev1_settings(kind)
    return st_optee_settings() if kind.st_optee else tee_settings(kind)


def build_parts(kind_name: str, report: Report) -> Parts:
    """Build, or find in the cache, every part of a board of this kind. UsageError for an unknown kind."""
    if kind_name not in KINDS:
        known = ", ".join(KINDS)
        raise UsageError(f"unknown kind of virtual board {kind_name!r}; known: {known}")
    kind = KINDS[kind_name]
    recipe = _recipe(kind)
    if own_optee(kind):
        _require_st_driver(kind)
    elif kind.st_optee and own_tree("optee"):
        raise UsageError(
            f"kind {kind.name}: its OP-TEE is upstream's with parts of the bench's: unset MPBENCH_OPTEE_SRC"
        )
    require(*TOOLS, EMULATORS[kind.guest[0]], *recipe.tools)
    require_libraries(**LIBRARIES)
    made = build(recipe.steps_of(kind), report)
    return Parts(
        program=made["qemu"] / QEMU,
        machine=("-M", kind.machine, *icount_arguments()),
        append=f"console={kind.console} quiet rdinit=/init {LONG_LOG} {recipe.arguments}".rstrip(),
        **recipe.files_of(kind, made),
    )


@frozen
class Recipe:
    """How boards of one sort are made.

    steps_of:  the steps of a kind
    files_of:  of the results of these steps, by name, arguments of Parts
    tools:     programs that they need besides TOOLS
    arguments: of Linux, besides those of every board
    """

    steps_of: Callable[[BoardKind], list[BuildStep]]
    files_of: Callable[[BoardKind, Mapping[str, Path]], dict[str, Any]]
    tools: tuple[str, ...]
    arguments: str = ""


TOOLS = ("cpio", "dpkg-deb", "dtc", "gcc", "ninja", "tar", "xz")
COMPILED = ("bc", "bison", "fdtoverlay", "flex", "make")
"""What OP-TEE, Linux and its modules are made with, besides a cross compiler."""


def _debian_files(kind: BoardKind, made: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "kernel": made["debian-kernel" if kind.loaders else "debian-image"] / "kernel",
        "initrd": made["debian-rootfs"] / "rootfs.cpio",
        "device_tree": made["debian-kernel"] / kind.device_tree,
        "loaders": made["sd-loaders"] if kind.loaders else None,
    }


def _tee_files(kind: BoardKind, made: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "firmware": None if kind.fip else made["tee-optee"] / "tee.bin",
        "one_console": True,
        "kernel": made["debian-kernel" if kind.fip else "debian-image"] / "kernel",
        "initrd": made["tee-rootfs"] / "rootfs.cpio",
        "device_tree": made["tee-device-tree"] / kind.device_tree,
        "loaders": made["tee-loaders"] if kind.fip else None,
    }


def _mp15_files(kind: BoardKind, made: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "firmware": made["mp15-optee"] / "tee.bin",
        "one_console": True,
        "kernel": made["mp15-kernel"] / "kernel",
        "initrd": made["rootfs"] / "rootfs.cpio",
        "device_tree": made["mp15-device-tree"] / kind.device_tree,
    }


def _ev1_files(kind: BoardKind, made: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "firmware": made["ev1-fip"] / "fip.bin",
        "kernel": made["linux"] / "kernel",
        "initrd": made["rootfs"] / "rootfs.cpio",
        "device_tree": made["ev1-device-tree"] / kind.device_tree,
        "loaders": made["ev1-fip"] if kind.uboot else None,
    }


MP15_TOOLS = (*COMPILED, f"{MP15.cross}gcc")
DEBIAN = Recipe(machine_steps_of, _debian_files, ("fdtget",), DEBIAN_ARGUMENTS)
DEBIAN_TEE = Recipe(tee_steps_of, _tee_files, MP15_TOOLS, DEBIAN_ARGUMENTS)
SMALL_TEE = Recipe(mp15_steps_of, _mp15_files, MP15_TOOLS, SMALL_ARGUMENTS)
EV1 = Recipe(ev1_steps_of, _ev1_files, (*COMPILED, "lz4", f"{MP25.cross}gcc"))


def _recipe(kind: BoardKind) -> Recipe:
    if kind.tee:
        return SMALL_TEE if kind.small_kernel else DEBIAN_TEE
    return EV1 if kind.secure else DEBIAN


def _require_st_driver(kind: BoardKind) -> None:
    """UsageError unless the tree of MPBENCH_OPTEE_SRC has a driver that loads the M33."""
    driver = "core/drivers/remoteproc/stm32_remoteproc.c"
    given = own_tree("optee")
    source = (given or Path()) / driver
    if not source.is_file() or "st,stm32mp2-m33-tee" not in source.read_text():
        raise UsageError(
            f"kind {kind.name}: MPBENCH_OPTEE_SRC={str(given)!r} is no source tree of "
            f"ST's OP-TEE for STM32MP25 (with st,stm32mp2-m33-tee in {driver}); OP-TEE is built from it, "
            "unchanged"
        )
