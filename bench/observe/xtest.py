# SPDX-License-Identifier: MIT
"""What OP-TEE's xtest says of its cases. Pure.

Ref: optee_test 4.5 host/xtest/adbg/src/adbg_run.c (Do_ADBG_AppendToSuite, the list at the end)
"""

import re
from collections.abc import Mapping

from attrs import frozen

from bench.errors import LabFault

CASE = re.compile(r"^(\w+_\d+) (OK|FAILED)(?: first error at (.*))?$", re.M)
ERROR = re.compile(r"^(\./host/\S+:\d+: .*)$", re.M)
END = re.compile(r"^(\d+) test cases? of which (\d+) failed$", re.M)


@frozen
class Suite:
    """Cases by name → "" for one that passed, else what it says of its first error."""

    cases: Mapping[str, str]


def suite(text: str) -> Suite:
    """The result of one run of xtest. LabFault if it did not come to its end, or does not add up."""
    end = END.search(text)
    if end is None:
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise LabFault(f"xtest did not come to its end; it said last: {last[0][:200]}")
    begin = text.rfind("Result of testsuite")
    wrong = {line.split(": ", 1)[0].removeprefix("./"): line for line in ERROR.findall(text)}
    found = {name: _words(state, at, wrong) for name, state, at in CASE.findall(text[begin:])}
    failed = sum(1 for words in found.values() if words)
    if (len(found), failed) != (int(end[1]), int(end[2])):
        raise LabFault(f"xtest lists {len(found)} cases, {failed} failed, but counts {end[1]} and {end[2]}")
    return Suite(found)


def _words(state: str, at: str, wrong: Mapping[str, str]) -> str:
    if state == "OK":
        return ""
    return wrong.get(at.removeprefix("./"), at) or "failed"
