# SPDX-License-Identifier: MIT
"""Signals that end a run on a board: the first one as Ctrl-C does, with every teardown; others are ignored.

Without this SIGTERM, and SIGHUP of a terminal that is closed, would end the process without teardown, and a
second Ctrl-C would interrupt it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest
from attrs import define, field

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WHOLE = ("Target.bind_driver", "Target.bind_resource")
"""Functions of labgrid that are not interrupted: what is half bound ends its cleanup in a traceback."""
LATER_S = 0.01
TERMINAL = "/dev/tty"
SHUTTING_DOWN = b"\nmpbench: shutting down; waiting for teardown\n"


@define
class SignalHandler:
    """Handler of the signals. over: only teardown is left, which is not interrupted; in_teardown: of a test,
    after which a signal that arrives in it counts; waiting: that signal, 0 for none.
    """

    over: bool = False
    in_teardown: bool = False
    waiting: int = 0
    _before: dict[int, Any] = field(factory=dict)

    def install(self) -> None:
        """Handle the signals; Python allows that in the main thread only. nohup: SIGHUP stays ignored."""
        if threading.current_thread() is threading.main_thread():
            ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            numbers = [number for number in NUMBERS if number != signal.SIGHUP or not ignored]
            self._before = {number: signal.signal(number, self) for number in numbers}

    def restore(self) -> None:
        """Restore the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.over or self.in_teardown:
            self.waiting = self.waiting or number
            with contextlib.suppress(OSError), open(TERMINAL, "wb") as terminal:  # pytest has captured stderr
                terminal.write(SHUTTING_DOWN)
            return
        while frame is not None:
            if frame.f_code.co_qualname in WHOLE:
                threading.Timer(LATER_S, os.kill, (os.getpid(), number)).start()
                return
            frame = frame.f_back
        self.interrupt(number)

    def interrupt(self, number: int) -> None:
        """End the run as Ctrl-C does."""
        self.over = True
        raise KeyboardInterrupt(f"{signal.Signals(number).name} was received")

    @contextlib.contextmanager
    def teardown(self) -> Generator[None, None, None]:
        """A test's teardown: a first signal that arrives in it interrupts after that test."""
        self.in_teardown = True
        try:
            yield
        finally:
            self.in_teardown = False


HANDLER = pytest.StashKey[SignalHandler]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the first test."""
    session.config.stash[HANDLER] = SignalHandler()
    session.config.stash[HANDLER].install()


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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Whole, whenever the signal arrives; the outermost wrapper of all."""
    with item.config.stash[HANDLER].teardown():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A signal that waited for the teardown ends the run now."""
    result = yield
    handler = item.config.stash[HANDLER]
    if handler.waiting and not handler.over:
        handler.interrupt(handler.waiting)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Closing the record and writing the page is not interrupted; the outermost wrapper of all."""
    session.config.stash[HANDLER].over = True
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """After the run."""
    if HANDLER in config.stash:
        config.stash[HANDLER].restore()
