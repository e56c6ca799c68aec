# SPDX-License-Identifier: MIT
"""What happens while tests run: verdicts, the record, and the last lines of the run."""

import contextlib
from collections.abc import Generator
from typing import Any

import pytest

from mpbench.board import ownership
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import SECURE_CONSOLE, Artefact, Evidence
from mpbench.core.facts import Verdict
from mpbench.core.sanitize import indented, one_line
from mpbench.harness import place_lock
from mpbench.harness.environment import MAIN, env_of, learn_resources
from mpbench.harness.fixtures_used import LABGRID, OURS, is_of, uses
from mpbench.harness.host_lock import host_lock
from mpbench.harness.run_state import RunState, is_board_test, of
from mpbench.harness.target_file import target_errors
from mpbench.harness.verdicts import (
    BLOCKED,
    PhaseVerdict,
    cause,
    is_broken_strategy,
    needs_no_traceback,
    of_exception,
    of_skip,
    of_test,
)
from mpbench.plugin import USAGE, progress
from mpbench.plugin.session_end import recording

_BROKEN = "is in broken state"
"""How labgrid's skip of a test with a broken strategy ends."""

_VERDICT = "bench_verdict"
"""Attribute of a report that carries its verdict."""

_STATUS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.FAIL: ("failed", "F", "FAIL"),
    Verdict.MARGINAL: ("passed", "m", "MARGINAL"),
    Verdict.ERROR: ("error", "e", "ERROR"),
    Verdict.INFRA: ("error", "E", "INFRA"),
    Verdict.INVALID: ("error", "I", "INVALID"),
    Verdict.BLOCKED: ("skipped", "b", "BLOCKED"),
    Verdict.NOT_RUN: ("skipped", "s", "NOT-RUN"),
}
"""pytest's category, letter and word of everything that is no PASS."""

CONSOLES = {"secure": SECURE_CONSOLE}
"""Names of recorders whose artefacts have another."""
NOT_CALLED = "[NOTRUN] "
"""Start of pytest's reason for a test that is marked `xfail(run=False)`, or has no parameters."""
KEPT_BYTES = 256 << 10
"""Of a console of a board that can't be used."""


SETUP_ONLY = PhaseVerdict(Verdict.NOT_RUN, "--setup-only: its fixtures were set up, it was not called")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record start and end of a board test, whatever happens between."""
    if not is_board_test(item):
        return (yield)
    state = of(item.config)
    with recording(state):
        state.begin(item)
    try:
        return (yield)
    except (KeyboardInterrupt, pytest.exit.Exception) as e:
        if not state.misconfigured:  # else the phase that ended the run has its verdict
            state.phases.append(of_exception(e, "call"))
        raise
    finally:
        if not state.phases and item.config.getoption("setuponly", False):
            state.phases = [SETUP_ONLY]
        with recording(state):
            state.end(item)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> None:
    """A test that is not planned as one of the board neither has its lock nor is recorded: the run ends.

    An error of the fixture alone would be that of every later test.
    """
    item, name = getattr(request, "_pyfuncitem", None), fixturedef.argname
    if item and is_of({name: [fixturedef]}, name, OURS, LABGRID) and not uses(item, OURS, LABGRID):
        of(item.config).misconfigured = True
        text = (
            f"{item.nodeid} uses the board by request.getfixturevalue() alone, and is no planned test of it"
        )
        pytest.exit(f"{one_line(text)}: name one of its fixtures as argument, or in `usefixtures`", USAGE)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Skip tests of a board that is known to be unusable.

    The innermost wrapper: inside pytest's own, but before labgrid's hook, which would try the board again.
    """
    if is_board_test(item):
        state = of(item.config)
        if state.blocked:
            pytest.skip(BLOCKED + state.blocked)
        if state.board is None:
            _make_targets(item.config)
            _lock(item.config, state)
        _ask_for(state)
    return (yield)


def _lock(config: pytest.Config, state: RunState) -> None:
    """Take the locks of coordinator and host, so that no other run has the board."""
    if state.host_lock is not None:
        return
    target = env_of(config).get_target(MAIN)
    state.host_lock = host_lock(target)
    if lock := place_lock.lock_of(target):
        state.lock, state.release = lock, lock.close
        ownership.guard(target, lock.check)
        if state.record:
            state.record.epoch = lock.epoch


def _ask_for(state: RunState) -> None:
    """A board that was lost is not asked for again."""
    try:
        state.lock()
    except InfrastructureError as fault:
        state.blocked = str(fault)
        raise


def _make_targets(config: pytest.Config) -> None:
    """Have labgrid make its targets, with output shown: a virtual board may be built first.

    A mistake in the target file that only labgrid finds ends the run, as one that is found before.
    """
    env = env_of(config)
    capture = config.pluginmanager.getplugin("capturemanager")
    shown = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    try:
        with shown, place_lock.coordinator_errors(env.config), target_errors(env.config):
            for name in env.config.get_targets():
                learn_resources(env.get_target(name))
    except UsageError as e:
        state = of(config)
        state.misconfigured = True
        state.phases.append(PhaseVerdict(Verdict.ERROR, str(e)))
        pytest.exit(one_line(str(e)), USAGE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Verdict of a phase of a board test; faults become one line."""
    report = yield
    if not is_board_test(item):
        return report
    state = of(item.config)
    state.failed_reports += report.failed
    if report.when == "call":
        state.call_ns = round(call.duration * 1e9)
    found = _found(call, report, state)
    if found and found.verdict is Verdict.NOT_RUN and hasattr(report, "wasxfail"):
        _skipped(item, report, found.reason)
    if found:
        state.phases.append(found)
        vars(report)[_VERDICT] = found.verdict
        if call.excinfo and needs_no_traceback(call.excinfo.value):
            report.longrepr = indented(f"{found.verdict.value}: {found.reason}")
    if found and not state.blocked and _unusable(call, report, state):
        state.blocked = found.reason
        state.misconfigured = call.excinfo is not None and isinstance(cause(call.excinfo.value), UsageError)
        with recording(state):
            target = env_of(item.config).targets.get(MAIN)
            state.record_consoles(_consoles(target), place_lock.place_entry(target) if target else {})
    if report.when == "call" and report.passed and not state.calling:
        _measured(item, report, state)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Reports that are made while a test is called are of its subtests."""
    state = of(item.config)
    state.calling = True
    try:
        return (yield)
    finally:
        state.calling = False


def _unusable(call: pytest.CallInfo[None], report: pytest.TestReport, state: RunState) -> bool:
    """The board was never reached, and not because of a mistake in a test, or a strategy broke."""
    if call.excinfo is None:
        return False
    never = report.when == "setup" and report.failed and state.board is None
    return (never and needs_no_traceback(call.excinfo.value)) or is_broken_strategy(call.excinfo.value)


def _consoles(target: Any) -> Evidence:
    """The end of each console's log: the only trace of a board that does not boot."""
    recorders = [d for d in (target.drivers if target else ()) if type(d).__name__ == "ConsoleRecorder"]
    return Evidence(
        tuple(
            Artefact(CONSOLES.get(r.name, r.name), r.since(max(0, r.mark() - KEPT_BYTES))) for r in recorders
        )
    )


def _measured(item: pytest.Item, report: pytest.TestReport, state: RunState) -> None:
    """A measurement outside its limits fails the test, whether or not the test case looks at it.

    A subtest that skips itself makes the test NOT-RUN, for which pytest has a place and a reason.
    """
    worst = of_test(state.phases)
    vars(report)[_VERDICT] = worst.verdict
    if worst.verdict is Verdict.FAIL:
        report.outcome, report.longrepr = "failed", indented(f"FAIL: {worst.reason}")
        state.failed_reports += 1
    elif worst.verdict is Verdict.NOT_RUN:
        _skipped(item, report, worst.reason)


def _skipped(item: pytest.Item, report: pytest.TestReport, reason: str) -> None:
    """Make a report that of a skipped test, with the place that pytest shows."""
    report.outcome, report.longrepr = "skipped", (str(item.path), (item.location[1] or 0) + 1, reason)


def _found(call: pytest.CallInfo[None], report: pytest.TestReport, state: RunState) -> PhaseVerdict | None:
    """Verdict of one phase; None for a setup or teardown that only did its work."""
    if getattr(report, "wasxfail", "").startswith(NOT_CALLED):
        return PhaseVerdict(Verdict.NOT_RUN, report.wasxfail.removeprefix(NOT_CALLED) or "xfail(run=False)")
    if hasattr(report, "wasxfail") and not report.passed:
        return PhaseVerdict(Verdict.FAIL, f"known: {report.wasxfail}")
    if call.excinfo is None:
        return _without_exception(report)
    found = of_exception(call.excinfo.value, call.when)
    if found.verdict is Verdict.NOT_RUN and found.reason.endswith(_BROKEN):
        return of_skip(f"{BLOCKED}{state.blocked or found.reason}")
    return found


def _without_exception(report: pytest.TestReport) -> PhaseVerdict | None:
    """Of a phase that raised nothing: pytest fails one for an expected failure that did not come."""
    if report.failed:
        reason = " ".join(str(report.longrepr).split())
        expected = reason.startswith("[XPASS(strict)]")
        return PhaseVerdict(Verdict.ERROR if expected else Verdict.FAIL, reason)
    return PhaseVerdict(Verdict.PASS) if report.when == "call" and report.passed else None


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    """The word of the verdict in pytest's own output; its letter where no progress is shown."""
    verdict = getattr(report, _VERDICT, None)
    if not verdict:
        return None
    if progress.is_shown(config):
        category, _, word = _STATUS.get(verdict, ("passed", "", "PASSED"))
        return category, "", word
    return _STATUS.get(verdict)
