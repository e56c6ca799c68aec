# SPDX-License-Identifier: MIT
"""What pytest prints, reports and writes about tests: without secrets, without control characters of a board.

Reports are cleaned before anybody receives them. pytest and other plug-ins also write files of what never was
in a report (exceptions, parameters, properties, log messages): these are cleaned as a stream, or at the end.
"""

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import LINES_LIMIT_BYTES, read_bounded, write_whole
from mpbench.core.sanitize import one_line, visible
from mpbench.core.secrets import Redacting, learn, learn_arguments, redact, redact_bytes

WRITTEN = ("xmlpath", "htmlpath", "allure_report_dir", "report_log", "json_report_file")
"""Options that name a file, or a directory of files: JUnit of pytest, pytest-html, allure-pytest,
pytest-reportlog, pytest-json-report."""
ALLURE = "*-*-*-*-*-*.*"
"""Names of the files in that directory: a UUID and what it is."""
FILES = pytest.StashKey[dict[Path, tuple[int, ...]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is printed."""
    learn_all(config)
    _clean_trace(config)
    config.stash[FILES] = _files(config)


def _clean_trace(config: pytest.Config) -> None:
    """--debug: what the trace of pytest's hooks has already, the command line, and what will be added."""
    root: Any = config.trace.root
    file = getattr(root._writer, "__self__", None)
    if file is None:
        return
    file.flush()
    with open(file.name, encoding="utf-8") as there:
        text = there.read()
    file.seek(0)
    file.truncate()
    stream = Redacting(file)
    stream.write(text)
    root.setwriter(stream.write)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """After pytest and all plug-ins have written their files: those that this run wrote."""
    if FILES not in config.stash:
        return
    before = config.stash[FILES]
    for path, found in _files(config).items():
        if before.get(path) == found:
            continue
        try:
            data = read_bounded(path, limit_bytes=LINES_LIMIT_BYTES, follow=False)
            if (hidden := redact_bytes(data)) != data:
                write_whole(path, hidden)
        except (UsageError, InfrastructureError) as e:
            print(f"mpbench: it may have secrets: {one_line(shown(str(e)))}", file=sys.stderr)


def _files(config: pytest.Config) -> dict[Path, tuple[int, ...]]:
    """The regular files of the options WRITTEN, with what changes when one is written."""
    paths: list[Path] = []
    for name in WRITTEN:
        if isinstance(value := getattr(config.option, name, None), str) and value:
            path = config.invocation_params.dir / os.path.expanduser(os.path.expandvars(value))
            paths += path.glob(ALLURE) if path.is_dir() else [path]
    found = {path: path.lstat() for path in paths if os.path.lexists(path)}
    return {
        path: (status.st_ino, status.st_size, status.st_mtime_ns)
        for path, status in found.items()
        if stat.S_ISREG(status.st_mode)
    }


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
    logging: Any = session.config.pluginmanager.get_plugin("logging-plugin")
    if logging is not None:  # --log-file
        logging.log_file_handler.setStream(Redacting(logging.log_file_handler.stream))


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
