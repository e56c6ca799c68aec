# SPDX-License-Identifier: MIT
"""What the bench says of firmware that reaches for too much on an STM32MP157C-DK2, by OP-TEE's own report.

OP-TEE is built with its default here: it panics after a refused access to the DDR.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from mpbench.board.identification import boot_id
from mpbench.core.directories import cache_dir
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_qemu
from testcases.crash_rig import bench_on, booted, signer

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

ADDRESS, TAG = 2, 0x4D42_0000
"""PARAMETER_ADDRESS and PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""
TZDRAM = 0xDE00_0000
"""Ref: firmware/boot/mp15-debian-tee.mk"""


@pytest.fixture
def board() -> Iterator[Any]:
    """The board, booted."""
    require_qemu(KINDS["mp15-debian-tee"])
    if not any((cache_dir() / "built").glob("tee-modules-*.hash")):
        pytest.skip("it is not built: mpbench virtual build mp15-debian-tee")
    with booted(CHECKOUT / "targets/virtual-mp15-debian-tee.yaml") as found:
        yield found


def test_firmware_that_reaches_for_op_tee_s_memory_is_named(board: Any) -> None:
    """The M4 reads OP-TEE's memory: a panic, with address and firmware; the board is booted again."""
    target, there = board
    bench = bench_on(target, there, "virtual-mp15-debian-tee", from_now=True)
    elf = configured((make() / "m4/reach.elf").read_bytes(), "m4", words={ADDRESS: TAG | TZDRAM >> 16})
    before = boot_id(there)
    with contextlib.suppress(InfrastructureError):  # the link, if the panic comes first
        bench.deploy("m4", signer()("m4", elf), "reach m4")
    with pytest.raises(BoardFailure) as caught:
        bench.settle()
    assert str(caught.value) == (
        "OP-TEE panicked: the firewall refused an access: "
        f"DDR (TZC400) at {TZDRAM:#x}, non-secure privileged read, AXI ID 1; "
        "started last in this test: reach m4 on m4"
    )
    assert boot_id(there) != before
