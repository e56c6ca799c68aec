# SPDX-License-Identifier: MIT
"""Fixture `tee_client`: the bench's own client of the TEE, on the board for one test."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.board.teeclient import TeeClient
from bench.plugin.fixtures import FIRMWARE, Bench, make

PATH = "/tmp/mpbench-tee-client"


@pytest.fixture
def tee_client(bench: Bench) -> Iterator[TeeClient]:
    """The client, uploaded, and removed afterwards. Skips the test on a board without a way to its TEE."""
    session: Any = bench.board.session
    machine = session.execute("[ -c /dev/tee0 ] && uname -m").stdout.decode("ascii", "replace").strip()
    if not machine:
        pytest.skip("this kernel gives user space no way to the TEE: no /dev/tee0 (CONFIG_OPTEE)")
    make(goal="userland")
    program = FIRMWARE / "build" / machine / "tee-client"
    if not program.exists():
        pytest.skip(f"the bench has no client of the TEE for {machine}: firmware/Makefile, MACHINES")
    session.put_bytes(program.read_bytes(), PATH)
    session.execute(f"chmod 700 {PATH}")
    yield TeeClient(session, PATH)
    if bench.reachable:
        session.execute(f"rm -f {PATH}")
