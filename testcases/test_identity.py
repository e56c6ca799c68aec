# SPDX-License-Identifier: MIT
"""Who the board is, and whether what the bench needs is there."""

from mpbench import layout
from testcases.requirements import IDENTITY

pytestmark = IDENTITY

PROVENANCE = ("kernel", "boot_id", "compatible", "model", "op-tee")
"""What every supported board can say of itself."""


def test_identity_is_recorded(bench):
    """The board says who it is and which versions it runs, and the record holds it."""
    missing = [name for name in PROVENANCE if not bench.about.provenance.entries.get(name)]
    assert missing == []


def test_tee_is_present(bench):
    """Linux talks to OP-TEE: the TEE device is there and says that its implementation is OP-TEE."""
    assert bench.read("/sys/class/tee/tee0/implementation_id") == b"1\n"  # TEE_IMPL_ID_OPTEE, linux/tee.h


def test_remoteproc_ta_is_present(bench):
    """OP-TEE's remoteproc trusted application is found by its UUID on the TEE bus."""
    found = bench.read(f"/sys/bus/tee/devices/optee-ta-{layout.TA_UUID}/uevent")
    assert isinstance(found, bytes), f"no such device: {found}"


def test_core_is_found_by_name(bench, core):
    """Linux offers the core under its name, and nothing runs on it before a test starts something."""
    assert bench.state(core) == "offline"
