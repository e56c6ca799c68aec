# SPDX-License-Identifier: MIT
"""Crash a board's cores outside of a test run on that board: for fault tests and benchmarks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labgrid import Target

from mpbench.board.identification import boot_id
from mpbench.board.interrupts import watchdog_line
from mpbench.board.protocols import Board
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.configuration import configured, watchdogs_of
from mpbench.harness.firmware import make
from mpbench.harness.fixture import board_of
from mpbench.harness.run_state import RunState
from mpbench.harness.signer import Signer
from mpbench.image.keys import load_private_key
from mpbench.recovery.collect_trace import CrashTrace, recording
from mpbench.recovery.fixture import Crashes
from mpbench.twin.profile import load_profile
from mpbench_virtual.keys import signing_key


@contextmanager
def opened(target: Target) -> Iterator[Board]:
    """The board, booted, with its readers, as a test run has it. It stays on afterwards."""
    target.get_strategy().transition("shell")
    found = board_of(target)
    found.session.call("true", 30.0)  # the second shell, which is kept
    yield found
    found.kmsg.close()


@contextmanager
def recorder(board: Board) -> Iterator[CrashTrace]:
    """Recorder of what Linux does in recoveries."""
    lines = [watchdog_line(board.session, board.remoteproc, core) for core in board.remoteproc.cores()]
    with recording(board.session, lines) as trace:
        yield trace


@contextmanager
def crashes_on(target: Target, board: Board, trace: CrashTrace, item: Any = None) -> Iterator[Crashes]:
    """Crash API of a virtual STM32MP25, without a record; afterwards no core runs."""
    built = make()
    key: Any = load_private_key(signing_key())
    profile = load_profile("virtual-mp25").with_key(key.public_key())
    bench = DeployBench(board, profile, RunState(), item, target.get_strategy(), boot_id(board))
    watchdogs = watchdogs_of({}, profile)

    def firmware(name: str, core: str) -> bytes:
        return configured((built / core / f"{name}.elf").read_bytes(), core, watchdogs[core])

    made = Crashes(bench, firmware, Signer(key), trace, watchdogs)
    yield made
    made.restore()
    bench.settle()
