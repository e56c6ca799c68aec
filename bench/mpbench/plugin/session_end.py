# SPDX-License-Identifier: MIT
"""The end of a session: why it came early, if it did, the record's end, the page, the exit code."""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import pytest
from attrs import define, field

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.sanitize import indented, one_line
from mpbench.core.verdict import NOT_STARTED
from mpbench.harness.run_state import RunState, is_board_test, of
from mpbench.harness.verdicts import PhaseVerdict
from mpbench.plugin import USAGE, progress
from mpbench.report import publish

_COLOURS = {Verdict.PASS: "green", Verdict.MARGINAL: "yellow", Verdict.FAIL: "red", Verdict.NOT_RUN: "yellow"}


@define(eq=False)
class EarlyEnd:
    """What ends a run early: hooks that get no `config`, and so need an object that knows it; os._exit().

    Children that a test forks are not this run: one that returns into pytest would run the rest once more.
    """

    config: pytest.Config
    _leave: Callable[[int], NoReturn] = field(init=False)
    _exec: dict[str, Callable[..., NoReturn]] = field(init=False)
    _pid: int = field(init=False)

    @property
    def state(self) -> RunState:
        return of(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, a signal, pytest.exit(), or a plug-in that stops the session."""
        self.state.why = self.state.why or str(excinfo.value) or excinfo.typename

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A hook of pytest or of a plug-in failed."""
        self.state.why = self.state.why or f"internal error of pytest or a plug-in: {excinfo.exconly()}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be collected cannot run; --continue-on-collection-errors runs the rest.

        A file that skips itself, by pytest.importorskip() for instance, has no test in the plan.
        """
        self.state.uncollected += report.failed
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.state.skipped.append(one_line(f"{report.nodeid}: {reason}"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> None:
        """The end of a forked child that left its test: board, record and console are its parent's."""
        if os.getpid() != self._pid and is_board_test(item):
            self._leave(3)

    def guard(self) -> None:
        """After os._exit() by a test or plug-in there is no teardown, but record and page have an end."""
        self._leave, self._pid = os._exit, os.getpid()
        self._exec = {name: vars(os)[name] for name in ("execv", "execve")}  # all others call one of these
        vars(os).update({name: self.of_children(call) for name, call in self._exec.items()}, _exit=self.leave)

    def restore(self) -> None:
        """Restore the functions of `os`."""
        vars(os).update(self._exec, _exit=self._leave)

    def of_children(self, call: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
        """os.execv() and os.execve(): another program in the place of the run would end it with its code."""

        def refusing(*arguments: Any) -> NoReturn:
            if os.getpid() == self._pid and self.state.record:
                raise UsageError(f"os.{call.__name__}() would replace the process of the run; use subprocess")
            call(*arguments)

        return refusing

    def leave(self, code: int) -> NoReturn:
        """os._exit(), also of forked children."""
        if os.getpid() == self._pid and self.state.record:
            with contextlib.suppress(Exception):
                self.state.why = self.state.why or f"os._exit({code}) was called"
                conclude(self.state)
                code = self.state.judgement().exit_code
                capture: Any = self.config.pluginmanager.getplugin("capturemanager")
                with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
                    print("", *last_lines(self.state), sep="\n", file=sys.stderr, flush=True)
            code = code or 3
        self._leave(code)


EARLY_END = pytest.StashKey[EarlyEnd]()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before anything can end."""
    session.config.stash[EARLY_END] = watch = EarlyEnd(session.config)
    session.config.pluginmanager.register(watch)
    watch.guard()


def pytest_unconfigure(config: pytest.Config) -> None:
    """After the run."""
    if watch := config.stash.get(EARLY_END, None):
        watch.restore()


@contextlib.contextmanager
def recording(state: RunState) -> Generator[None]:
    """A failed write of the record does not break teardown: the run reports it, and ends with 3."""
    try:
        yield
    except (InfrastructureError, UsageError) as fault:
        state.trouble = state.trouble or f"the record is incomplete: {fault}"


def conclude(state: RunState) -> None:
    """End the record and write the page, each as far as the disk allows."""
    with recording(state):
        if state.current is not None:
            state.phases.append(PhaseVerdict(Verdict.INVALID, f"interrupted: {state.why}"))
            state.end(state.current)
        state.skip_rest(NOT_STARTED)
    with recording(state):
        state.close()
    with recording(state):
        if state.directory:
            state.page = publish.write([state.directory], state.directory)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
    """Close the record, write the page, decide the exit code; print the last lines where pytest does not."""
    state = of(session.config)
    progress.clear(session.config)
    state.why = _why(session, int(exitstatus))
    state.others_failed = max(0, session.testsfailed - state.failed_reports - state.uncollected)
    conclude(state)
    state.release()
    try:
        result = yield
    except Exception as e:
        if not state.record or isinstance(e, pytest.exit.Exception):
            raise
        state.trouble = state.trouble or f"a plug-in could not end the session: {type(e).__name__}: {e}"
        result = None
    if state.record:
        session.exitstatus = USAGE if state.misconfigured else state.judgement().exit_code
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and not state.summarized:
        pytest_terminal_summary(reporter, session.config)
    return result


def _why(session: pytest.Session, exitstatus: int) -> str:
    """Why the session ends early, "" for a regular end."""
    if known := of(session.config).why:
        return known
    if asked := session.shouldfail or session.shouldstop:
        return str(asked)
    if count := of(session.config).uncollected:
        return f"{count} test file{'s' * (count > 1)} could not be collected"
    regular = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    return "" if exitstatus in regular else f"pytest ended with code {exitstatus}"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The last lines of a run: verdicts, what did not run, and the path of the page."""
    state = of(config)
    if not state.record:
        return
    state.summarized = True
    terminalreporter.section("mpbench")
    colour = _COLOURS.get(state.judgement().verdict, "purple")
    for text in last_lines(state):
        marks = {colour: True, "bold": True} if text.startswith("verdict ") else {}
        terminalreporter.write_line(text, **marks)


def last_lines(state: RunState) -> list[str]:
    """Verdicts, what did not run and what was not selected, and the path of the page."""
    found, counts = state.judgement(), Counter(state.verdicts())
    text = ", ".join(f"{counts[v]} {v.value}" for v in Verdict if counts[v]) or "no test was started"
    blocked = [f"the board is not usable: {state.blocked}"] if state.blocked else []
    page = [f"report: {state.page}"] if state.page else []
    lines = [*blocked, f"verdict {found.verdict.value}: {text}", *found.causes, *state.remarks(), *page]
    return [indented(line) for line in lines]
