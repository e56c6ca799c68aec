# SPDX-License-Identifier: MIT
"""Fixture `tee_client`: the bench's own client of the TEE on the board; and what it finds held there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from attrs import evolve

from mpbench.board.resource_snapshot import held
from mpbench.core.errors import InfrastructureError
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.leaks import Snapshot, snapshot, steady
from mpbench.harness.firmware import make
from mpbench.tee.client import STATS, TeeClient
from mpbench.tee.parse import allocated

PATH = "/tmp/mpbench-tee-client"
LOOKS = 3
HEAP, HEAP_STATISTICS = 1, 1
"""Pool and command of OP-TEE's statistics. Ref: pta_stats.h, ALLOC_ID_HEAP, STATS_CMD_ALLOC_STATS"""
STATISTICS_BYTES = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("mpbench").addoption(
        "--bench-xtest",
        metavar="WHICH",
        default="",
        help="cases of OP-TEE's own test suite: all, or those with one of these parts in their names, as in "
        "4006,60 (a few)",
    )


def chosen(which: str, cases: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The cases that an option asks for, in the order of the suite. UsageError if it asks for none."""
    if not which or which == "all":
        return list(cases if which else usual)
    parts = which.split(",")
    found = [case for case in cases if any(part and part in case for part in parts)]
    if not found:
        raise pytest.UsageError(f"--bench-xtest {which}: no case has such a name; one is {cases[0]}, or all")
    return found


@pytest.fixture
def tee_client(bench: DeployBench) -> Iterator[TeeClient]:
    """The client, uploaded, and removed afterwards. Skips the test on a board without a way to its TEE."""
    session: Any = bench.board.session
    machine = session.execute("[ -c /dev/tee0 ] && uname -m").stdout.decode("ascii", "replace").strip()
    if not machine:
        pytest.skip("this kernel gives user space no way to the TEE: no /dev/tee0 (CONFIG_OPTEE)")
    program = make(goal="userland") / machine / "tee-client"
    if not program.exists():
        pytest.skip(f"the bench has no client of the TEE for {machine}: firmware/Makefile, MACHINES")
    session.put_bytes(program.read_bytes(), PATH)
    session.execute(f"chmod 700 {PATH}")
    yield TeeClient(session, PATH)
    if bench.reachable:
        session.execute(f"rm -f {PATH}")


def held_of_tee(client: TeeClient) -> Snapshot:
    """What the board holds now, its TEE included, for a comparison later.

    OP-TEE gives a session the number above that of the last one that is open, and Linux shared memory the
    lowest number that is free: what somebody left open shows in the numbers of the next ones.
    Ref: OP-TEE core/kernel/tee_ta_manager.c new_session_id(), Linux drivers/tee/tee_shm.c (idr_alloc)
    """
    looks = [snapshot(held(client.session), {}) for _ in range(LOOKS)]
    return evolve(found := steady(looks), exact={**found.exact, **numbers(client)})


def numbers(client: TeeClient) -> dict[str, int]:
    """Numbers of a fresh session and of fresh memory, and the bytes that OP-TEE's heap has in use.

    InfrastructureError if OP-TEE does not say.
    """
    ask = f"invoke,0,{HEAP_STATISTICS},v:{HEAP}:0,mo:0:0:{STATISTICS_BYTES}"
    found = client.run("context", f"session,{STATS}", "alloc,4096", ask, f"show,0,0,{STATISTICS_BYTES}")
    if wrong := [a for a in found if not a.succeeded]:
        said = ", ".join(f"{a.word} {_in_words(a.values)}" for a in wrong)
        raise InfrastructureError(f"no statistics of OP-TEE: {said}")
    _, session, shared, _, shown = found
    return {
        "number of a new session": session["id"],
        "number of new shared memory": shared["id"],
        "bytes of OP-TEE's heap": allocated(shown.data),
    }


def _in_words(values: Mapping[str, int]) -> str:
    return " ".join(f"{name}={value:#x}" for name, value in values.items() if value)
