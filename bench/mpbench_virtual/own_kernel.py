# SPDX-License-Identifier: MIT
"""A kernel tree of the user's own that brings the driver of the core that OP-TEE loads.

Such are ST's trees and those made from them. The patches for mainline (v22) know the STM32MP15 alone.

Ref: Linux v6.6-stm32mp drivers/remoteproc/stm32_rproc.c, Kconfig
"""

from collections.abc import Mapping
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench_virtual.fetch import own_tree
from mpbench_virtual.models import BoardKind

DRIVER = "drivers/remoteproc/stm32_rproc.c"
COMPATIBLES: Mapping[str, str] = {"mp25": "st,stm32mp2-m33-tee"}
"""What the driver calls a core that OP-TEE loads, by SoC."""
OVERLAYS: Mapping[str, str] = {"mp25": "mp25-own-driver.dtso"}
"""Device tree in firmware/boot that gives this driver its core."""


def brings_driver(kind: BoardKind) -> bool:
    """Whether Linux is a tree of the user's own whose driver takes the place of ours.

    Where OP-TEE answers as upstream's it does not: ST's driver releases no image, as ST's OP-TEE cannot.
    """
    tree, compatible = own_tree("linux"), COMPATIBLES.get(kind.soc.name)
    if tree is None or compatible is None or not kind.st_optee:
        return False
    driver = tree / DRIVER
    return driver.is_file() and f'"{compatible}"' in driver.read_text(errors="replace")


def require_driver(tree: Path) -> None:
    """UsageError unless the configuration of a kernel has the driver that its source brings."""
    if "CONFIG_STM32_RPROC=y" not in (tree / ".config").read_text().splitlines():
        raise UsageError(
            f"the kernel of MPBENCH_LINUX_SRC has {DRIVER}, but its configuration cannot have "
            "CONFIG_STM32_RPROC=y: see what it depends on in drivers/remoteproc/Kconfig, and "
            "firmware/linux/own-driver.config"
        )
