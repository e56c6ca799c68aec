# SPDX-License-Identifier: MIT
"""Verdict of a test from the outcome of its phases, by whose fault it is."""

import inspect
import re
from pathlib import Path

import pytest
from labgrid.exceptions import InvalidConfigError
from labgrid.remote.common import ResourceEntry
from labgrid.strategy import StrategyError
from paramiko import SSHException
from pexpect import TIMEOUT

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Measurement, Verdict, overall
from mpbench.core.verdict import Judgement
from mpbench.harness.verdicts import (
    LOST_RESOURCE,
    PhaseVerdict,
    needs_no_traceback,
    of_exception,
    of_measurement,
    of_test,
)
from mpbench.twin.profile import load_profile


def broken(cause: Exception) -> StrategyError:
    error = StrategyError("STM32MPStrategy is in broken state")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("exception", "when", "expected"),
    [
        (AssertionError("1 != 2"), "call", PhaseVerdict(Verdict.FAIL, "1 != 2")),
        (AssertionError(), "call", PhaseVerdict(Verdict.FAIL, "AssertionError")),
        (pytest.fail.Exception("no"), "call", PhaseVerdict(Verdict.FAIL, "no")),
        (BoardFailure("state is offline"), "call", PhaseVerdict(Verdict.FAIL, "state is offline")),
        (BoardFailure("does not boot"), "setup", PhaseVerdict(Verdict.FAIL, "does not boot")),
        (BoardFailure("does not stop"), "teardown", PhaseVerdict(Verdict.FAIL, "does not stop")),
        (InfrastructureError("link lost"), "call", PhaseVerdict(Verdict.INFRA, "link lost")),
        (InfrastructureError("no power"), "setup", PhaseVerdict(Verdict.INFRA, "no power")),
        (InvalidRun("reset"), "call", PhaseVerdict(Verdict.INVALID, "reset")),
        (InvalidRun("reset"), "teardown", PhaseVerdict(Verdict.INVALID, "reset")),
        (UsageError("no core m7"), "call", PhaseVerdict(Verdict.ERROR, "no core m7")),
        (
            AssertionError("in a fixture"),
            "setup",
            PhaseVerdict(Verdict.ERROR, "AssertionError: in a fixture"),
        ),
        (KeyError("x"), "call", PhaseVerdict(Verdict.ERROR, "KeyError: 'x'")),
        (EOFError("channel closed"), "call", PhaseVerdict(Verdict.INFRA, "EOFError: channel closed")),
        (SSHException("no banner"), "call", PhaseVerdict(Verdict.INFRA, "SSHException: no banner")),
        (TIMEOUT("no prompt"), "call", PhaseVerdict(Verdict.INFRA, "TIMEOUT: no prompt")),
        (OSError(5, "I/O error"), "call", PhaseVerdict(Verdict.INFRA, "OSError: [Errno 5] I/O error")),
        (KeyboardInterrupt(), "call", PhaseVerdict(Verdict.INVALID, "interrupted: KeyboardInterrupt")),
        (broken(InfrastructureError("no SSH")), "setup", PhaseVerdict(Verdict.INFRA, "no SSH")),
        (broken(BoardFailure("panic")), "setup", PhaseVerdict(Verdict.FAIL, "panic")),
        (pytest.skip.Exception("no RTC"), "call", PhaseVerdict(Verdict.NOT_RUN, "no RTC")),
        (pytest.skip.Exception("BLOCKED: no SSH"), "setup", PhaseVerdict(Verdict.BLOCKED, "no SSH")),
    ],
)
def test_the_fault_decides_the_verdict(exception, when, expected):
    """FAIL is an assertion or a fault of the board, INFRA the lab's fault, ERROR a mistake in the test."""
    assert of_exception(exception, when) == expected


@pytest.mark.parametrize("field", ["args", "avail", "cls"])
def test_a_resource_that_the_coordinator_deleted_is_named(field):
    """labgrid itself says only KeyError: 'params'."""
    entry = ResourceEntry({"cls": "NetworkService", "params": {}, "avail": True})
    entry.data = {}  # as on_resource_changed() does
    with pytest.raises(KeyError) as raised:
        getattr(entry, field)
    assert of_exception(raised.value, "setup") == PhaseVerdict(Verdict.INFRA, LOST_RESOURCE)
    assert needs_no_traceback(raised.value)


def test_a_mistake_is_located_in_the_test():
    """The reason names the line of the test, not the one of the bench that noticed it."""
    line = inspect.currentframe().f_lineno + 2
    with pytest.raises(UsageError) as raised:
        load_profile("virtual-mp25").core("m7")
    found = of_exception(raised.value, "call")
    assert found.verdict is Verdict.ERROR
    assert found.reason.endswith(f" ({Path(__file__).name}:{line})")
    assert not needs_no_traceback(raised.value)


@pytest.mark.parametrize(
    ("exception", "enough"),
    [
        (InfrastructureError("x"), True),
        (broken(InfrastructureError("x")), True),
        (broken(ConnectionRefusedError(111, "Connection refused")), True),
        (StrategyError("no driver"), True),
        (UsageError("no signing key"), True),
        (InvalidConfigError("no such class"), True),
        (KeyError("x"), False),
        (AssertionError("1 != 2"), False),
        (broken(TypeError("a bug")), False),
    ],
)
def test_a_message_that_suffices_needs_no_traceback(exception, enough):
    """Faults of lab, board and configuration are one line; mistakes and assertions keep their traceback."""
    assert needs_no_traceback(exception) is enough


PASS, FAIL = PhaseVerdict(Verdict.PASS), PhaseVerdict(Verdict.FAIL, "wrong code")
INFRA, INVALID = PhaseVerdict(Verdict.INFRA, "link lost"), PhaseVerdict(Verdict.INVALID, "reset")


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([], PhaseVerdict(Verdict.NOT_RUN)),
        ([PASS], PASS),
        ([FAIL], FAIL),
        ([PASS, INFRA], INFRA),
        ([FAIL, INFRA], PhaseVerdict(Verdict.FAIL, "wrong code\nlink lost")),
        ([FAIL, INVALID], PhaseVerdict(Verdict.INVALID, "wrong code\nreset")),
        ([INFRA, INVALID], PhaseVerdict(Verdict.INVALID, "link lost\nreset")),
        ([PhaseVerdict(Verdict.NOT_RUN, "no RTC")], PhaseVerdict(Verdict.NOT_RUN, "no RTC")),
    ],
)
def test_a_test_has_the_verdict_of_its_strongest_phase(phases, expected):
    """A failure on a board that was reset does not count; all reasons are kept."""
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
        (["PASS", "INFRA", "ERROR"], Verdict.ERROR, 1),
        (["PASS", "INFRA", "ERROR", "FAIL"], Verdict.FAIL, 1),
    ],
)
def test_a_run_has_its_worst_verdict_and_its_code(verdicts, worst, code):
    """0 pass, 1 fail, 3 no verdict, 5 nothing executed."""
    found = [Verdict(v) for v in verdicts]
    assert (overall(found), Judgement(overall(found)).exit_code) == (worst, code)


@pytest.mark.parametrize(
    ("value", "low", "high", "margin", "verdict"),
    [
        (5, None, None, 0.5, None),
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


def test_a_measurement_names_its_limits():
    """The reason of a test names value, unit and limits."""
    found = of_measurement(Measurement("latency", 12.5, "ms", "hist", None, 10))
    assert found == PhaseVerdict(Verdict.FAIL, "latency: 12.5 ms is outside its limit ≤ 10")
    close = of_measurement(Measurement("latency", 9.9, "ms", "hist", 1, 10, 0.05))
    assert close == PhaseVerdict(Verdict.MARGINAL, "latency: 9.9 ms is close to its limit 1 … 10")
    assert of_test([close, PhaseVerdict(Verdict.PASS)]).verdict is Verdict.MARGINAL
    assert Judgement(Verdict.MARGINAL).exit_code == 0


def test_a_mistake_in_a_checkout_of_any_name_is_the_tests():
    """A clone is called mpbench, as the package is."""
    with pytest.raises(FileNotFoundError) as raised:
        exec(compile("open('/none')", "/home/me/mpbench/test_mine.py", "exec"))
    assert of_exception(raised.value, "call").verdict is Verdict.ERROR


def test_a_file_that_the_test_itself_misses_is_its_mistake(tmp_path):
    """By open() or by pathlib, in the test's own lines; what a package misses is the lab's fault."""
    with pytest.raises(FileNotFoundError) as raised:
        (tmp_path / "none").read_text()
    found = of_exception(raised.value, "call")
    assert found.verdict is Verdict.ERROR
    assert re.fullmatch(r"FileNotFoundError: .*none' \(test_harness_verdicts\.py:\d+\)", found.reason)
    assert not needs_no_traceback(raised.value)
    with pytest.raises(IsADirectoryError) as of_directory:
        tmp_path.read_text()
    assert of_exception(of_directory.value, "setup").verdict is Verdict.ERROR
    code = compile("open('/none')", "/usr/lib/python3/site-packages/labgrid/remote/x.py", "exec")
    with pytest.raises(FileNotFoundError) as raised:
        exec(code)
    assert of_exception(raised.value, "call").verdict is Verdict.INFRA


def test_a_time_limit_of_a_plug_in_is_no_verdict_on_the_board():
    """pytest-timeout fails the test, but a slow lab is no FAIL."""
    exception = pytest.fail.Exception("Timeout (>9.0s) from pytest-timeout.")
    found = of_exception(exception, "call")
    assert found.verdict is Verdict.INVALID
    assert found.reason.startswith("Timeout (>9.0s) from pytest-timeout.")


def test_an_exception_inside_a_package_of_the_lab_is_infra():
    """labgrid's own KeyError, with no line of a test in its traceback, is the lab's fault."""
    code = compile("{}['params']", "/usr/lib/python3/site-packages/labgrid/remote/x.py", "exec")
    with pytest.raises(KeyError) as raised:
        exec(code)
    error = raised.value.with_traceback(raised.tb.tb_next)
    assert of_exception(error, "setup") == PhaseVerdict(Verdict.INFRA, "KeyError: 'params'")
