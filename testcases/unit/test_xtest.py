# SPDX-License-Identifier: MIT
"""OP-TEE's own test suite: what it says, and the trusted applications that it brings."""

import struct

import pytest

from bench.errors import LabFault
from bench.observe.xtest import suite
from bench.virtual.xtest import BOOTSTRAP, HEADER, MAGIC, plain

# Lines of xtest 4.5 on the virtual STM32MP25.
SAID = """* regression_1005 Many sessions
./host/xtest/regression_1000.c:599: open_session(&sessions[i]) has an unexpected value: 0xffff000f
  regression_1005 FAILED
* regression_1006 Test Basic OS features
  regression_1006 OK
+-----------------------------------------------------
Result of testsuite regression filtered by "1005 1006":
regression_1005 FAILED first error at ./host/xtest/regression_1000.c:599
regression_1006 OK
+-----------------------------------------------------
2 subtests of which 1 failed
2 test cases of which 1 failed
106 test cases were skipped
TEE test application done!
"""


def test_cases_are_read():
    """Each case by name: nothing for one that passed, its first error for one that failed."""
    found = suite(SAID).cases
    assert found["regression_1006"] == ""
    assert found["regression_1005"].endswith("has an unexpected value: 0xffff000f")
    assert suite(SAID.replace("2 test cases of which 1", "2 test cases of which 1")).cases == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "did not come to its end; it said last: nothing"),
        (SAID.partition("2 test cases")[0], "it said last: 2 subtests of which 1 failed"),
        (SAID.replace("\nregression_1006 OK\n", "\n"), "lists 1 cases, 1 failed, but counts 2 and 1"),
    ],
)
def test_cut_answers_are_refused(text, words):
    """A run that was cut, or whose list and count differ, is an error and no result."""
    with pytest.raises(LabFault, match=words):
        suite(text)


def test_the_program_inside_of_a_signed_application():
    """Behind header, hash, signature and version stands the program; other kinds of images are left alone."""
    head = HEADER.pack(MAGIC, BOOTSTRAP, 4, 0, 32, 256) + bytes(32 + 256)
    signed = head + struct.pack("<16sI", b"u" * 16, 7) + b"\x7fELFmore"
    assert plain(signed) == (b"\x7fELF", 7)
    assert plain(HEADER.pack(MAGIC, 3, 4, 0, 32, 256)) == (b"", 0)
    for wrong in (b"", b"\x7fELF" + bytes(30)):
        with pytest.raises(LabFault, match="no signed trusted application"):
            plain(wrong)
