# SPDX-License-Identifier: MIT
"""Releases of ST's loader, by name of Profile.loader, and what its driver keeps of a core.

Ref: OP-TEE 3.19.0-stm32mp, 4.0.0-stm32mp-r1 and -r2 (public vendor copies): ta/remoteproc,
     core/pta/stm32mp/remoteproc_pta.c, core/drivers/remoteproc/stm32_remoteproc.c.
"""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import define, frozen

from mpbench import layout


@frozen
class Release:
    """What differs between releases of ST's remoteproc TA and platform.

    hash_type: HASHTYPE is required; encryption: encrypted ELF files are a format;
    clean_forgets_boot: CLEAN forgets boot address and secure boot as STOP does;
    by_range: device addresses are translated by the bus' dma-ranges, then looked up in the regions;
    release_checked: a failure of RELEASE_MEM fails the load; boot_line: a boot address that is set already is
    reported on the secure console; decrypts: CFG_REMOTEPROC_ENC_TESTKEY or a key in the fuses;
    ecdsa: TEE_ALG_ECDSA_P256 in its tee_api_defines.h; malloc_bits: of TEE_Malloc's size, 0 for a size_t.
    """

    hash_type: bool = True
    encryption: bool = True
    clean_forgets_boot: bool = False
    by_range: bool = False
    release_checked: bool = True
    decrypts: bool = False
    boot_line: bool = False
    ecdsa: int = layout.ALG_ECDSA_P256
    malloc_bits: int = 0


RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        "st-3.19": Release(
            hash_type=False, encryption=False, release_checked=False, ecdsa=0x70003041, malloc_bits=32
        ),
        "st-4.0-r1": Release(),
        "st-4.0-r2": Release(clean_forgets_boot=True, by_range=True, decrypts=True, boot_line=True),
    }
)


@define
class Boot:
    """What the driver keeps of a core between commands (struct stm32_rproc_instance): 0 for no address."""

    address: int = 0
    secure: bool = False

    def forget(self) -> None:
        """As after a reset."""
        self.address, self.secure = 0, False
