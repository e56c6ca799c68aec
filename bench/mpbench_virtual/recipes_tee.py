# SPDX-License-Identifier: MIT
"""How the parts of a board are made on which OP-TEE loads the core and Linux is Debian's.

OP-TEE is its own platform for the board, no file changed. Debian's kernel for armhf has no TEE: the modules
are built beside it, from Debian's source of the same version.

Ref: OP-TEE core/arch/arm/plat-stm32mp1/conf.mk; Linux Documentation/kbuild/modules.rst
"""

import shutil
from collections.abc import Callable
from functools import partial
from inspect import getsource
from pathlib import Path
from typing import Any

from mpbench.core.errors import InfrastructureError
from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual.fetch import fetch, source_tree, unpack_deb
from mpbench_virtual.keys import signing_public_key
from mpbench_virtual.models import MP15, MachineKind
from mpbench_virtual.recipes import (
    JOBS,
    _gcc,
    _lines,
    _source_id,
    _take,
    apply_overlays,
    copied_source,
    make_optee,
    write_cpio,
)
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.steps import BuildStep, Place, hash_files
from mpbench_virtual.tools import run_logged

BOOT = FIRMWARE / "boot"
DRIVER = FIRMWARE / "linux/mpbench_remoteproc.c"
HEADERS, SOURCE = "kernel-armhf-headers", "kernel-armhf-source"
GUEST_FILES = {"libteec": ("libteec.so.2",), "supplicant": ("usr/sbin/tee-supplicant",)}
"""Files of the root file system that boards without a TEE lack."""
MODULES = ("tee/tee.ko", "tee/optee/optee.ko", "mpbench_remoteproc.ko")
DEPENDENCIES = """\
extra/tee.ko:
extra/optee.ko: extra/tee.ko
extra/mpbench_remoteproc.ko: extra/tee.ko
"""
"""Lines of modules.dep. Ref: modules.dep(5)"""
SETTINGS = """\
CONFIG_TEE=m
CONFIG_OPTEE=m
CONFIG_SYSTEM_TRUSTED_KEYS=""
# CONFIG_DEBUG_INFO_BTF is not set
"""
"""Added to the kernel's configuration; signing and type information want what only Debian's builders have."""


def steps_of(kind: MachineKind) -> list[BuildStep]:
    """Steps of the board, each after those it needs."""

    def step(name: str, inputs: Callable[[], list[str]], make: Callable[..., Any], *needs: str) -> BuildStep:
        return BuildStep(name, lambda: [getsource(make), *inputs()], partial(make, kind), needs)

    return [
        *machine_steps_of(kind),
        step("tee-optee", partial(_optee_inputs, kind), _make_optee),
        step("tee-modules", _modules_inputs, _make_modules, "debian-kernel"),
        step("tee-device-tree", lambda: [hash_files(_overlay(kind))], _make_device_tree, "debian-kernel"),
        step("tee-rootfs", partial(_rootfs_inputs, kind), _make_rootfs, "debian-rootfs", "tee-modules"),
    ]


def _optee_inputs(kind: MachineKind) -> list[str]:
    settings = [*_lines(BOOT / f"{kind.name}.mk"), signing_public_key().read_text()]
    return [_source_id("optee"), _gcc(MP15), getsource(make_optee), hash_files(_tee_dts(kind)), *settings]


def _tee_dts(kind: MachineKind) -> Path:
    """OP-TEE's device tree: that of its own source, with the core that it loads."""
    return BOOT / f"{kind.name}-optee.dts"


def _make_optee(kind: MachineKind, place: Place) -> None:
    tree, dts = copied_source("optee", place), _tee_dts(kind)
    shutil.copy(dts, tree / "core/arch/arm/dts")
    settings = [*_lines(BOOT / f"{kind.name}.mk"), f"CFG_EMBED_DTB_SOURCE_FILE={dts.name}"]
    make_optee(tree, [*settings, f"RPROC_SIGN_KEY={signing_public_key()}"], MP15, place)
    shutil.copy(tree / "out/core/tee.bin", place.out)


def _modules_inputs() -> list[str]:
    return [_source_id(HEADERS), _source_id(SOURCE), _gcc(MP15), hash_files(DRIVER), SETTINGS, *MODULES]


def _make_modules(kind: MachineKind, place: Place) -> None:
    """With the configuration and the symbol versions of Debian's kernel; its source stays as it is."""
    kernel, source = fetch(kind.kernel)[0].version, fetch(SOURCE)[0].version
    if kernel != source:
        raise InfrastructureError(f"modules for Linux {kernel} want its source, and the mirror has {source}")
    release = (place.needs["debian-kernel"] / "release").read_text().strip()
    headers, objects, modules = (place.work / name for name in ("headers", "objects", "modules"))
    for stale in (headers, modules):
        shutil.rmtree(stale, ignore_errors=True)
    unpack_deb(HEADERS, headers, place.log)
    objects.mkdir(exist_ok=True)
    theirs = headers / f"usr/src/linux-headers-{release}"
    shutil.copy(theirs / "Module.symvers", objects)
    (objects / ".config").write_text((theirs / ".config").read_text() + SETTINGS)
    tree = source_tree(SOURCE)
    shutil.copytree(tree / "drivers/tee", modules / "tee")
    shutil.copy(DRIVER, modules)
    (modules / "Kbuild").write_text("obj-m += tee/ mpbench_remoteproc.o\n")
    version = release.split("+", 1)[1]
    make: list[str | Path] = ["make", "-C", tree, f"O={objects}", "ARCH=arm", f"CROSS_COMPILE={MP15.cross}"]
    make += [f"LOCALVERSION=+{version}", JOBS]
    run_logged([*make, "olddefconfig"], place.log)
    run_logged([*make, "modules_prepare"], place.log)
    run_logged([*make, f"M={modules}", "modules"], place.log)
    for name in MODULES:
        target = place.out / Path(name).name
        run_logged([f"{MP15.cross}strip", "--strip-debug", "-o", target, modules / name], place.log)


def _overlay(kind: MachineKind) -> Path:
    return BOOT / f"{kind.name}.dtso"


def _make_device_tree(kind: MachineKind, place: Place) -> None:
    tree = kind.device_tree
    apply_overlays(place.needs["debian-kernel"] / tree, [_overlay(kind)], place.out / tree, place)


def _rootfs_inputs(kind: MachineKind) -> list[str]:
    packages = [_source_id(f"{name}-{kind.guest[0]}") for name in GUEST_FILES]
    return [*packages, hash_files(BOOT / "rootfs-debian-tee"), repr(GUEST_FILES), DEPENDENCIES]


def _make_rootfs(kind: MachineKind, place: Place) -> None:
    """That of Debian's boards without a TEE, and an archive with what comes to it."""
    root, unpacked = place.work / "root", place.work / "unpacked"
    for stale in (root, unpacked):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(BOOT / "rootfs-debian-tee", root)
    unpacked.mkdir()
    for name, wanted in GUEST_FILES.items():
        unpack_deb(f"{name}-{kind.guest[0]}", unpacked / name, place.log)
        for file in wanted:
            _take(unpacked / name, file, root)
    release = (place.needs["debian-kernel"] / "release").read_text().strip()
    modules = root / "lib/modules" / release
    shutil.copytree(place.needs["tee-modules"], modules / "extra")
    theirs = place.needs["debian-kernel"] / "modules" / release / "modules.dep"
    (modules / "modules.dep").write_text(theirs.read_text() + DEPENDENCIES)
    write_cpio(root, place.work / "ours.cpio", place.log)
    both = (place.needs["debian-rootfs"] / "rootfs.cpio", place.work / "ours.cpio")
    (place.out / "rootfs.cpio").write_bytes(b"".join(part.read_bytes() for part in both))
