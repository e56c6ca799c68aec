# SPDX-License-Identifier: MIT
"""What OP-TEE's xtest says of its cases. Pure.

Ref: optee_test 4.5 host/xtest/adbg/src/adbg_run.c (Do_ADBG_AppendToSuite, the list at the end)
"""

import re
from collections.abc import Mapping

from attrs import frozen

from mpbench.core.errors import InfrastructureError

CASE = re.compile(r"^([a-z0-9]+_\d+\w*) (OK|FAILED)(?: first error at (.*))?$", re.M)
PART = re.compile(r"^ *([a-z0-9]+_\d+\w*)\.\d+ (OK|FAILED)(?: first error at (.*))?$", re.M)
ERROR = re.compile(r"^(\./host/\S+:\d+: .*)$", re.M)
SKIP = re.compile(r"^[ \-]*(?:\d+ *-)? *(.*\bskip.*)$", re.M | re.I)
END = re.compile(r"^(\d+) test cases? of which (\d+) failed$", re.M)
LEFT_OUT = re.compile(r"^(\d+) test cases? w(?:as|ere) skipped$", re.M)


@frozen
class Case:
    """What became of a case: `error` says what went wrong first, `skipped` why nothing of it was run."""

    error: str = ""
    skipped: str = ""


@frozen
class Suite:
    """Cases by name, and how many there are beside them that nobody asked for."""

    cases: Mapping[str, Case]
    left_out: int = 0


def suite(text: str) -> Suite:
    """The result of one run of xtest. InfrastructureError if it did not come to its end, or does not add up."""
    end = END.search(text)
    if end is None:
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise InfrastructureError(f"xtest did not come to its end; it said last: {last[0][:200]}")
    begin = text.rfind("Result of testsuite")
    listed = CASE.findall(text[begin:])
    said = {name: _between(text[:begin], name) for name, _, _ in listed}
    found = {name: _case(state, at, said[name]) for name, state, at in listed}
    failed = sum(1 for case in found.values() if case.error)
    if (len(found), failed) != (int(end[1]), int(end[2])):
        raise InfrastructureError(
            f"xtest lists {len(found)} cases, {failed} failed, but counts {end[1]} and {end[2]}"
        )
    left_out = LEFT_OUT.search(text)
    return Suite(found, int(left_out[1]) if left_out else 0)


def _between(text: str, name: str) -> str:
    """What a case said, from its headline to that of the next one."""
    _, _, behind = text.partition(f"* {name} ")
    return behind.partition("\n* ")[0]


def _case(state: str, at: str, said: str) -> Case:
    parts, skip = PART.findall(said), SKIP.search(said)
    if state == "FAILED":
        return Case(error=_first_error(at, said))
    if skip and not any(how == "OK" for _, how, _ in parts):
        return Case(skipped=skip[1].strip())
    return Case()


def _first_error(at: str, said: str) -> str:
    """The line of the place that is listed, or of the first one that a part of the case complains of."""
    lines = ERROR.findall(said)
    listed = [
        line for line in lines if at and line.removeprefix("./").startswith(at.removeprefix("./") + ":")
    ]
    return next(iter(listed or lines), at or "failed")
