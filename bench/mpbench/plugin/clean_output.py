# SPDX-License-Identifier: MIT
"""What pytest prints and reports about tests: without secrets, and without control characters of a board."""

import os
from typing import Any

import pytest

from mpbench.core.sanitize import visible
from mpbench.core.secrets import Redacting, learn, learn_arguments, redact


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is printed."""
    learn_all(config)


def learn_all(config: pytest.Config) -> None:
    """Learn the secrets of environment and command line."""
    learn(os.environ)
    learn_arguments(config.invocation_params.args)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """From the header on, everything on the terminal passes through Redacting."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter._tw._file = Redacting(reporter._tw._file)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Before terminal, JUnit and other plug-ins receive the report."""
    clean(report)


@pytest.hookimpl(tryfirst=True)
def pytest_collectreport(report: pytest.CollectReport) -> None:
    """As for tests."""
    clean(report)


def clean(report: Any) -> None:
    """Clean the failure's text and the captured output of a report; a traceback only if it needs it."""
    found = report.longrepr
    if isinstance(found, tuple):  # of a skip: file, line, reason
        report.longrepr = (*found[:2], shown(str(found[2])))
    elif found is not None and shown(str(found)) != str(found):
        report.longrepr = shown(str(found))
    report.sections = [(shown(name), shown(text)) for name, text in report.sections]


def shown(text: str) -> str:
    """`text` as it may be printed."""
    return visible(redact(text))
