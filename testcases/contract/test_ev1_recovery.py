# SPDX-License-Identifier: MIT
"""A recovery on an STM32MP257F-EV1 whose kernel refuses the probes that the bench prefers, as ST's do."""

import pytest
from labgrid import Environment

from mpbench.board.trace.tracefs import TRACING
from mpbench.core.shared_files import CHECKOUT
from mpbench.image.faults import apply
from mpbench.recovery import collect_trace
from mpbench_virtual.models import MACHINE_KINDS
from testcases.contract.machine_parts import require_qemu
from testcases.crash_rig import crashes_on, opened, recorder

pytestmark = pytest.mark.slow


def test_calls_of_the_ta_are_traced_without_arguments_of_return_probes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on ST's kernels 6.1 and 6.6.48, which refuse them: OP-TEE's answers show a recovery's calls."""
    require_qemu(MACHINE_KINDS["mp25"])
    monkeypatch.setattr(collect_trace, "TA_PROBES", collect_trace.TA_PROBES[1:])
    target = Environment(str(CHECKOUT / "targets/virtual-mp25.yaml")).get_target("main")
    with opened(target) as board, recorder(board) as trace:
        events = board.session.read(f"{TRACING}/kprobe_events")
        assert isinstance(events, bytes)
        assert b"/ta optee_from_msg_param " in events
        assert b"tee_client_invoke_func" not in events
        with crashes_on(target, board, trace) as crashes:
            image = crashes.start("m33").image
            crashes.failure("m33").check("commands", "ta_states", "sequence", "state", "boots", "beating")
            bad = apply("payload-first", image)
            crashes.replace("m33", bad)
            crashes.failure("m33", reload=bad).check("commands", "ta_states", "tee_code", "sequence", "state")
    target.get_strategy().transition("off")
    target.cleanup()
