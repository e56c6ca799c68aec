# SPDX-License-Identifier: MIT
"""Parses what a TEE and Linux' driver for it report about themselves. Pure.

Ref: Linux include/uapi/linux/tee.h (struct tee_ioctl_version_data), drivers/tee/optee/smc_abi.c;
     OP-TEE lib/libutee/include/pta_{stats,device}.h
"""

import re
import struct
import uuid

from mpbench.core.errors import InfrastructureError

OPTEE = 1
"""TEE_IMPL_ID_OPTEE"""

CAPABILITIES = {
    1: "GlobalPlatform API",
    2: "for tee-supplicant",
    4: "registers a client's own memory",
    8: "null memory references",
}
"""TEE_GEN_CAP_GP, _PRIVILEGED, _REG_MEM, _MEMREF_NULL"""

REVISION = re.compile(r"optee: revision (\d+\.\d+)")
DYNAMIC = "optee: dynamic shared memory is enabled"

ALLOCATED = struct.Struct("<32sQI")
"""struct pta_stats_alloc up to the number of bytes allocated now."""
UUID_BYTES = 16


def capabilities(bits: int) -> frozenset[str]:
    """Names of generic capabilities; unknown bits by their number."""
    unknown = {f"bit {n}" for n in range(32) if bits >> n & 1 and 1 << n not in CAPABILITIES}
    return frozenset(word for bit, word in CAPABILITIES.items() if bits & bit) | unknown


def revision(log: str) -> str:
    """OP-TEE's revision, e.g. "4.10", as Linux' driver logged it when it started; "" if the log lacks it."""
    found = REVISION.findall(log)
    return found[-1] if found else ""


def allocated(data: bytes) -> int:
    """Bytes in use, from a struct pta_stats_alloc. InfrastructureError if `data` is too short."""
    if len(data) < ALLOCATED.size:
        raise InfrastructureError(
            f"allocator statistics have {len(data)} bytes, at least {ALLOCATED.size} expected"
        )
    return int(ALLOCATED.unpack_from(data)[2])


def uuids(data: bytes) -> frozenset[str]:
    """UUIDs from their concatenated bytes. InfrastructureError for an incomplete UUID."""
    if len(data) % UUID_BYTES:
        raise InfrastructureError(f"a list of UUIDs has {len(data)} bytes, not a multiple of {UUID_BYTES}")
    pieces = (data[at : at + UUID_BYTES] for at in range(0, len(data), UUID_BYTES))
    return frozenset(str(uuid.UUID(bytes=piece)) for piece in pieces)
