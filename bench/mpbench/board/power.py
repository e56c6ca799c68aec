# SPDX-License-Identifier: MIT
"""Orders to a power switch that is not believed: it may refuse, be mute, come late, or lie.

What it answers is no evidence. Off is when SSH and every console are silent, on is a boot since then; see
STM32MPStrategy.
"""

import inspect
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from mpbench.board import ownership
from mpbench.board.console import ConsoleRecorder
from mpbench.board.session.shell_protocol import one_line
from mpbench.core.errors import InfrastructureError

CONSOLE = "console"
"""The recorder of the UART that U-Boot and Linux listen to."""
BETWEEN_TRIES_S = 0.02

_pause = threading.Event().wait


def name_of(power: Any) -> str:
    """What a person looks for when the switch does not do as it should; without a password."""
    port = getattr(power, "port", None)
    host = str(getattr(port, "host", ""))
    url = urlsplit(host) if "//" in host else None
    where = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl() if url else host
    index = getattr(port, "index", None)
    found = [type(power).__name__, where, "" if index is None else f"index {index}"]
    return f"power switch ({', '.join(text for text in found if text)})"


def order(power: Any, word: str, timeout_s: float) -> None:
    """Tell the switch `on` or `off`. InfrastructureError for whatever it makes of that, and if it does not answer.

    In a thread: labgrid's REST model waits for ever. Past labgrid's decorators: its one stack of steps is
    the main thread's, which goes on when the time is over.
    """
    ownership.check(power.target)
    action, failure = inspect.unwrap(getattr(type(power), word)), list[BaseException]()

    def act() -> None:
        try:
            action(power)
        except BaseException as e:  # an assertion of labgrid's is none about the board
            failure.append(e)

    thread = threading.Thread(target=act, name=f"power {word}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise InfrastructureError(f"{name_of(power)}: no answer to `{word}` within {timeout_s:g} s")
    if failure:
        why = one_line(failure[0]) or type(failure[0]).__name__
        raise InfrastructureError(f"{name_of(power)}: does not obey `{word}`: {why}") from failure[0]


def await_silence(
    consoles: Sequence[ConsoleRecorder], answers: Callable[[], bool], quiet_s: float, timeout_s: float
) -> str:
    """Wait until nothing of the board talks for `quiet_s`; what still does after `timeout_s`, "" for silence.

    answers: whether SSH does. A late switch has until the time-out.
    """
    deadline = time.monotonic() + timeout_s
    while talks := _who_talks(consoles, answers, quiet_s):
        if time.monotonic() > deadline:
            return talks
        _pause(BETWEEN_TRIES_S)
    return ""


def _who_talks(consoles: Sequence[ConsoleRecorder], answers: Callable[[], bool], quiet_s: float) -> str:
    if answers():
        return "SSH still answers"
    marks = [console.mark() for console in consoles]
    for console in consoles:
        _ask(console)
    if consoles:
        _pause(quiet_s)
    talking = [c.name for c, mark in zip(consoles, marks, strict=True) if c.mark() > mark]
    return f"{', '.join(talking)} still talks" if talking else ""


def _ask(console: ConsoleRecorder) -> None:
    """A shell, a login and U-Boot say nothing by themselves: press Return."""
    if console.name == CONSOLE:
        try:
            console.write(b"\r")
        except InfrastructureError:
            return  # a USB serial port that has gone with the board's power
