# SPDX-License-Identifier: MIT
"""Why a session ends before everything planned has run: what pytest and its plug-ins say about it."""

import pytest
from attrs import define

from mpbench.harness.run_state import RunState, of


@define(eq=False)
class EarlyEnd:
    """Hooks that get no `config`, so that they need an object that knows the run."""

    state: RunState

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, a signal, pytest.exit(), or a plug-in that stops the session."""
        self.state.why = self.state.why or str(excinfo.value) or excinfo.typename

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A hook of pytest or of a plug-in failed."""
        self.state.why = self.state.why or f"internal error of pytest or a plug-in: {excinfo.exconly()}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before anything can end."""
    session.config.pluginmanager.register(EarlyEnd(of(session.config)))


def why(session: pytest.Session, exitstatus: int) -> str:
    """Why the session ends early, "" for a regular end."""
    if known := of(session.config).why:
        return known
    if asked := session.shouldfail or session.shouldstop:
        return str(asked)
    regular = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    return "" if exitstatus in regular else f"pytest ended with code {exitstatus}"
