# SPDX-License-Identifier: MIT
"""A board and its cores outside of a test run on that board: for fault tests, contract tests, benchmarks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labgrid import Environment, Target

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
def booted(target_file: Path) -> Iterator[tuple[Target, Board]]:
    """Target and board of a file, booted; afterwards it is off."""
    target = Environment(str(target_file)).get_target("main")
    with opened(target) as found:
        yield target, found
    target.get_strategy().transition("off")
    target.cleanup()


def signer() -> Signer:
    """Signs for a virtual board."""
    key: Any = load_private_key(signing_key())
    return Signer(key)


def bench_on(
    target: Target, board: Board, profile: str, item: Any = None, *, from_now: bool = False
) -> DeployBench:
    """Deployments on a virtual board, without a record. from_now: its consoles said nothing before."""
    key: Any = load_private_key(signing_key())
    known = load_profile(profile).with_key(key.public_key())
    begin = {"console_mark": board.console.mark(), "secure_mark": board.secure.position()}
    marks: Any = begin if from_now else {}
    return DeployBench(board, known, RunState(), item, target.get_strategy(), boot_id(board), **marks)


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
    bench = bench_on(target, board, "virtual-mp25", item)
    watchdogs = watchdogs_of({}, bench.profile)

    def firmware(name: str, core: str) -> bytes:
        return configured((built / core / f"{name}.elf").read_bytes(), core, watchdogs[core])

    made = Crashes(bench, firmware, signer(), trace, watchdogs)
    yield made
    made.restore()
    bench.settle()
