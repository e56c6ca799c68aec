# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite, xtest: each of its cases is a test case here.

A run has a few of them. `--bench-xtest all` runs all, which takes a quarter of an hour on an emulated board;
`--bench-xtest 4006,60` runs those with one of these parts in their names.
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
    "regression_1004",  # a trusted application from the file system, and its memory
    "regression_1005",  # many sessions
    "regression_1007",  # a panic ends one session only
    "regression_1012",  # one instance for several sessions
    "regression_1033",  # tee-supplicant and a plug-in
    "regression_2001",  # sockets
    "regression_4001",  # hashes
    "regression_6001",  # secure storage
    "pkcs11_1004",  # objects of PKCS #11
)
"""A part of each chapter; about fifteen seconds."""

DEADLINE_S = 300
LONG_S = {
    "regression_4006": 900,
    "regression_4011": 900,
    "pkcs11_1021": 900,
    "pkcs11_1022": 900,
    "pkcs11_1023": 900,
}
"""RSA takes minutes on an emulated CPU, most of them to find primes."""
ENDED_BY_TIMEOUT = (124, 143)
"""Exit codes of timeout: of coreutils, of busybox."""

APPLICATIONS = ("/lib/optee_armtz", "/usr/lib/optee_armtz")
NEEDS = {
    "regression_1033": (
        "/usr/lib/tee-supplicant/plugins/f07bfc66-958c-4a15-99c0-260e4e7375dd.plugin",
        "tee-supplicant lacks the plug-in of xtest",
    ),
    "regression_1039": (
        "5c206987-16a3-59cc-ab0f-64b9cfc9e758.ta",
        "its applications are signed through subkeys of the key of this board's OP-TEE: they exist only "
        "where both are built together",
    ),
    "pkcs11": ("fd02c9da-306c-48c7-a49c-bbd827ae86ee.ta", "the PKCS #11 application is not on the board"),
}
"""Files that a case, or a suite, needs besides xtest, and why a board may lack them."""

UPLOADED = "/tmp/xtest/xtest"
"""Path of the xtest for which the list of cases was made."""
RUN = "cd /tmp && LD_LIBRARY_PATH=/tmp/xtest exec timeout {seconds} {program} -l 0 -t {suite} {number} 2>&1"


def pytest_generate_tests(metafunc):
    """Parametrize `case` with the cases that --bench-xtest selects."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", chosen(metafunc.config.option.bench_xtest, CASES, USUAL))


@pytest.fixture(scope="module")
def xtest(board, target):
    """Path of OP-TEE's xtest on the board; to a virtual board it is uploaded here."""
    session = board.session
    installed = session.execute("command -v xtest").stdout.decode().strip()
    if installed:
        return installed
    source = next((r for r in target.resources if getattr(r, "makes_applications", False)), None)
    if source is None:
        pytest.skip("the board has no xtest: its image needs OP-TEE's test suite (optee-test)")
    if session.execute("uname -m").stdout != b"aarch64\n":
        pytest.skip("Debian has OP-TEE's test suite for arm64 only (package optee-test-qemu)")
    session.put_bytes(source.xtest().read_bytes(), "/tmp/xtest.tar.gz")
    unpacked = session.execute("gunzip -c /tmp/xtest.tar.gz | tar -C / -xf - && rm /tmp/xtest.tar.gz")
    assert unpacked.code == 0, unpacked.error
    session.execute("kill $(pidof tee-supplicant)")  # init starts it again, and it loads its plug-in
    return UPLOADED


def start(board, program, case, seconds):
    """Start a case in a channel of its own."""
    name, _, number = case.partition("_")
    return board.session.spawn(RUN.format(program=program, suite=name, number=number, seconds=seconds))


def result(running, case, seconds):
    """Outcome of a case, None if this xtest has no such case. InfrastructureError: xtest stopped early."""
    reply = running.finish(seconds + 30)
    text = reply.stdout.decode("utf-8", "replace")
    print(text)  # pytest shows it with what fails
    if reply.code in ENDED_BY_TIMEOUT:
        pytest.fail(f"{case} did not end within {seconds} s; last output: {text[-200:]!r}")
    return suite(text).cases.get(case)


def test_xtest_case(bench, xtest, case):
    """A case of OP-TEE's own test suite passes on this board."""
    seconds = LONG_S.get(case, DEADLINE_S)
    found = result(start(bench.board, xtest, case, seconds), case, seconds)
    if found is None:
        pytest.skip("this board's xtest has no such case")
    if found.skipped:
        pytest.skip(f"xtest: {found.skipped}")
    if found.error and (why := lacking(bench.board.session, case)):
        pytest.skip(why)
    assert not found.error, found.error


def lacking(session, case):
    """Why this board cannot run the case; "" if it has the files that the case needs."""
    file, why = NEEDS.get(case) or NEEDS.get(case.partition("_")[0], ("", ""))
    places = [file] if file.startswith("/") else [f"{place}/{file}" for place in APPLICATIONS]
    found = session.execute(" || ".join(f"[ -e {place} ]" for place in places)).code == 0
    return "" if not file or found else why


@pytest.mark.parametrize("name", ["regression", "pkcs11"])
def test_the_list_is_complete(bench, xtest, name):
    """The list of cases is complete: xtest counts as many as the bench has."""
    output = start(bench.board, xtest, f"{name}_none", DEADLINE_S).finish(DEADLINE_S).stdout.decode()
    listed, counted = sum(case.startswith(name) for case in CASES), suite(output).left_out
    if xtest != UPLOADED and counted != listed:
        pytest.skip(f"another version: this board's xtest has {counted} cases of {name}, the list {listed}")
    assert counted == listed


def test_two_clients_at_once(bench, xtest):
    """Two processes of xtest run at once, each with its own sessions, and both pass."""
    cases = ("regression_1005", "regression_1004")
    running = [start(bench.board, xtest, case, DEADLINE_S) for case in cases]
    for process, case in zip(running, cases, strict=True):
        assert result(process, case, DEADLINE_S).error == ""
