# SPDX-License-Identifier: MIT
"""From what pytest saw to a verdict, by whose fault it is. Pure."""

from collections.abc import Iterable

import pytest
from attrs import frozen
from labgrid.strategy import StrategyError

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Measurement, Verdict, overall

BLOCKED = "BLOCKED: "
"""How the reason of a skip begins when something else has to be repaired first."""

_STRONGEST_FIRST = (Verdict.INVALID, Verdict.FAIL, Verdict.INFRA, Verdict.BLOCKED, Verdict.NOT_RUN)
"""Inside one test: what took the ground away counts before what was seen without ground."""

_BY_FAULT: tuple[tuple[type[BaseException], Verdict, str], ...] = (
    (InvalidRun, Verdict.INVALID, ""),
    (BoardFailure, Verdict.FAIL, ""),
    (InfrastructureError, Verdict.INFRA, ""),
    (UsageError, Verdict.INFRA, "wrong use: "),
    (KeyboardInterrupt, Verdict.INVALID, "interrupted: "),
)

_FAILED: tuple[type[BaseException], ...] = (AssertionError, pytest.fail.Exception)


@frozen
class Found:
    """Verdict of a phase (setup, call, teardown) or of a whole test, and why it is not a PASS."""

    verdict: Verdict
    reason: str = ""


def cause(exception: BaseException) -> BaseException:
    """What broke a strategy, instead of labgrid's word that it is broken."""
    while isinstance(exception, StrategyError) and exception.__cause__ is not None:
        exception = exception.__cause__
    return exception


def is_broken_strategy(exception: BaseException) -> bool:
    """Whether labgrid's strategy broke, so that the board's state is unknown."""
    return isinstance(exception, StrategyError)


def says_all(exception: BaseException) -> bool:
    """Whether the message is enough: a traceback would only hide it. Ours, labgrid's, the system's."""
    found = cause(exception)
    ours = isinstance(found, (BoardFailure, InvalidRun, InfrastructureError, UsageError, OSError))
    return ours or type(found).__module__.startswith("labgrid.")


def of_exception(exception: BaseException, when: str) -> Found:
    """Verdict of a phase that ended with an exception.

    Only what a test asserts and what the board did wrong is a FAIL; anything unforeseen says nothing about
    the board, hence INFRA.
    """
    exception = cause(exception)
    reason = str(exception).strip() or type(exception).__name__
    if isinstance(exception, pytest.skip.Exception):
        return of_skip(reason)
    if when == "call" and isinstance(exception, _FAILED):
        return Found(Verdict.FAIL, reason)
    for kind, verdict, begin in _BY_FAULT:
        if isinstance(exception, kind):
            return Found(verdict, begin + reason)
    return Found(Verdict.INFRA, f"{type(exception).__name__}: {reason}")


def of_skip(reason: str) -> Found:
    """A skipped test did not run; if something broken is why, it is blocked."""
    if reason.startswith(BLOCKED):
        return Found(Verdict.BLOCKED, reason.removeprefix(BLOCKED))
    return Found(Verdict.NOT_RUN, reason)


def of_measurement(m: Measurement) -> Found:
    """Verdict of a measurement, and what it was measured against."""
    low = "-∞" if m.low is None else f"{m.low:g}"
    high = "∞" if m.high is None else f"{m.high:g}"
    where = "outside" if m.verdict is Verdict.FAIL else "close to a limit of"
    return Found(m.verdict, f"{m.name}: {m.value:g} {m.unit} is {where} {low} … {high}")


def of_test(phases: Iterable[Found]) -> Found:
    """Verdict of a test: its strongest phase; the reasons of all phases that have one."""
    found = list(phases)
    verdict = next((v for v in _STRONGEST_FIRST if v in {f.verdict for f in found}), None)
    reasons = "\n".join(f.reason for f in found if f.reason)
    return Found(verdict or overall(f.verdict for f in found), reasons)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Exit code of a run: 0 pass, 1 fail, 3 no verdict, 5 nothing executed."""
    worst = overall(verdicts)
    return {Verdict.FAIL: 1, Verdict.PASS: 0, Verdict.MARGINAL: 0, Verdict.NOT_RUN: 5}.get(worst, 3)
