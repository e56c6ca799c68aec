# SPDX-License-Identifier: MIT
"""A virtual board with a firewall as on ST's: what firmware that reaches for too much does to the board."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from labgrid import Environment

from mpbench.board.identification import boot_id
from mpbench.board.trace.tracefs import TRACING
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import configured
from mpbench.harness.firmware import make
from mpbench.harness.run_state import RunState
from mpbench.harness.signer import Signer
from mpbench.image.faults import apply
from mpbench.image.keys import load_private_key
from mpbench.recovery import collect_trace
from mpbench.recovery.fixture import Crashes
from mpbench.twin.profile import load_profile
from mpbench_virtual.keys import signing_key
from testcases.crash_rig import opened, recorder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """The board, booted."""
    target = Environment(str(CHECKOUT / "targets/virtual-mp25-st.yaml")).get_target("main")
    memory = next(resource for resource in target.resources if hasattr(resource, "read_memory"))
    with opened(target) as found:
        yield target, evolve(found, memory=memory)
    target.get_strategy().transition("off")
    target.cleanup()


@pytest.fixture
def bench(board: Any) -> DeployBench:
    """A test's bench on it."""
    target, there = board
    item: Any = None
    key: Any = load_private_key(signing_key())
    profile = load_profile("virtual-mp25-st", key.public_key())
    marks = {"console_mark": there.console.mark(), "secure_mark": there.secure.position()}
    return DeployBench(there, profile, RunState(), item, target.get_strategy(), boot_id(there), **marks)


@pytest.fixture(scope="module")
def alive() -> bytes:
    """The bench's firmware for the M33 as it is built."""
    return (make() / "m33" / "alive.elf").read_bytes()


def test_firmware_as_built_runs(bench: DeployBench, alive: bytes) -> None:
    """It touches nothing that the target does not give it; its memory is cleared at every stop."""
    key: Any = load_private_key(signing_key())
    bench.deploy("m33", Signer(key)("m33", alive), "alive m33").check("errno", "state", "beating")
    bench.stop("m33")
    assert bench.memory("m33") == "zeros"
    bench.settle()


def test_calls_of_the_ta_are_traced_without_arguments_of_return_probes(
    bench: DeployBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on ST's kernels 6.1 and 6.6.48, which refuse them: OP-TEE's answers show a recovery's calls."""
    monkeypatch.setattr(collect_trace, "TA_PROBES", collect_trace.TA_PROBES[1:])
    key: Any = load_private_key(signing_key())
    built = make()

    def firmware(name: str, core: str) -> bytes:
        return (built / core / f"{name}.elf").read_bytes()

    with recorder(bench.board) as trace:
        events = bench.board.session.read(f"{TRACING}/kprobe_events")
        assert isinstance(events, bytes)
        assert b"/ta optee_from_msg_param " in events
        assert b"tee_client_invoke_func" not in events
        crashes = Crashes(bench, firmware, Signer(key), trace, {"m33": ""})
        try:
            image = crashes.start("m33").image
            crashes.failure("m33").check("commands", "ta_states", "sequence", "state", "boots", "beating")
            bad = apply("payload-first", image)
            crashes.replace("m33", bad)
            crashes.failure("m33", reload=bad).check("commands", "ta_states", "tee_code", "sequence", "state")
        finally:
            bench.power_cycle()  # after a refused recovery Linux can neither start nor stop the core


def test_firmware_that_starts_the_secure_watchdog_is_named(bench: DeployBench, alive: bytes) -> None:
    """OP-TEE panics; the verdict names exception, watchdog and firmware, and the board works again."""
    key: Any = load_private_key(signing_key())
    before = boot_id(bench.board)
    with contextlib.suppress(InfrastructureError):  # the board hangs, now or at the next step
        bench.deploy("m33", Signer(key)("m33", configured(alive, "m33", "iwdg3")), "alive m33")
    with pytest.raises(
        BoardFailure,
        match=r"^OP-TEE panicked at core/pta/mpbench/virt_firewall\.c:\d+: the firewall refused an access: "
        r"IAC exception 100, IWDG3; started last in this test: alive m33 on m33$",
    ):
        bench.settle()
    assert boot_id(bench.board) != before
    bench.deploy("m33", Signer(key)("m33", alive), "alive m33").check("errno", "state", "beating")
    bench.stop("m33")
