# SPDX-License-Identifier: MIT
"""What the bench says of firmware that reaches for too much on an STM32MP257F-EV1, by OP-TEE's own report."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpbench.board.identification import boot_id
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from mpbench.image.faults import apply
from mpbench.recovery import collect_trace
from mpbench.recovery.fixture import Crashes
from mpbench_virtual.models import KINDS
from testcases.contract.machine_parts import require_qemu
from testcases.crash_rig import bench_on, booted, recorder, signer

pytestmark = pytest.mark.slow

TARGET = CHECKOUT / "targets/virtual-mp25.yaml"
ADDRESS, TAG = 2, 0x4D42_0000
"""PARAMETER_ADDRESS and PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """The board, booted."""
    require_qemu(KINDS["mp25"])
    with booted(TARGET) as found:
        yield found


def bench_of(board: Any) -> DeployBench:
    """A test's bench on a board."""
    target, there = board
    return bench_on(target, there, "virtual-mp25", from_now=True)


def image_of(name: str, words: dict[int, int] | None = None) -> bytes:
    """A firmware for the M33 with its words, signed."""
    elf = configured((make() / f"m33/{name}.elf").read_bytes(), "m33", words=words or {})
    return signer()("m33", elf)


@pytest.mark.parametrize(
    ("half", "report"),
    [(0x4202, "IAC exception 92, RNG"), (0x8200, "IAC exception 137, memory behind RISAF4 (DDR)")],
)
def test_firmware_that_reaches_for_what_is_op_tee_s_is_named(board: Any, half: int, report: str) -> None:
    """The M33 reads the RNG, and OP-TEE's memory: exception, what it was, which firmware; Linux goes on."""
    _, there = board
    bench = bench_of(board)
    before = boot_id(there)
    bench.deploy("m33", image_of("reach", {ADDRESS: TAG | half}), "reach m33").check(
        "errno", "state", "beating"
    )
    bench.stop("m33")
    with pytest.raises(BoardFailure) as caught:
        bench.settle()
    assert str(caught.value) == (
        f"the firewall refused an access: {report}; started last in this test: reach m33 on m33"
    )
    assert boot_id(there) == before


def test_firmware_that_makes_op_tee_panic_is_named(tmp_path: Path) -> None:
    """The verdict has exception, what it was and firmware, and the board works again."""
    require_qemu(KINDS["mp25-panic"])
    target_file = tmp_path / "panic.yaml"
    target_file.write_text(TARGET.read_text().replace("kind: mp25", "kind: mp25-panic"))
    with booted(target_file) as board:
        _, there = board
        bench = bench_of(board)
        before = boot_id(there)
        with contextlib.suppress(InfrastructureError):  # the board hangs, now or at the next step
            bench.deploy("m33", image_of("reach", {ADDRESS: TAG | 0x4202}), "reach m33")
        with pytest.raises(
            BoardFailure,
            match=r"^OP-TEE panicked at core/drivers/firewall/stm32_iac\.c:\d+: the firewall refused an "
            r"access: IAC exception 92, RNG; started last in this test: reach m33 on m33$",
        ):
            bench.settle()
        assert boot_id(there) != before
        bench.deploy("m33", image_of("alive"), "alive m33").check("errno", "state", "beating")
        bench.stop("m33")


def test_calls_of_the_ta_are_traced_without_arguments_of_return_probes(
    board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on ST's kernels 6.1 and 6.6.48, which refuse them: OP-TEE's answers show a recovery's calls."""
    monkeypatch.setattr(collect_trace, "TA_PROBES", collect_trace.TA_PROBES[1:])
    bench, built = bench_of(board), make()

    def firmware(name: str, core: str) -> bytes:
        return (built / core / f"{name}.elf").read_bytes()

    with recorder(bench.board) as trace:
        events = bench.board.session.read(f"{TRACING}/kprobe_events")
        assert isinstance(events, bytes)
        assert b"/ta optee_from_msg_param " in events
        assert b"tee_client_invoke_func" not in events
        crashes = Crashes(bench, firmware, signer(), trace, {"m33": "iwdg3"})
        try:
            image = crashes.start("m33").image
            crashes.failure("m33").check("commands", "ta_states", "sequence", "state", "boots", "beating")
            bad = apply("payload-first", image)
            crashes.replace("m33", bad)
            crashes.failure("m33", reload=bad).check("commands", "ta_states", "tee_code", "sequence", "state")
        finally:
            bench.power_cycle()  # after a refused recovery Linux can neither start nor stop the core
