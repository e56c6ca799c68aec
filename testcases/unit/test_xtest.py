# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite: its output, and its signed trusted applications."""

import struct

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench.tee.fixture import chosen
from mpbench.tee.parse_xtest import XtestCase, XtestSuite, suite
from mpbench_virtual.xtest import BOOTSTRAP, HEADER, MAGIC, plain

# Lines of xtest 4.5 on the virtual STM32MP25.
SAID = """
* regression_1005 Many sessions
./host/xtest/regression_1000.c:599: open_session(&sessions[i]) has an unexpected value: 0xffff000f
  regression_1005 FAILED

* regression_1006 Test Basic OS features
o regression_1006.1 First, which is skipped
  regression_1006.1 OK
  regression_1006 OK

* regression_1037 Remote attestation
  skip test, pseudo TA not found
  regression_1037 OK

* regression_1039 Test subkey verification
o regression_1039.1 Load TA with two levels of subkeys
./host/xtest/regression_1000.c:3280: xtest_teec_open_session() has an unexpected value: 0xffff0008
  regression_1039.1 FAILED
o regression_1039.2 Load TA with identity subkey
./host/xtest/regression_1000.c:3287: xtest_teec_open_session() has an unexpected value: 0xffff0009
  regression_1039.2 FAILED
  regression_1039 FAILED

* regression_4007_dh Test TEE Internal API Generate DH key
  regression_4007_dh.1 OK
  regression_4007_dh OK
+-----------------------------------------------------
Result of testsuite regression filtered by "1005 1006 1037 1039 4007_dh":
regression_1005 FAILED first error at ./host/xtest/regression_1000.c:599
regression_1006 OK
regression_1037 OK
regression_1039.1 FAILED first error at ./host/xtest/regression_1000.c:3280
regression_1039.2 FAILED first error at ./host/xtest/regression_1000.c:3287
regression_1039 FAILED
regression_4007_dh OK
+-----------------------------------------------------
2 subtests of which 1 failed
5 test cases of which 2 failed
103 test cases were skipped
TEE test application done!
"""


def test_cases_are_read():
    """Each case by name: passed, its first error, or why it was skipped."""
    found = suite(SAID)
    assert found.left_out == 103
    assert found.cases["regression_1005"].error.endswith("has an unexpected value: 0xffff000f")
    assert found.cases["regression_1006"] == found.cases["regression_4007_dh"] == XtestCase()
    assert found.cases["regression_1037"] == XtestCase(skipped="skip test, pseudo TA not found")
    assert found.cases["regression_1039"].error.endswith("has an unexpected value: 0xffff0008")


def test_a_failure_without_a_line_of_its_own():
    """Without an error line the listed source line is the error; without that, it is "failed"."""
    line = (
        "./host/xtest/regression_1000.c:599: open_session(&sessions[i]) has an unexpected value: 0xffff000f\n"
    )
    place = " first error at ./host/xtest/regression_1000.c:599"
    assert (
        suite(SAID.replace(line, "")).cases["regression_1005"].error == "./host/xtest/regression_1000.c:599"
    )
    assert suite(SAID.replace(line, "").replace(place, "")).cases["regression_1005"].error == "failed"


@pytest.mark.parametrize(
    "line",
    [
        " - 1001 -   skip test, pseudo TA not found",
        "Binary doesn't support PAuth - skip tests",
        "System PTA not available, skipping test 4013",
    ],
)
def test_skipped_cases(line):
    """xtest counts a skipped case as passed; here it has the reason of the skip."""
    said = SAID.replace("  skip test, pseudo TA not found", line)
    assert suite(said).cases["regression_1037"].skipped in line


def test_nothing_chosen():
    """A run without cases has the number of cases that were not selected."""
    text = "Result of testsuite regression:\n0 test cases of which 0 failed\n108 test cases were skipped\n"
    assert suite(text) == XtestSuite({}, 108)
    assert suite("Result of testsuite regression:\n0 test cases of which 0 failed\n") == XtestSuite({}, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "stopped early; last output: none"),
        (SAID.partition("5 test cases")[0], "last output: 2 subtests of which 1 failed"),
        (SAID.replace("\nregression_1006 OK\n", "\n"), "lists 4 cases, 2 failed, but counts 5 and 2"),
    ],
)
def test_cut_answers_are_refused(text, words):
    """Truncated output, or a list and counts that differ, is an InfrastructureError."""
    with pytest.raises(InfrastructureError, match=words):
        suite(text)


NAMES = ("regression_1001", "regression_4007_dh", "pkcs11_1001")


def test_which_cases_a_run_has():
    """A few cases by default, all, or those that contain a part; no match is a UsageError."""
    assert chosen("", NAMES, NAMES[:1]) == ["regression_1001"]
    assert chosen("all", NAMES, ()) == list(NAMES)
    assert chosen("4007,1001,", NAMES, ()) == list(NAMES)
    assert chosen("pkcs11", NAMES, ()) == ["pkcs11_1001"]
    with pytest.raises(
        pytest.UsageError, match="--bench-xtest 9,: no case matches; give part of a name, as regression_1001"
    ):
        chosen("9,", NAMES, ())


def test_the_program_inside_of_a_signed_application():
    """The program follows header, hash, signature and version; other images are not unpacked."""
    head = HEADER.pack(MAGIC, BOOTSTRAP, 4, 0, 32, 256) + bytes(32 + 256)
    signed = head + struct.pack("<16sI", b"u" * 16, 7) + b"\x7fELFmore"
    assert plain(signed) == (b"\x7fELF", 7)
    assert plain(HEADER.pack(MAGIC, 3, 4, 0, 32, 256)) == (b"", 0)
    for wrong in (b"", b"\x7fELF" + bytes(30)):
        with pytest.raises(InfrastructureError, match="no signed trusted application"):
            plain(wrong)
