# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite on the board.

The whole suite takes a quarter of an hour on an emulated board: MPBENCH_XTEST=all
"""

import os

import pytest

from bench.observe.xtest import suite

CASES = {
    "1001": "self tests of OP-TEE's core",
    "1002": "parameters reach a pseudo application as they were sent",
    "1004": "memory of a trusted application is its own",
    "1005": "many sessions at once, each with its own state",
    "1007": "a panic ends a session, and only that one",
    "1008": "applications are found by their UUID, wrong ones are refused, shared memory has its bounds",
    "1009": "waits and cancellation",
    "1012": "one instance serves several sessions",
}
"""Cases of xtest's regression suite that are about contexts, sessions, shared memory and cancellation."""

RUN = "cd /tmp && LD_LIBRARY_PATH=/tmp/xtest exec timeout {seconds} {program} -l 0 -t regression {cases}"
CASES_S, WHOLE_S = 240, 3600


@pytest.fixture(scope="module")
def xtest(board, target):
    """Path of OP-TEE's xtest on the board; a virtual board gets it when it is asked for."""
    session = board.session
    there = session.execute("command -v xtest").stdout.decode().strip()
    if there:
        return there
    bringing = next((r for r in target.resources if hasattr(r, "xtest")), None)
    if bringing is None or session.execute("uname -m").stdout != b"aarch64\n":
        pytest.skip("the board has no xtest: its image needs OP-TEE's test suite (optee-test)")
    session.put_bytes(bringing.xtest().read_bytes(), "/tmp/xtest.tar.gz")
    unpacked = session.execute("gunzip -c /tmp/xtest.tar.gz | tar -C / -xf - && rm /tmp/xtest.tar.gz")
    assert unpacked.code == 0, unpacked.error
    return "/tmp/xtest/xtest"


def run(board, program, cases, seconds):
    """What xtest says; it has a channel of its own, and ends in time."""
    command = RUN.format(program=program, cases=cases, seconds=seconds)
    return board.session.spawn(command).finish(seconds + 30).stdout.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def cases(board, xtest):
    """Results of all CASES, in one run."""
    return suite(run(board, xtest, " ".join(CASES), CASES_S)).cases


@pytest.mark.parametrize("number", CASES)
def test_xtest_case(bench, cases, number):  # noqa: ARG001 - the board has to be ours
    """A case of OP-TEE's own regression suite passes on this board."""
    name = f"regression_{number}"
    assert name in cases, f"xtest has no case {name}"
    assert cases[name] == "", f"{CASES[number]}: {cases[name]}"


def test_killed_clients_leave_no_session(bench, xtest):
    """Clients that are killed in the middle of their calls leave nothing: others get all sessions."""
    session = bench.board.session
    for _ in range(3):
        session.spawn(RUN.format(program=xtest, cases="1013", seconds=60)).close()
    assert suite(run(bench.board, xtest, "1005 1012", CASES_S)).cases == {
        "regression_1005": "",
        "regression_1012": "",
    }


def test_two_clients_at_once(bench, xtest):
    """Two processes with sessions of their own don't disturb each other."""
    other = bench.board.session.spawn(RUN.format(program=xtest, cases="1009", seconds=CASES_S))
    first = suite(run(bench.board, xtest, "1005", CASES_S))
    second = suite(other.finish(CASES_S + 30).stdout.decode("utf-8", "replace"))
    assert {**first.cases, **second.cases} == {"regression_1005": "", "regression_1009": ""}


def test_the_whole_suite(bench, xtest):
    """Every case of OP-TEE's regression suite that this board can run passes."""
    if os.environ.get("MPBENCH_XTEST") != "all":
        pytest.skip("it takes a quarter of an hour: MPBENCH_XTEST=all")
    found = suite(run(bench.board, xtest, "", WHOLE_S)).cases
    assert {name: words for name, words in found.items() if words} == {}
