# SPDX-License-Identifier: MIT
"""How far a run is: one line that is kept up to date on a terminal, some lines elsewhere.

pytest's own letters make room for it; with -v, or `--bench-progress=no`, they stay and it goes.
"""

import contextlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from mpbench.core.facts import Verdict
from mpbench.core.sanitize import one_line
from mpbench.core.secrets import redact
from mpbench.harness.run_state import RunState, id_of
from mpbench.plugin.output import SafeStream

LINES = 20
"""Without a terminal, progress is at most this many lines."""
LEAST = 3
"""Tests after which the time that is left can be guessed, and fewer of which need no lines."""


PROGRESS = pytest.StashKey["Progress"]()


@define
class Progress:
    """The progress line of a run; `note` receives every event."""

    state: RunState
    write: Callable[[str], None]
    terminal: bool
    clock_s: Callable[[], float] = time.monotonic
    columns: Callable[[], int] = lambda: shutil.get_terminal_size().columns
    _began_s: float | None = None
    _said: int = 0
    _doing: str = ""
    _total: int = field(init=False, default=0)

    def note(self, item: pytest.Item | None, what: str) -> None:
        """A test began (what is ""), a step was done, or a test ended (item is None)."""
        if self._began_s is None:
            self._began_s = self.clock_s()
        self._total = max(
            self._total, len(self.state.executions) + len(self.state.waiting) + (item is not None)
        )
        if item is not None:
            file, colons, name = id_of(item).partition("::")
            name = f"{file.rpartition('/')[2]}{colons}{name}"  # a parameter may have a `/` too
            self._doing = f"{name}: {what}" if what else name
        self._show(self.line(), item is None)

    def line(self) -> str:
        """Tests done, verdicts other than PASS, the board, the time left, the current test."""
        done = len(self.state.executions)
        bad: Counter[Verdict] = Counter(v for v in self.state.verdicts() if v is not Verdict.PASS)
        parts = [f"{done}/{self._total} tests", *(f"{bad[v]} {v.value}" for v in Verdict if bad[v])]
        left = [self._left(done)] if LEAST <= done < self._total else []
        parts += [f"board {self._board()}", *left, self._doing]
        return " · ".join(parts)

    def _board(self) -> str:
        if self.state.blocked:
            return "not usable"
        return "up" if self.state.board else "not asked yet"

    def _left(self, done: int) -> str:
        spent_s = self.clock_s() - (self._began_s or 0.0)
        seconds = round(spent_s / done * (self._total - done))
        return f"about {seconds // 60} min {seconds % 60:02} s left"

    def _show(self, text: str, ended: bool) -> None:
        text = one_line(redact(text))  # past pytest's own output, and so past clean_output
        if self.terminal:
            self.write(f"\r\033[K{text[: self.columns() - 1]}")
            return
        share = len(self.state.executions) * LINES // self._total
        if ended and share > self._said and self._total >= LEAST:
            self._said = share
            self.write(text)

    def clear(self) -> None:
        """Remove the line before pytest prints its summary."""
        if self.terminal and self._began_s is not None:
            self.write("\r\033[K")


def attach(config: pytest.Config, state: RunState) -> None:
    """Display the events of a run; not with -v or -s, where every test has its line."""
    quiet = config.option.bench_progress == "no" or config.option.verbose > 0
    if quiet or getattr(config.option, "capture", "no") == "no":
        return
    terminal = sys.stdout.isatty()
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or (not terminal and len(state.waiting) < LEAST):
        return
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    write = _writer(capture, state) if terminal else _line_writer(config)
    live = Progress(state, write, terminal)
    state.on_event = live.note
    config.stash[PROGRESS] = live
    reporter.showfspath = reporter._show_progress_info = False


def is_shown(config: pytest.Config) -> bool:
    """Whether the run has such lines, which pytest's own letters would spoil."""
    return PROGRESS in config.stash


def clear(config: pytest.Config) -> None:
    """Remove the line before pytest prints its summary."""
    if live := config.stash.get(PROGRESS, None):
        live.clear()


def _writer(capture: Any, state: RunState) -> Callable[[str], None]:
    """Writes to the user past pytest's capture."""

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            stream = SafeStream(sys.stdout, state)
            stream.write(text)
            stream.flush()

    return write


def _line_writer(config: pytest.Config) -> Callable[[str], None]:
    """Writes a line between two tests, after what others have written without an end of line."""
    writer = config.get_terminal_writer()

    def write(text: str) -> None:
        if writer.width_of_current_line:
            writer.line()
        writer.line(text)
        writer.flush()

    return write
