# SPDX-License-Identifier: MIT
"""How the parts of the machine of an STM32MP257F-EV1 are made: TF-A's BL31, OP-TEE, U-Boot, the device tree.

No file of theirs is changed, but for TF-A's power operations, in whose place are ours, and upstream's OP-TEE,
which has two lines more: one adds ours, one lets a kind choose the interrupt of notifications; where it
answers as ST's, three more. Linux is other boards'.

Ref: TF-A docs/plat/st/stm32mp2.rst; OP-TEE core/arch/arm/plat-stm32mp2/conf.mk
"""

import shutil
from collections.abc import Callable
from functools import partial
from inspect import getsource
from pathlib import Path

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual.fetch import own_tree, recorded_tree
from mpbench_virtual.keys import signing_public_key
from mpbench_virtual.models import MP25, BoardKind
from mpbench_virtual.own_kernel import OVERLAYS, brings_driver
from mpbench_virtual.recipes import (
    JOBS,
    _gcc,
    _lines,
    _recorded_id,
    _source_id,
    copied_source,
    lay_over_optee,
    linux_step,
    make_device_tree,
    make_optee,
    make_uboot,
    rootfs_step,
    serves_scmi,
)
from mpbench_virtual.recipes_machine import steps_of as machine_steps_of
from mpbench_virtual.steps import BuildStep, Place, hash_files
from mpbench_virtual.tools import require, run_logged

BOOT = FIRMWARE / "boot"
POWER_OPERATIONS = FIRMWARE / "tfa/plat/st/stm32mp2/stm32mp2_pm.c"
"""PSCI's, in place of those of the release, which start no second CPU."""
UBOOT_SETTINGS = BOOT / "mp25-uboot.config"
UBOOT_FILES = {
    "arch/arm/dts/mp25-uboot.dts": BOOT / "mp25-uboot.dts",
    "board/st/stm32mp2/stm32mp2.env": BOOT / "mp25-uboot.env",
}
"""Ours for U-Boot, by their place in its source, which has neither: device tree, environment."""


def steps_of(kind: BoardKind) -> list[BuildStep]:
    """Steps of the board, each after those it needs; QEMU is the one of all machines of ours."""

    def step(name: str, inputs: Callable[[], list[str]], make: Callable[..., None], *needs: str) -> BuildStep:
        # Where OP-TEE was built, applications find their libraries: those of the same OP-TEE.
        work = f"{name}-own" if own_optee(kind) else ""
        return BuildStep(name, lambda: [getsource(make), *inputs()], partial(make, kind), needs, work)

    uboot = [step("ev1-uboot", _uboot_inputs, _make_uboot)] if kind.uboot else []
    return [
        machine_steps_of(kind)[0],  # QEMU
        linux_step(MP25, brings_driver(kind)),
        rootfs_step(MP25),
        step("ev1-optee", partial(_optee_inputs, kind), _make_optee),
        *uboot,
        step("ev1-fip", _fip_inputs, _make_fip, "ev1-optee", *(made.name for made in uboot)),
        step("ev1-device-tree", partial(_device_tree_inputs, kind), _make_device_tree),
    ]


def own_optee(kind: BoardKind) -> bool:
    """Whether the kind's OP-TEE is a tree of the user's own as it is."""
    return kind.secure and kind.st_optee and own_tree("optee") is not None


def optee_settings(kind: BoardKind) -> list[str]:
    """make settings that select OP-TEE's platform and word sizes."""
    return _lines(BOOT / f"{_optee_name(kind)}.mk")


def _optee_name(kind: BoardKind) -> str:
    """Name of the kind's settings and device tree of OP-TEE."""
    return "mp25-ostl" if kind.st_optee and not own_optee(kind) else kind.optee_of or kind.name


def _laid_over(kind: BoardKind) -> list[Path]:
    """What is laid over OP-TEE's source."""
    if own_optee(kind):
        return []
    return [FIRMWARE / "optee", *([FIRMWARE / "optee-st"] if kind.st_optee else [])]


def _optee_inputs(kind: BoardKind) -> list[str]:
    ours = [getsource(lay_over_optee), *map(hash_files, _laid_over(kind))]
    settings = [signing_public_key().read_text(), *optee_settings(kind)]
    scp = [_source_id("scp")] if own_tree("scp") else []
    return [
        _source_id("optee"),
        _gcc(MP25),
        getsource(make_optee),
        hash_files(*_tee_trees(kind)),
        *settings,
        *_scmi_settings(),
        *scp,
        *ours,
    ]


def _tee_trees(kind: BoardKind) -> list[Path]:
    """OP-TEE's device tree, then what it includes: the cores that it loads, and a kind's own firewall."""
    name = _optee_name(kind)
    memory = "mp25-ostl-rproc.dtsi" if kind.st_optee else "mp25-rproc.dtsi"
    return [BOOT / f"{name}-optee.dts", BOOT / memory, *BOOT.glob(f"{name}-rif.dtsi")]


def _scmi_settings() -> list[str]:
    """SCP-firmware serves SCMI: a tree of the user's own, the one inside ST's OP-TEE, else none.

    UsageError without cmake, by which OP-TEE configures it.
    """
    scp, optee = own_tree("scp"), own_tree("optee")
    inside = optee and (optee / "core/lib/scmi-server/SCP-firmware/CMakeLists.txt").is_file()
    if not scp and not inside:
        return ["CFG_SCMI_SCPFW=n"]
    require("cmake")
    return ["CFG_SCMI_SCPFW=y", f"CFG_SCP_FIRMWARE={scp}"] if scp else []


def _make_optee(kind: BoardKind, place: Place) -> None:
    """A user's own tree stays as it is; upstream's gets our driver of the cores."""
    tree = copied_source("optee", place)
    for ours in _laid_over(kind):
        lay_over_optee(tree, ours)
    shared = [] if own_optee(kind) else _lines(FIRMWARE / "optee/config.mk")
    for source in _tee_trees(kind):
        shutil.copy(source, tree / "core/arch/arm/dts")
    settings = [*shared, *optee_settings(kind), *_scmi_settings()]
    settings += [f"RPROC_SIGN_KEY={signing_public_key()}"]
    settings += [f"CFG_EMBED_DTB_SOURCE_FILE={_tee_trees(kind)[0].name}"]
    make_optee(tree, settings, MP25, place)
    shutil.copy(tree / "out/core/tee-raw.bin", place.out)


def _uboot_inputs() -> list[str]:
    ours = hash_files(*UBOOT_FILES.values(), UBOOT_SETTINGS)
    return [_source_id("uboot-source"), _gcc(MP25), getsource(make_uboot), ours]


def _make_uboot(_: BoardKind, place: Place) -> None:
    tree = copied_source("uboot-source", place)
    for name, source in UBOOT_FILES.items():
        shutil.copy(source, tree / name)
    make_uboot(tree, MP25, "stm32mp25_defconfig", place, fragment=UBOOT_SETTINGS)


def _fip_inputs() -> list[str]:
    ours = [] if own_tree("tfa") else [hash_files(POWER_OPERATIONS)]
    return [_source_id("tfa"), _gcc(MP25), *ours]


def _make_fip(kind: BoardKind, place: Place) -> None:
    """BL31, its device tree, OP-TEE and U-Boot in TF-A's own package format; BL2 is not in it.

    A user's own tree has its own power operations.
    """
    tree = copied_source("tfa", place)
    if not own_tree("tfa"):
        shutil.copy(POWER_OPERATIONS, tree / POWER_OPERATIONS.relative_to(FIRMWARE / "tfa"))
    settings = [
        "PLAT=stm32mp2",
        "SPD=opteed",
        "STM32MP_DDR4_TYPE=1",
        f"CROSS_COMPILE={MP25.cross}",
        "BUILD_STRING=mpbench",
        'BUILD_MESSAGE_TIMESTAMP="\\"1970-01-01\\""',
    ]
    run_logged(["make", "-C", tree, JOBS, *settings, "bl31", "dtbs", "fiptool"], place.log)
    built = tree / "build/stm32mp2/release"
    images: list[str | Path] = ["--soc-fw", built / "bl31.bin"]
    images += ["--soc-fw-config", built / "fdts/stm32mp257f-ev1-bl31.dtb"]
    images += ["--tos-fw", place.needs["ev1-optee"] / "tee-raw.bin"]
    if kind.uboot:
        uboot = place.needs["ev1-uboot"]
        images += ["--hw-config", uboot / "u-boot.dtb", "--nt-fw", uboot / "u-boot-nodtb.bin"]
    run_logged([tree / "tools/fiptool/fiptool", "create", *images, place.out / "fip.bin"], place.log)


def _device_tree_inputs(kind: BoardKind) -> list[str]:
    source = _recorded_id("linux") if brings_driver(kind) else _source_id("linux")
    return [source, getsource(make_device_tree), kind.device_tree, hash_files(*_overlays(kind))]


def _overlays(kind: BoardKind) -> list[Path]:
    node = [OVERLAYS[kind.soc.name]] if brings_driver(kind) else []
    scmi = ["mp25-scmi.dtso"] if serves_scmi(kind.soc) else []
    return [BOOT / name for name in (*kind.overlays, *node, *scmi)]


def _make_device_tree(kind: BoardKind, place: Place) -> None:
    """The recorded source's where a tree brings its driver, as it may be ST's, whose nodes are others."""
    origin = recorded_tree("linux") if brings_driver(kind) else None
    make_device_tree(kind.soc, kind.device_tree, _overlays(kind), place, origin)
