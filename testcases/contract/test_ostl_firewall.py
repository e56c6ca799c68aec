# SPDX-License-Identifier: MIT
"""What ST's tree for OpenSTLinux closes on kind mp25-st, by OP-TEE's report and panic.

Ref: dt-stm32mp optee/stm32mp257f-ev1-ca35tdcid-ostl-rif.dtsi; firmware/boot/mp25-ostl-rif.dtsi
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve

from mpbench.board.identification import boot_id
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from mpbench.harness.signer import records_of
from mpbench_virtual.models import KINDS
from mpbench_virtual.recipes_ev1 import own_optee
from testcases.contract.machine_parts import require_qemu
from testcases.crash_rig import bench_on, booted, signer

pytestmark = pytest.mark.slow
THOROUGH = pytest.mark.thorough

ADDRESS, TAG = 2, 0x4D42_0000
"""PARAMETER_ADDRESS and PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""
RECORDS = records_of({"m33": {"BOOTADDR": 0x8010_0000}})


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """The board, booted."""
    kind = KINDS["mp25-st"]
    require_qemu(kind)
    if own_optee(kind):
        pytest.skip("OP-TEE is a tree of the user's own, with a firewall configuration of its own")
    with booted(CHECKOUT / "targets/virtual-mp25-st.yaml") as found:
        yield found


@pytest.fixture
def bench(board: Any) -> DeployBench:
    """Deployments on the board."""
    target, there = board
    return bench_on(target, there, "virtual-mp25-st", from_now=True)


def panicked(bench: DeployBench, access: Callable[[], object]) -> str:
    """What the bench says after an access of the panic in the firewall's driver; the board works again."""
    before = boot_id(bench.board)
    with contextlib.suppress(InfrastructureError):  # the board hangs, now or at the next step
        access()
    with pytest.raises(BoardFailure) as caught:
        bench.settle()
    assert boot_id(bench.board) != before
    said = str(caught.value)
    assert said.startswith("OP-TEE panicked at core/drivers/firewall/stm32_iac.c:")
    return said


@pytest.mark.parametrize(
    ("half", "report"),
    [
        (0x8130, "IAC exception 137, memory behind RISAF4 (DDR)"),
        pytest.param(0x0A02, "IAC exception 129, memory behind RISAB2 (SYSRAM, high half)", marks=THOROUGH),
    ],
    ids=["spare1", "hpdma-lli"],
)
def test_the_m33_has_what_st_gives_it(bench: DeployBench, half: int, report: str) -> None:
    """DDR between the M33's and OP-TEE's is nobody's, and a part of SYSRAM is Linux'."""
    elf = configured((make() / "m33/reach.elf").read_bytes(), "m33", words={ADDRESS: TAG | half})
    image = evolve(signer(), records=RECORDS)("m33", elf)
    said = panicked(bench, lambda: bench.deploy("m33", image, "reach m33"))
    assert said.endswith(
        f": the firewall refused an access: {report}; started last in this test: reach m33 on m33"
    )


@pytest.mark.parametrize(
    ("address", "report"),
    [
        (0x0A04_3000, "IAC exception 130, memory behind RISAB3 (SRAM1)"),
        pytest.param(0x0A06_0000, "IAC exception 131, memory behind RISAB4 (SRAM2)", marks=THOROUGH),
    ],
    ids=["cm33-sram1", "cm33-sram2"],
)
def test_linux_is_refused_the_m33_s_memory(bench: DeployBench, address: int, report: str) -> None:
    """SRAM1 and 2: OP-TEE panics with the number that ST's tree would make it show."""
    said = panicked(bench, lambda: bench.board.session.call(f"devmem {address:#x}", 10.0))
    assert f": the firewall refused an access: {report}" in said
