# SPDX-License-Identifier: MIT
"""Signals that end a run: what pytest prints of the interrupt."""

import dis
import signal
import threading
from contextlib import nullcontext
from types import TracebackType

import labgrid
import pytest

from mpbench.plugin import signals

LOOP = """
with block:
    if wanted: act()
"""
"""Its clean-up has instructions that belong to no line of the source."""


def interrupted_between_lines() -> BaseException:
    """A KeyboardInterrupt whose innermost entry has no line number, as a signal handler may raise one."""
    code = compile(LOOP, "loop.py", "exec")
    at = next(i.offset for i in dis.get_instructions(code) if i.positions.lineno is None)
    names = {"block": nullcontext(), "wanted": True, "act": lambda: 1 / 0}
    with pytest.raises(ZeroDivisionError) as inside:
        exec(code, names)
    frame = next(entry.frame.raw for entry in inside.traceback if entry.frame.code.raw is code)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        raise KeyboardInterrupt("SIGINT was received")
    interrupt.tb.tb_next = TracebackType(None, frame, at, -1)
    return interrupt.value


def test_an_interrupt_between_two_lines_is_shown():
    """An entry without a line number is left out of the traceback; the entry above it is shown."""
    interrupt = interrupted_between_lines()
    excinfo = pytest.ExceptionInfo.from_exception(interrupt)
    assert excinfo.tb.tb_next.tb_lineno is None
    signals.pytest_keyboard_interrupt(excinfo)
    shown = excinfo.getrepr(funcargs=True)
    assert "interrupted_between_lines" in str(shown)
    assert shown.reprcrash.message == "KeyboardInterrupt: SIGINT was received"


class Target:
    """Named as labgrid's, in whose binding a signal arrives."""

    bound = False

    def bind_driver(self):
        signal.raise_signal(signal.SIGTERM)
        self.bound = True


def bound_and_waited_for(target: Target) -> None:
    target.bind_driver()
    threading.Event().wait(60)


def test_a_driver_is_not_left_half_bound():
    """A signal inside labgrid's binding, whose cleanup would end in a traceback, interrupts just after it."""
    handler, target = signals.SignalHandler(), Target()
    handler.install()
    try:
        with pytest.raises(KeyboardInterrupt, match="SIGTERM was received"):
            bound_and_waited_for(target)
    finally:
        handler.restore()
    assert target.bound


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]])
def test_a_teardown_is_whole_when_the_first_signal_arrives_in_it(numbers):
    """The first signal waits; outside of a teardown it would have interrupted."""
    handler, done = signals.SignalHandler(), []
    handler.install()
    try:
        with handler.teardown():
            for number in numbers:
                signal.raise_signal(number)
            done.append("teardown")
        with pytest.raises(KeyboardInterrupt, match=f"{numbers[0].name} was received"):
            handler.interrupt(handler.waiting)
    finally:
        handler.restore()
    assert done == ["teardown"]
    assert handler.over


def test_labgrid_has_the_functions_that_are_not_interrupted():
    """Their names in this version of labgrid."""
    names = {getattr(labgrid.Target, name.partition(".")[2]).__qualname__ for name in signals.WHOLE}
    assert names == set(signals.WHOLE)
