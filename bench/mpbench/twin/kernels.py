# SPDX-License-Identifier: MIT
"""Kernels of Linux that differ in how they start a core, and drivers for cores that a TEE loads."""

from typing import Final

from attrs import frozen


@frozen
class Kernel:
    """What differs between kernels in the loader and in the core of remoteproc.

    bounds:   whether the ELF's section headers are checked against the end of the file
    iterator: whether rsc_table_for_each_entry() walks the table: an offset inside of the table's head is
              refused, and a vendor's resource that no driver takes does not fail the start
    probe:    the line of a driver whose probe fails; N is a number
    """

    bounds: bool = False
    iterator: bool = False
    probe: str = "probe with driver rproc-virtio failed with error {}"


OLD_PROBE: Final = "probe of rproc-virtio.N.auto failed with error {}"

KERNELS: Final = {
    "6.1": Kernel(probe=OLD_PROBE),
    "6.6": Kernel(probe=OLD_PROBE),
    "6.12": Kernel(),
    "6.1.192": Kernel(iterator=True, probe=OLD_PROBE),
    "6.12.107": Kernel(),
    "6.12.117": Kernel(bounds=True, iterator=True),
}
"""By version, as read in its source. Two parts name a first release; stable ones took up the changes."""

RELEASES: Final = {"mpbench": ("start",), "st": (), "series": ("load", "start")}
"""Driver → commands of a recovery whose refusal it answers with RELEASE_FW. What succeeds is alike for all:
STOP, LOAD, GET_RSC_TABLE, START.

mpbench: firmware/linux/mpbench_remoteproc.c; st: ST's Linux 6.1 and 6.6, which know no RELEASE_FW;
series: the "remoteproc TEE" patches for mainline, v21.
Ref: Linux v6.6-stm32mp drivers/remoteproc/stm32_rproc.c (stm32_rproc_tee_elf_load), tee_remoteproc.c
"""
