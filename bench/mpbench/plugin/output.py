# SPDX-License-Identifier: MIT
"""Standard output that fails (full disk, closed pipe) or has another encoding ends no run."""

import contextlib
import os
import sys
from typing import Any, TextIO

import pytest
from attrs import define

from mpbench.harness.run_state import RUN, RunState, of


@define
class SafeStream:
    """A text stream whose failed writes become the run's trouble, once; other attributes are the stream's."""

    stream: TextIO
    state: RunState

    def write(self, text: str) -> int:
        """Write; what the encoding lacks as an escape, what the system refuses not at all."""
        with self._failures():
            try:
                return self.stream.write(text)
            except UnicodeEncodeError:
                name = self.stream.encoding
                return self.stream.write(text.encode(name, "backslashreplace").decode(name))
        return len(text)

    def flush(self) -> None:
        """Flush, if the system can."""
        with self._failures():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextlib.contextmanager
    def _failures(self) -> Any:
        try:
            yield
        except OSError as e:
            self.state.trouble = self.state.trouble or f"cannot write to standard output: {e.strerror}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the first line of the session."""
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter._tw._file = SafeStream(reporter._tw._file, of(session.config))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Python flushes standard output at its exit; where that fails, stderr has the last word."""
    state = config.stash.get(RUN, None)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if state and state.trouble:
        with contextlib.suppress(OSError):
            print(f"mpbench: {state.trouble}", file=sys.stderr)
