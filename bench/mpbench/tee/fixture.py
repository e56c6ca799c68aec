# SPDX-License-Identifier: MIT
"""Fixture `tee_client`: the bench's own TEE client on the board; and the resource counters of its TEE."""

from collections.abc import Iterator, Sequence

import pytest
from attrs import evolve

from mpbench.board.resource_snapshot import resource_counters
from mpbench.core.errors import InfrastructureError
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.leaks import Snapshot, snapshot, steady
from mpbench.harness.firmware import tee_client_program
from mpbench.tee.client import STATS, TeeClient
from mpbench.tee.parse import allocated

PATH = "/tmp/mpbench-tee-client"
SNAPSHOTS = 3
HEAP, HEAP_STATISTICS = 1, 1
"""Pool and command of OP-TEE's statistics. Ref: pta_stats.h, ALLOC_ID_HEAP, STATS_CMD_ALLOC_STATS"""
STATISTICS_BYTES = 64


def chosen(which: str, cases: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The cases that the option selects, in the order of the suite. pytest.UsageError if it selects none."""
    if not which or which == "all":
        return list(cases if which else usual)
    parts = which.split(",")
    found = [case for case in cases if any(part and part in case for part in parts)]
    if not found:
        raise pytest.UsageError(
            f"--bench-xtest {which}: no case matches; give part of a name, as {cases[0]}, or all"
        )
    return found


@pytest.fixture
def tee_client(bench: DeployBench) -> Iterator[TeeClient]:
    """tee-client, uploaded to the board and removed afterwards. Skips the test without /dev/tee0."""
    session = bench.board.session
    if session.execute("[ -c /dev/tee0 ]").code != 0:
        pytest.skip("no access to the TEE from user space: no /dev/tee0 (kernel needs CONFIG_OPTEE)")
    if not (program := tee_client_program(session)):
        pytest.skip("no tee-client for this machine: see firmware/Makefile, MACHINES")
    session.put_bytes(program, PATH)
    session.execute(f"chmod 700 {PATH}")
    yield TeeClient(session, PATH)
    if bench.reachable:
        session.execute(f"rm -f {PATH}")


def tee_counters(client: TeeClient) -> Snapshot:
    """Resource counters of the board and its TEE, for a later comparison.

    OP-TEE numbers a new session one above the highest open one, and Linux gives shared memory the lowest free
    number: sessions and memory that stay open change the numbers of the next ones.
    Ref: OP-TEE core/kernel/tee_ta_manager.c new_session_id(), Linux drivers/tee/tee_shm.c (idr_alloc)
    """
    board = steady([snapshot(resource_counters(client.session), {}) for _ in range(SNAPSHOTS)])
    return evolve(board, exact={**board.exact, **numbers(client)})


def numbers(client: TeeClient) -> dict[str, int]:
    """Numbers of a new session and of new shared memory, and the bytes in use of OP-TEE's heap.

    InfrastructureError if OP-TEE refuses its statistics.
    """
    ask = f"invoke,0,{HEAP_STATISTICS},v:{HEAP}:0,mo:0:0:{STATISTICS_BYTES}"
    found = client.run("context", f"session,{STATS}", "alloc,4096", ask, f"show,0,0,{STATISTICS_BYTES}")
    if wrong := [a for a in found if not a.succeeded]:
        failed = (" ".join([a.word, *(f"{k}={v:#x}" for k, v in a.values.items() if v)]) for a in wrong)
        raise InfrastructureError(f"no statistics of OP-TEE: {', '.join(failed)}")
    _, session, shared, _, shown = found
    return {
        "number of a new session": session["id"],
        "number of new shared memory": shared["id"],
        "bytes of OP-TEE's heap": allocated(shown.data),
    }
