# SPDX-License-Identifier: MIT
"""From what pytest saw to a verdict, by whose fault it is."""

import pytest
from labgrid.exceptions import InvalidConfigError
from labgrid.strategy import StrategyError

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Measurement, Verdict, overall
from mpbench.harness.verdicts import Found, exit_code, of_exception, of_measurement, of_test, says_all


def broken(cause: Exception) -> StrategyError:
    error = StrategyError("STM32MPStrategy is in broken state")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("exception", "when", "expected"),
    [
        (AssertionError("1 != 2"), "call", Found(Verdict.FAIL, "1 != 2")),
        (AssertionError(), "call", Found(Verdict.FAIL, "AssertionError")),
        (pytest.fail.Exception("no"), "call", Found(Verdict.FAIL, "no")),
        (BoardFailure("state is offline"), "call", Found(Verdict.FAIL, "state is offline")),
        (BoardFailure("does not boot"), "setup", Found(Verdict.FAIL, "does not boot")),
        (BoardFailure("does not stop"), "teardown", Found(Verdict.FAIL, "does not stop")),
        (InfrastructureError("link lost"), "call", Found(Verdict.INFRA, "link lost")),
        (InfrastructureError("no power"), "setup", Found(Verdict.INFRA, "no power")),
        (InvalidRun("reset"), "call", Found(Verdict.INVALID, "reset")),
        (InvalidRun("reset"), "teardown", Found(Verdict.INVALID, "reset")),
        (UsageError("no core m7"), "call", Found(Verdict.INFRA, "wrong use: no core m7")),
        (AssertionError("in a fixture"), "setup", Found(Verdict.INFRA, "AssertionError: in a fixture")),
        (KeyError("x"), "call", Found(Verdict.INFRA, "KeyError: 'x'")),
        (OSError(5, "I/O error"), "call", Found(Verdict.INFRA, "OSError: [Errno 5] I/O error")),
        (KeyboardInterrupt(), "call", Found(Verdict.INVALID, "interrupted: KeyboardInterrupt")),
        (broken(InfrastructureError("no SSH")), "setup", Found(Verdict.INFRA, "no SSH")),
        (broken(BoardFailure("panic")), "setup", Found(Verdict.FAIL, "panic")),
        (pytest.skip.Exception("no RTC"), "call", Found(Verdict.NOT_RUN, "no RTC")),
        (pytest.skip.Exception("BLOCKED: no SSH"), "setup", Found(Verdict.BLOCKED, "no SSH")),
    ],
)
def test_the_fault_decides_the_verdict(exception, when, expected):
    """Only assertions of a test and faults of the board are a FAIL; all the rest says nothing about it."""
    assert of_exception(exception, when) == expected


@pytest.mark.parametrize(
    ("exception", "enough"),
    [
        (InfrastructureError("x"), True),
        (broken(InfrastructureError("x")), True),
        (broken(ConnectionRefusedError(111, "Connection refused")), True),
        (StrategyError("no driver"), True),
        (InvalidConfigError("no such class"), True),
        (KeyError("x"), False),
        (AssertionError("1 != 2"), False),
        (broken(TypeError("a bug")), False),
    ],
)
def test_a_fault_that_says_all_needs_no_traceback(exception, enough):
    """Faults of lab, board and configuration are one line; bugs and assertions keep their traceback."""
    assert says_all(exception) is enough


PASS, FAIL = Found(Verdict.PASS), Found(Verdict.FAIL, "wrong code")
INFRA, INVALID = Found(Verdict.INFRA, "link lost"), Found(Verdict.INVALID, "reset")


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([], Found(Verdict.NOT_RUN)),
        ([PASS], PASS),
        ([FAIL], FAIL),
        ([PASS, INFRA], INFRA),
        ([FAIL, INFRA], Found(Verdict.FAIL, "wrong code\nlink lost")),
        ([FAIL, INVALID], Found(Verdict.INVALID, "wrong code\nreset")),
        ([INFRA, INVALID], Found(Verdict.INVALID, "link lost\nreset")),
        ([Found(Verdict.NOT_RUN, "no RTC")], Found(Verdict.NOT_RUN, "no RTC")),
    ],
)
def test_a_test_has_the_verdict_of_its_strongest_phase(phases, expected):
    """A failure seen on a board that was reset meanwhile is no failure; no reason is lost."""
    assert of_test(phases) == expected


@pytest.mark.parametrize(
    ("verdicts", "worst", "code"),
    [
        ([], Verdict.NOT_RUN, 5),
        (["NOT-RUN"], Verdict.NOT_RUN, 5),
        (["PASS", "NOT-RUN"], Verdict.PASS, 0),
        (["PASS", "MARGINAL"], Verdict.MARGINAL, 0),
        (["PASS", "INVALID"], Verdict.INVALID, 3),
        (["PASS", "BLOCKED"], Verdict.BLOCKED, 3),
        (["PASS", "INFRA", "BLOCKED"], Verdict.INFRA, 3),
        (["PASS", "INFRA", "FAIL"], Verdict.FAIL, 1),
    ],
)
def test_a_run_has_its_worst_verdict_and_its_code(verdicts, worst, code):
    """0 pass, 1 fail, 3 no verdict, 5 nothing executed."""
    found = [Verdict(v) for v in verdicts]
    assert (overall(found), exit_code(found)) == (worst, code)


@pytest.mark.parametrize(
    ("value", "low", "high", "margin", "verdict"),
    [
        (5, None, None, 0.5, Verdict.PASS),
        (94, None, 100, 0.05, Verdict.PASS),
        (95.1, None, 100, 0.05, Verdict.MARGINAL),
        (100, None, 100, 0.05, Verdict.MARGINAL),
        (100, None, 100, 0.0, Verdict.PASS),
        (100.1, None, 100, 0.05, Verdict.FAIL),
        (10, 10, 20, 0.0, Verdict.PASS),
        (10.4, 10, 20, 0.05, Verdict.MARGINAL),
        (10.5, 10, 20, 0.05, Verdict.PASS),
        (19.6, 10, 20, 0.05, Verdict.MARGINAL),
        (9.9, 10, 20, 0.05, Verdict.FAIL),
        (0, 0, 0, 0.05, Verdict.PASS),
        (float("nan"), 0, 1, 0.05, Verdict.FAIL),
    ],
)
def test_a_measurement_close_to_its_limit_is_marginal(value, low, high, margin, verdict):
    """Outside is FAIL; inside, but within the margin of a limit, is MARGINAL; the bounds are inside."""
    assert Measurement("t", value, "ms", "s", low, high, margin).verdict is verdict


def test_a_measurement_says_what_it_was_measured_against():
    """The reason of a test names value, unit and limits."""
    found = of_measurement(Measurement("latency", 12.5, "ms", "hist", None, 10))
    assert found == Found(Verdict.FAIL, "latency: 12.5 ms is outside -∞ … 10")
    close = of_measurement(Measurement("latency", 9.9, "ms", "hist", 1, 10, 0.05))
    assert close == Found(Verdict.MARGINAL, "latency: 9.9 ms is close to a limit of 1 … 10")
    assert of_test([close, Found(Verdict.PASS)]).verdict is Verdict.MARGINAL
    assert exit_code([Verdict.PASS, Verdict.MARGINAL]) == 0
