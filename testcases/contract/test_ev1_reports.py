# SPDX-License-Identifier: MIT
"""What the bench says of firmware that reaches for too much on an STM32MP257F-EV1, by OP-TEE's own report."""

from collections.abc import Iterator
from typing import Any

import pytest
from labgrid import Environment

from mpbench.board.identification import boot_id
from mpbench.core.errors import BoardFailure
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from mpbench.harness.run_state import RunState
from mpbench.harness.signer import Signer
from mpbench.image.keys import load_private_key
from mpbench.twin.profile import load_profile
from mpbench_virtual.keys import signing_key
from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_qemu
from testcases.crash_rig import opened

pytestmark = pytest.mark.slow

ADDRESS, TAG = 2, 0x4D42_0000
"""PARAMETER_ADDRESS and PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """The board, booted."""
    require_qemu(KINDS["mp25"])
    target = Environment(str(CHECKOUT / "targets/virtual-mp25.yaml")).get_target("main")
    with opened(target) as found:
        yield target, found
    target.get_strategy().transition("off")
    target.cleanup()


@pytest.mark.parametrize(
    ("half", "report"),
    [(0x4202, "IAC exception 92, RNG"), (0x8200, "IAC exception 137, memory behind RISAF4 (DDR)")],
)
def test_firmware_that_reaches_for_what_is_op_tee_s_is_named(board: Any, half: int, report: str) -> None:
    """The M33 reads the RNG, and OP-TEE's memory: exception, what it was, which firmware; Linux goes on."""
    target, there = board
    item: Any = None
    key: Any = load_private_key(signing_key())
    marks = {"console_mark": there.console.mark(), "secure_mark": there.secure.position()}
    profile = load_profile("virtual-mp25", key.public_key())
    bench = DeployBench(there, profile, RunState(), item, target.get_strategy(), boot_id(there), **marks)
    elf = configured((make() / "m33/reach.elf").read_bytes(), "m33", words={ADDRESS: TAG | half})
    before = boot_id(there)
    bench.deploy("m33", Signer(key)("m33", elf), "reach m33").check("errno", "state", "beating")
    bench.stop("m33")
    with pytest.raises(BoardFailure) as caught:
        bench.settle()
    assert str(caught.value) == (
        f"the firewall refused an access: {report}; started last in this test: reach m33 on m33"
    )
    assert boot_id(there) == before
