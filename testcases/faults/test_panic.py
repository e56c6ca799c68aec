# SPDX-License-Identifier: MIT
"""Fault 12: the kernel of a virtual board panics in a test.

INVALID, with the console as evidence, and a board that works again.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labgrid import Environment

from mpbench.board.identification import boot_id
from mpbench.board.kernel_panic import panic_in
from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.lines import ProvenanceLine
from mpbench.core.record import Clock, Record, read
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.run_state import RunState
from mpbench.twin.profile import load_profile
from testcases.crash_rig import opened

pytestmark = pytest.mark.slow
PANIC = re.compile(rb"end Kernel panic - not syncing")
PANIC_S = 120.0
"""A loaded host takes its time; the command before does not wait for it."""


@pytest.fixture(scope="module")
def board() -> Iterator[Any]:
    """A virtual board, booted."""
    target = Environment(str(CHECKOUT / "targets/virtual-mp25.yaml")).get_target("main")
    with opened(target) as found:
        yield target, found
    target.get_strategy().transition("off")
    target.cleanup()


@pytest.fixture(autouse=True)
def nothing_leaks(board: Any) -> None:
    """Each boot has connections and threads of its own; the board's end is checked with the module."""


def test_12_a_kernel_panic_is_named_and_survived(board: Any, chance: random.Random, tmp_path: Path):
    """The link is lost; the reason is the panic, its output is evidence, and the next test has a new boot."""
    target, there = board
    (tmp_path / "run" / "evidence").mkdir(parents=True)
    state = RunState(record=Record(tmp_path / "run", "r1", Clock()))
    mark, before = there.console.mark(), boot_id(there)
    profile = load_profile("virtual-mp25")
    item: Any = None
    bench = DeployBench(there, profile, state, item, target.get_strategy(), before, console_mark=mark)
    there.session.spawn(f"sleep {chance.uniform(0, 0.3):.2f}; echo c >/proc/sysrq-trigger")
    with pytest.raises(InfrastructureError):
        there.session.execute("sleep 60", 5.0)
    assert there.console.find(PANIC, mark, PANIC_S), "the kernel did not panic"
    with pytest.raises(InvalidRun, match=r"^the board's kernel panicked: sysrq triggered crash$"):
        bench.settle()
    assert boot_id(there) != before
    assert state.record is not None
    assert state.record.boot == boot_id(there)
    state.record.close()
    run = read(tmp_path / "run")
    (line,) = run.of(ProvenanceLine)
    assert b"Kernel panic - not syncing: sysrq triggered crash" in (
        run.evidence(line.evidence[0].file) or b""
    )
    mark = there.console.mark()
    DeployBench(
        there, profile, RunState(), item, target.get_strategy(), boot_id(there), console_mark=mark
    ).settle()


def test_12_reasons_are_text():
    """Escape codes of a panic's line are shown, and an empty one is said."""
    assert panic_in(b"x\r\nKernel panic - not syncing: a\x1b[2J b\r\nmore") == "a␛[2J b"
    assert panic_in(b"Kernel panic - not syncing: \r\n") == "no reason given"
    assert panic_in(b"all is well") == ""
