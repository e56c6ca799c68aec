# SPDX-License-Identifier: MIT
"""An STM32MP157C-DK2 whose OP-TEE answers as ST's: the M4's memory is isolated, a boot address is kept.

What it shows besides is in board cases, `pytest --lg-env targets/virtual-mp15-st.yaml`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from mpbench.core.errors import UsageError
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.firmware import make
from mpbench.harness.signer import records_of
from mpbench.image.faults import apply
from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_built
from testcases.crash_rig import bench_on, booted, signer

pytestmark = pytest.mark.slow

KIND = KINDS["mp15-st"]
OUTCOME = ("errno", "state", "tee_code", "secure_log", "beating")
SRAM1, RETRAM, SHARED = 0x1000_0800, 0x3800_0000, 0x1004_0000
SIGBUS = 128 + 7
"""Exit code of a shell's command that the signal ended."""
RECORDS = records_of({"m4": {"BOOTADDR": 0x1000_0800}})


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """The board, booted, which was built; what takes minutes is left to `mpbench virtual build`."""
    try:
        require_built(KIND)
    except UsageError as error:
        pytest.skip(str(error))
    with booted(CHECKOUT / f"targets/virtual-{KIND.name}.yaml") as found:
        yield found


@pytest.fixture
def bench(board: Any) -> DeployBench:
    """Deployments on the board."""
    target, there = board
    return bench_on(target, there, f"virtual-{KIND.name}", from_now=True)


@pytest.fixture
def elf() -> bytes:
    """A firmware that beats."""
    return (make() / "m4/alive.elf").read_bytes()


def test_op_tee_reports_st_s_release_and_notifies_nobody(bench: DeployBench) -> None:
    """Revision 4.0 as a build of ST's without git; no interrupt of notifications, as by default at ST."""
    log = bench.execute("dmesg").text
    assert "optee: revision 4.0" in log
    assert "optee: initialized driver" in log
    assert "synchronous notifications" not in log


def test_linux_may_read_what_is_shared_alone(bench: DeployBench, elf: bytes) -> None:
    """While the M4 runs and after it: its banks give a bus error, the one with table and trace is read."""
    bench.deploy("m4", signer()("m4", elf), "alive m4").check(*OUTCOME)
    for state in ("running", "offline"):
        if state == "offline":
            bench.stop("m4")
        assert bench.state("m4") == state
        codes = [bench.execute(f"devmem {address:#x}").code for address in (SRAM1, RETRAM, SHARED)]
        assert codes == [SIGBUS, SIGBUS, 0]


def test_a_boot_address_that_is_kept_is_cured_by_an_image_without_one(bench: DeployBench, elf: bytes) -> None:
    """The M4 starts at 0 whatever an image says; the address of a refused one is in the way all the same."""
    events = list[str]()
    bench._state.on_event = lambda _, text: events.append(text)
    plain, placed = (one("m4", elf) for one in (signer(), evolve(signer(), records=RECORDS)))
    bench.plain = lambda _: plain
    bench.deploy("m4", apply("elf-phnum-zero", placed), "alive m4", original=placed).check(*OUTCOME)
    bench.deploy("m4", placed, "alive m4").check(*OUTCOME)
    bench.stop("m4")
    assert events[1:4] == [
        "deploy: refused for what an earlier one left in the TEE: the boot address on m4",
        "start without BOOTADDR, and stop on m4",
        "deploy on m4",
    ]
