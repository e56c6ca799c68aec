# SPDX-License-Identifier: MIT
"""Signals that end a run: the first one as Ctrl-C does, with every teardown; further ones change nothing.

Without this a SIGTERM would end the process at once and leave the board as it is, and a second Ctrl-C would
break off the teardown that the first one began.
"""

import contextlib
import signal
import threading
from types import FrameType
from typing import Any

import pytest
from attrs import define, field

NUMBERS = (signal.SIGINT, signal.SIGTERM)
TERMINAL = "/dev/tty"
PATIENCE = b"\nmpbench: the run is ending already, and leaves the board as it should be\n"


@define
class Ending:
    """Handler of both signals. over: nothing is left that could be broken off."""

    over: bool = False
    _before: dict[int, Any] = field(factory=dict)

    def begin(self) -> None:
        """From now on. Only a process's main thread may say what signals do."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self) for number in NUMBERS}

    def end(self) -> None:
        """As it was."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.over:
            with contextlib.suppress(OSError), open(TERMINAL, "wb") as terminal:  # pytest has captured stderr
                terminal.write(PATIENCE)
            return
        self.over = True
        raise KeyboardInterrupt(f"{signal.Signals(number).name} was received")


ENDING = pytest.StashKey[Ending]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Every run, with or without a board: a board may be asked for by any test."""
    session.config.stash[ENDING] = Ending()
    session.config.stash[ENDING].begin()


@pytest.hookimpl(tryfirst=True)
def pytest_keyboard_interrupt(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Drop traceback entries without a line number, which pytest cannot print (TypeError).

    A signal may arrive at an instruction that the compiler added, such as the jump at the end of a loop.
    """
    entry = excinfo.tb
    while entry.tb_next is not None:
        if entry.tb_next.tb_lineno is None:
            entry.tb_next = entry.tb_next.tb_next
        else:
            entry = entry.tb_next


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The record is closed and the page written, whatever comes."""
    session.config.stash[ENDING].over = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """What comes after the run is not ours."""
    if ENDING in config.stash:
        config.stash[ENDING].end()
