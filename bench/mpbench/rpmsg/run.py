# SPDX-License-Identifier: MIT
"""Steps with RPMsg: the stages of the bench joined.

    evidence = collect.state_of(board)        touches the board, or what rpmsg-client printed
    observed = parse.start_facts(evidence)    pure
    step     = compare(predicted, observed)   pure

The prediction steers collect.state_of() in one argument: `wanted`, the channels to wait for.
"""

import time
from collections.abc import Callable

from attrs import AttrsInstance

from mpbench.board.identification import boot_id, same_boot
from mpbench.board.program_output import Answer
from mpbench.board.protocols import Board
from mpbench.core.compare import compare
from mpbench.core.evidence import KMSG, TRACE_FIRST, Artefact, Evidence
from mpbench.core.step import Step
from mpbench.rpmsg import collect, parse
from mpbench.rpmsg.facts import CLIENT, FaultFacts, StartFacts, TrafficFacts


def step_of(
    action: tuple[str, str],
    predicted: AttrsInstance,
    observed: AttrsInstance,
    evidence: Evidence,
    start_ns: int,
) -> Step:
    """A step of what was predicted and observed.

    action: its name, and the core; start_ns: when it started, by time.monotonic_ns()
    """
    took_ns = time.monotonic_ns() - start_ns
    return Step(*action, predicted, observed, compare(predicted, observed), evidence, took_ns)


def changed(board: Board, core: str, name: str, predicted: StartFacts, do: Callable[[], str]) -> Step:
    """Start, stop or recover a core, and wait for its channels. InvalidRun if the board was reset.

    do: returns "OK" or the errno's name
    """
    start_ns, boot, mark = time.monotonic_ns(), boot_id(board), board.kmsg.mark()
    errno = do()
    evidence = Evidence(collect.state_of(board, core, mark, errno, predicted.channels or ""))
    same_boot(boot, boot_id(board))
    return step_of((name, core), predicted, parse.start_facts(evidence), evidence, start_ns)


def traffic(
    board: Board, core: str, name: str, predicted: TrafficFacts, do: Callable[[], tuple[Answer, ...]]
) -> tuple[Step, tuple[Answer, ...]]:
    """Exchange messages and count them on both sides; `do` returns the client's answers."""
    start_ns, mark = time.monotonic_ns(), board.kmsg.mark()
    before = parse.counters(board.remoteproc.trace(core))
    answers = do()
    trace = board.remoteproc.trace(core) or b""
    after = parse.counters(trace)
    printed = "".join(f"{answer}\n" for answer in answers).encode()
    log = Artefact(KMSG, board.kmsg.since(mark))
    evidence = Evidence((Artefact(CLIENT, printed), Artefact(TRACE_FIRST, trace), log))
    observed = parse.traffic(answers, after.since(before) if after and before else None)
    return step_of((name, core), predicted, observed, evidence, start_ns), answers


def fault(
    board: Board,
    core: str,
    predicted: FaultFacts,
    commit: Callable[[], tuple[Answer, ...]],
    recover: Callable[[], bool],
) -> Step:
    """A fault of the core, what Linux says of it, and whether sound firmware works afterwards.

    commit: has the core commit it, then sends and takes messages; returns the answers to that
    recover: stops the core, starts sound firmware, and says whether its channels work
    The prediction steers this in one argument: for which line of the kernel to wait.
    """
    start_ns, mark = time.monotonic_ns(), board.kmsg.mark()
    answers = commit()
    if predicted.line:
        collect.await_line(board, mark, predicted.line)
    state, trace = board.remoteproc.core_state(core), board.remoteproc.trace(core) or b""
    recovers = recover()
    log = board.kmsg.since(mark)
    printed = "".join(f"{answer}\n" for answer in answers).encode()
    evidence = Evidence((Artefact(CLIENT, printed), Artefact(TRACE_FIRST, trace), Artefact(KMSG, log)))
    observed = parse.fault_facts(log, answers, state, recovers)
    return step_of(("fault", core), predicted, observed, evidence, start_ns)
