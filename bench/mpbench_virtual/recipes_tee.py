# SPDX-License-Identifier: MIT
"""How the parts of a board are made on which OP-TEE loads the core and Linux is Debian's.

OP-TEE is its own platform for the board, no file changed. Debian's kernel for armhf has no TEE: the modules
are built beside it, from Debian's source of the same version.

Ref: OP-TEE core/arch/arm/plat-stm32mp1/conf.mk; Linux Documentation/kbuild/modules.rst
"""

import re
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
from mpbench_virtual.models import MP15, BoardKind
from mpbench_virtual.recipes import (
    JOBS,
    _gcc,
    _lines,
    _source_id,
    _take,
    copied_source,
    make_optee,
    make_uboot,
    write_cpio,
)
from mpbench_virtual.recipes_machine import gic_phandle, make_virtio_overlay
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.steps import BuildStep, Place, hash_files
from mpbench_virtual.tools import run_logged

BOOT = FIRMWARE / "boot"
DRIVER = FIRMWARE / "linux/mpbench_remoteproc.c"
SETTINGS_OF_OPTEE = BOOT / "mp15-debian-tee.mk"
TEE_DTS = BOOT / "mp15-debian-tee-optee.dts"
"""OP-TEE's device tree: that of its own source, with the core that it loads."""
PINS = "stm32mp15-pinctrl.dtsi"
OVERLAY = BOOT / "mp15-debian-tee.dtso"
HEADERS, SOURCE = "kernel-armhf-headers", "kernel-armhf-source"
OPTEE = ("tee.bin", "tee-header_v2.bin", "tee-pager_v2.bin", "tee-pageable_v2.bin")
"""Of OP-TEE's results: the whole, which QEMU loads, and the parts, which BL2 does."""
BOARD = "stm32mp157c-dk2"
TFA_SETTINGS = (
    "PLAT=stm32mp1", "ARCH=aarch32", "ARM_ARCH_MAJOR=7", "AARCH32_SP=optee", "STM32MP_SDMMC=1",
    f"DTB_FILE_NAME={BOARD}.dtb", f"CROSS_COMPILE={MP15.cross}", "BUILD_STRING=mpbench",
    'BUILD_MESSAGE_TIMESTAMP="\\"1970-01-01\\""',
    # Debian's linker adds a section for it, far from the others: BL2 would have 805 MB.
    "STM32_TF_ELF_LDFLAGS=--build-id=none",
)  # fmt: skip
OPTEE_NODES = (
    'firmware { optee { compatible = "linaro,optee-tz"; method = "smc"; interrupts = <1 15 1>; '
    "interrupt-parent = <{gic}>; }; }; "
    "reserved-memory { optee_core@de000000 { reg = <0xde000000 0x2000000>; no-map; }; };"
)
"""What OP-TEE adds to Linux' tree if it starts Linux. U-Boot's copy of it lacks the interrupt, without which
Linux' driver gives up; it copies nothing where the nodes are there.
Ref: U-Boot lib/optee/optee.c, optee_copy_fdt_nodes()"""
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


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps of the board, each after those it needs."""

    def step(name: str, inputs: Callable[[], list[str]], make: Callable[..., Any], *needs: str) -> BuildStep:
        return BuildStep(name, lambda: [getsource(make), *inputs()], partial(make, kind), needs)

    steps = [
        *machine_steps_of(kind),
        optee_step("tee-optee", kind),
        step("tee-modules", _modules_inputs, _make_modules, "debian-kernel"),
        step("tee-device-tree", lambda: [hash_files(OVERLAY)], _make_device_tree, "debian-kernel"),
        step("tee-rootfs", partial(_rootfs_inputs, kind), _make_rootfs, "debian-rootfs", "tee-modules"),
    ]
    if kind.fip:
        steps += [
            step("tee-uboot", _uboot_inputs, _make_uboot),
            step("tee-loaders", _loaders_inputs, _make_loaders, "tee-optee", "tee-uboot", "tee-device-tree"),
        ]
    return steps


def optee_step(name: str, kind: BoardKind) -> BuildStep:
    """OP-TEE, its own platform for the board."""
    return BuildStep(
        name, lambda: [getsource(_make_optee), *_optee_inputs(kind)], partial(_make_optee, kind), ()
    )


def optee_settings(kind: BoardKind) -> list[str]:
    """make settings that select OP-TEE's platform and word sizes."""
    small = _lines(BOOT / "mp15.mk") if kind.small_kernel else []
    return [*_lines(SETTINGS_OF_OPTEE), *small]


def _optee_inputs(kind: BoardKind) -> list[str]:
    settings = [*optee_settings(kind), signing_public_key().read_text()]
    made = [getsource(make_optee), getsource(_put_device_tree), hash_files(TEE_DTS)]
    return [_source_id("optee"), _gcc(MP15), *made, *OPTEE, *settings]


def _make_optee(kind: BoardKind, place: Place) -> None:
    tree = copied_source("optee", place)
    _put_device_tree(tree / "core/arch/arm/dts")
    settings = [*optee_settings(kind), f"CFG_EMBED_DTB_SOURCE_FILE={TEE_DTS.name}"]
    make_optee(tree, [*settings, f"RPROC_SIGN_KEY={signing_public_key()}"], MP15, place)
    for path in (tree / "out/core" / name for name in OPTEE):
        if path.is_file():  # without a pager nothing is pageable
            shutil.copy(path, place.out)


def _put_device_tree(directory: Path) -> None:
    """Ours, without pin groups that no device uses, as in Linux: half of its nodes, which OP-TEE reads."""
    groups = re.findall(r"^\t(\w+): [\w-]+-\d+ {$", (directory / PINS).read_text(), re.MULTILINE)
    unused = "".join(f"/omit-if-no-ref/ &{group};\n" for group in dict.fromkeys(groups))
    (directory / TEE_DTS.name).write_text(f"{TEE_DTS.read_text()}\n{unused}")


def _uboot_inputs() -> list[str]:
    return [_source_id("uboot-source"), _gcc(MP15), getsource(make_uboot)]


def _make_uboot(_: BoardKind, place: Place) -> None:
    tree = copied_source("uboot-source", place)
    make_uboot(tree, MP15, "stm32mp15_defconfig", place, f"DEVICE_TREE={BOARD}")


def _loaders_inputs() -> list[str]:
    return [_source_id("tfa"), _gcc(MP15), *TFA_SETTINGS, getsource(make_virtio_overlay), OPTEE_NODES]


def _make_loaders(kind: BoardKind, place: Place) -> None:
    """TF-A's BL2, its firmware image package with OP-TEE and U-Boot, an overlay with virtio transports."""
    tree = copied_source("tfa", place)
    run_logged(["make", "-C", tree, JOBS, *TFA_SETTINGS, "all", "fiptool"], place.log)
    built = tree / "build/stm32mp1/release"
    shutil.copy(built / f"tf-a-{BOARD}.stm32", place.out / "tf-a.stm32")
    optee, uboot = place.needs["tee-optee"], place.needs["tee-uboot"]
    images: list[str | Path] = ["--fw-config", built / f"fdts/{BOARD}-fw-config.dtb"]
    images += ["--tos-fw", optee / "tee-header_v2.bin", "--tos-fw-extra1", optee / "tee-pager_v2.bin"]
    images += ["--tos-fw-extra2", optee / "tee-pageable_v2.bin"]
    images += ["--hw-config", uboot / "u-boot.dtb", "--nt-fw", uboot / "u-boot-nodtb.bin"]
    run_logged([tree / "tools/fiptool/fiptool", "create", *images, place.out / "fip.bin"], place.log)
    make_virtio_overlay(place.needs["tee-device-tree"] / kind.device_tree, place, OPTEE_NODES)


def _modules_inputs() -> list[str]:
    return [_source_id(HEADERS), _source_id(SOURCE), _gcc(MP15), hash_files(DRIVER), SETTINGS, *MODULES]


def _make_modules(kind: BoardKind, place: Place) -> None:
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
    shutil.copy(tree / "drivers/remoteproc/remoteproc_internal.h", modules)
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


def _make_device_tree(kind: BoardKind, place: Place) -> None:
    """Debian's with the overlay; the interrupt of the node that OP-TEE adds at the root has a parent."""
    base, tree = place.needs["debian-kernel"] / kind.device_tree, place.out / kind.device_tree
    overlay = place.work / f"{OVERLAY.stem}.dtbo"
    run_logged(["dtc", "-@", "-I", "dts", "-O", "dtb", "-o", overlay, OVERLAY], place.log)
    run_logged(["fdtoverlay", "-i", base, "-o", tree, overlay], place.log)
    run_logged(["fdtput", "-t", "i", tree, "/", "interrupt-parent", gic_phandle(tree)], place.log)


def _rootfs_inputs(kind: BoardKind) -> list[str]:
    packages = [_source_id(f"{name}-{kind.guest[0]}") for name in GUEST_FILES]
    return [*packages, hash_files(BOOT / "rootfs-debian-tee"), repr(GUEST_FILES), DEPENDENCIES]


def _make_rootfs(kind: BoardKind, place: Place) -> None:
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
