# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite, xtest, on the board: every case of it is a test case here.

A run has a few of them; `--bench-xtest all` has all, which takes a quarter of an hour on an emulated board;
`--bench-xtest 4006,60` has those with one of these parts in their names.
"""

from pathlib import Path

import pytest

from mpbench.tee.fixture import chosen
from mpbench.tee.parse_xtest import suite
from testcases.requirements import TEE_SERVICE

pytestmark = TEE_SERVICE

LIST = Path(__file__).with_name("xtest-cases.txt")
CASES = [line.split()[0] for line in LIST.read_text().splitlines() if not line.startswith("#")]

USUAL = (
    "regression_1002",  # parameters of a pseudo application
    "regression_1004",  # a trusted application from the file system, its memory is its own
    "regression_1005",  # many sessions
    "regression_1007",  # a panic ends a session, and only that one
    "regression_1012",  # one instance for several sessions
    "regression_1033",  # tee-supplicant and a plug-in of it
    "regression_2001",  # sockets
    "regression_4001",  # hashes
    "regression_6001",  # secure storage
    "pkcs11_1004",  # objects of PKCS #11
)
"""A part of each chapter, some fifteen seconds."""

DEADLINE_S = 300
LONG_S = {
    "regression_4006": 900,
    "regression_4011": 900,
    "pkcs11_1021": 900,
    "pkcs11_1022": 900,
    "pkcs11_1023": 900,
}
"""RSA takes minutes on an emulated CPU, above all to find primes."""
ENDED_BY_TIMEOUT = (124, 143)
"""Of coreutils, of busybox."""

APPLICATIONS = ("/lib/optee_armtz", "/usr/lib/optee_armtz")
NEEDS = {
    "regression_1033": (
        "/usr/lib/tee-supplicant/plugins/f07bfc66-958c-4a15-99c0-260e4e7375dd.plugin",
        "tee-supplicant has not the plug-in of xtest",
    ),
    "regression_1039": (
        "5c206987-16a3-59cc-ab0f-64b9cfc9e758.ta",
        "its applications are signed through subkeys, whose chain has to begin at the key of this board's "
        "OP-TEE: only who builds both has them",
    ),
    "pkcs11": ("fd02c9da-306c-48c7-a49c-bbd827ae86ee.ta", "the PKCS #11 application is not on the board"),
}
"""What a case, or a suite, needs of an image beside xtest; why a board may have it not."""

RUN = "cd /tmp && LD_LIBRARY_PATH=/tmp/xtest exec timeout {seconds} {program} -l 0 -t {suite} {number} 2>&1"


def pytest_generate_tests(metafunc):
    """`case` stands for the cases that the run is to have."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", chosen(metafunc.config.option.bench_xtest, CASES, USUAL))


@pytest.fixture(scope="module")
def xtest(board, target):
    """Path of OP-TEE's xtest on the board; a virtual board gets it when it is asked for."""
    session = board.session
    there = session.execute("command -v xtest").stdout.decode().strip()
    if there:
        return there
    bringing = next((r for r in target.resources if hasattr(r, "xtest")), None)
    if bringing is None:
        pytest.skip("the board has no xtest: its image needs OP-TEE's test suite (optee-test)")
    if session.execute("uname -m").stdout != b"aarch64\n":
        pytest.skip("Debian has OP-TEE's test suite for arm64 only (package optee-test-qemu)")
    session.put_bytes(bringing.xtest().read_bytes(), "/tmp/xtest.tar.gz")
    unpacked = session.execute("gunzip -c /tmp/xtest.tar.gz | tar -C / -xf - && rm /tmp/xtest.tar.gz")
    assert unpacked.code == 0, unpacked.error
    session.execute("kill $(pidof tee-supplicant)")  # init starts it again, and it finds its plug-in
    return "/tmp/xtest/xtest"


def start(board, program, case, seconds):
    """Start a case; it has a channel of its own."""
    name, _, number = case.partition("_")
    return board.session.spawn(RUN.format(program=program, suite=name, number=number, seconds=seconds))


def result(running, case, seconds):
    """Outcome of a case, None if this xtest has no such case. InfrastructureError: xtest stopped early."""
    reply = running.finish(seconds + 30)
    text = reply.stdout.decode("utf-8", "replace")
    print(text)  # pytest shows it with what fails
    if reply.code in ENDED_BY_TIMEOUT:
        pytest.fail(f"{case} did not end within {seconds} s; it said last: {text[-200:]!r}")
    return suite(text).cases.get(case)


def test_xtest_case(bench, xtest, case):
    """A case of OP-TEE's own test suite passes on this board."""
    seconds = LONG_S.get(case, DEADLINE_S)
    found = result(start(bench.board, xtest, case, seconds), case, seconds)
    if found is None:
        pytest.skip("the xtest of this board has no such case")
    if found.skipped:
        pytest.skip(f"xtest: {found.skipped}")
    if found.error and (why := lacking(bench.board.session, case)):
        pytest.skip(why)
    assert not found.error, found.error


def lacking(session, case):
    """Why a board can't do this case, "" if it has what the case needs."""
    file, why = NEEDS.get(case) or NEEDS.get(case.partition("_")[0], ("", ""))
    places = [file] if file.startswith("/") else [f"{place}/{file}" for place in APPLICATIONS]
    there = session.execute(" || ".join(f"[ -e {place} ]" for place in places)).code == 0
    return "" if not file or there else why


@pytest.mark.parametrize("name", ["regression", "pkcs11"])
def test_the_list_is_complete(bench, xtest, name):
    """The xtest of this board has as many cases as the bench knows of: none is left out in silence."""
    said = start(bench.board, xtest, f"{name}_none", DEADLINE_S).finish(DEADLINE_S).stdout.decode()
    known, there = sum(case.startswith(name) for case in CASES), suite(said).left_out
    if there != known:
        pytest.skip(f"the xtest of this board has {there} cases of {name}, and {LIST.name} lists {known}")


def test_two_clients_at_once(bench, xtest):
    """Two processes of xtest with sessions of their own don't disturb each other."""
    cases = ("regression_1005", "regression_1004")
    running = [start(bench.board, xtest, case, DEADLINE_S) for case in cases]
    for process, case in zip(running, cases, strict=True):
        assert result(process, case, DEADLINE_S).error == ""
