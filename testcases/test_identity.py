# SPDX-License-Identifier: MIT
"""The board's identity, and the interfaces that the bench needs."""

import pytest

from mpbench import layout
from testcases.requirements import IDENTITY

pytestmark = IDENTITY

PROVENANCE = ("kernel", "boot_id", "compatible", "model")
"""Entries that every supported board can report, beside OP-TEE's version where that loads the cores."""


@pytest.fixture
def tee_loads(profile):
    """Skips the test where Linux loads the cores: then the board needs no TEE."""
    if profile.manager == "linux":
        pytest.skip("Linux manages this board's cores: no TEE is needed")


def test_identity_is_recorded(bench):
    """The board's identity and the versions of its software are in the record."""
    wanted = [*PROVENANCE, "op-tee"] if bench.profile.manager == "tee" else PROVENANCE
    missing = [name for name in wanted if not bench.about.provenance.entries.get(name)]
    assert missing == []


@pytest.mark.usefixtures("tee_loads")
def test_tee_is_present(bench):
    """Linux has a TEE device, whose implementation is OP-TEE."""
    assert bench.read("/sys/class/tee/tee0/implementation_id") == b"1\n"  # TEE_IMPL_ID_OPTEE, linux/tee.h


@pytest.mark.usefixtures("tee_loads")
def test_remoteproc_ta_is_present(bench):
    """The UUID of OP-TEE's remoteproc trusted application is on Linux' TEE bus."""
    found = bench.read(f"/sys/bus/tee/devices/optee-ta-{layout.TA_UUID}/uevent")
    assert isinstance(found, bytes), f"no such device: {found}"


def test_core_is_found_by_name(bench, core):
    """Linux lists the core by its name, and it is offline before a test starts firmware on it."""
    assert bench.state(core) == "offline"
