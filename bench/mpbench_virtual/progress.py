# SPDX-License-Identifier: MIT
"""Prints how a build proceeds: a line for every change, and one at least every minute between."""

import sys
import threading
import time
from collections.abc import Callable

from attrs import define, field

EVERY_S = 60.0
"""Without a terminal, what is being built is printed once in this time."""
CLEAR = "\r\033[K"
"""Goes to the start of a terminal's line and empties it."""


def _write(text: str) -> None:
    """One call per text: lines of two threads cannot be mixed."""
    sys.stdout.write(text)
    sys.stdout.flush()


@define
class BuildProgress:
    """A `Report` of steps.build(): may be called by several threads.

    layout:   of a line, with {s} (seconds since the start), {step}, {what}.
    cached:   whether steps that were found in the cache have a line.
    terminal: what changes every second is one line that is kept up to date; otherwise a line a minute.
    """

    layout: str = "[{s:5.0f} s] {step:<12} {what}"
    cached: bool = True
    terminal: bool = field(factory=sys.stdout.isatty)
    write: Callable[[str], None] = _write
    clock_s: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(init=False, factory=threading.Lock)
    _start_s: float = field(init=False)
    _printed_s: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._start_s = self._printed_s = self.clock_s()

    def __call__(self, step: str, what: str, passing: bool = False) -> None:
        """`passing`: true only now, and replaced by what comes next."""
        with self._lock:
            now_s = self.clock_s()
            line = self.layout.format(s=now_s - self._start_s, step=step, what=what)
            if passing and self.terminal:
                self.write(f"{CLEAR}{line[: _columns() - 1]}")
            elif passing and now_s - self._printed_s < EVERY_S:
                return
            elif passing or self.cached or what != "cached":
                self.write(f"{CLEAR if self.terminal else ''}{line}\n")
                self._printed_s = now_s


def _columns() -> int:
    import shutil  # noqa: PLC0415 - for terminals only

    return shutil.get_terminal_size().columns


def span(seconds: float) -> str:
    """`40 s`, `12 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
