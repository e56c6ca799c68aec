# SPDX-License-Identifier: MIT
"""Parses the output of OP-TEE's test suite xtest. Pure.

Ref: optee_test 4.5 host/xtest/adbg/src/adbg_run.c (Do_ADBG_AppendToSuite, the list at the end)
"""

import itertools
import re
from collections.abc import Mapping

from attrs import frozen

from mpbench.core.errors import InfrastructureError

CASE = re.compile(r"^([a-z0-9]+_\d+\w*) (OK|FAILED)(?: first error at (.*))?$", re.M)
PART = re.compile(r"^ *[a-z0-9]+_\d+\w*\.\d+ (OK|FAILED)(?: first error at .*)?$", re.M)
ERROR = re.compile(r"^(\./host/\S+:\d+: .*)$", re.M)
SKIP = re.compile(r"^[ \-]*(?:\d+ *-)? *(.*\bskip.*)$", re.M | re.I)
END = re.compile(r"^(\d+) test cases? of which (\d+) failed$", re.M)
LEFT_OUT = re.compile(r"^(\d+) test cases? w(?:as|ere) skipped$", re.M)


@frozen
class XtestCase:
    """Result of a case. error: its first error; skipped: why none of it was run."""

    error: str = ""
    skipped: str = ""


@frozen
class XtestSuite:
    """Cases that were run, by name, and the number of cases that were not selected."""

    cases: Mapping[str, XtestCase]
    left_out: int = 0


def suite(text: str) -> XtestSuite:
    """The result of one run of xtest. InfrastructureError if it stopped early or its counts do not match."""
    end = END.search(text)
    if end is None:
        last = text.strip().splitlines()[-1:] or ["none"]
        raise InfrastructureError(f"xtest stopped early; last output: {last[0][:200]}")
    start = text.rfind("Result of testsuite")
    listed = CASE.findall(text[start:])
    found = {name: _case(state, at, _output_of(name, text[:start])) for name, state, at in listed}
    failed = sum(1 for case in found.values() if case.error)
    if (len(found), failed) != (int(end[1]), int(end[2])):
        raise InfrastructureError(
            f"xtest lists {len(found)} cases, {failed} failed, but counts {end[1]} and {end[2]}"
        )
    left_out = LEFT_OUT.search(text)
    return XtestSuite(found, int(left_out[1]) if left_out else 0)


def _output_of(name: str, text: str) -> str:
    """Output of a case, from its headline to that of the next one."""
    _, _, rest = text.partition(f"* {name} ")
    return rest.partition("\n* ")[0]


def _case(state: str, at: str, output: str) -> XtestCase:
    if state == "FAILED":  # the error line of the listed source line `at`, else the first one of the case
        lines = ERROR.findall(output)
        listed = (x for x in lines if at and x.removeprefix("./").startswith(at.removeprefix("./") + ":"))
        return XtestCase(error=next(itertools.chain(listed, lines), at or "failed"))
    skip = SKIP.search(output)
    if skip and not any(how == "OK" for how in PART.findall(output)):
        return XtestCase(skipped=skip[1].strip())
    return XtestCase()
