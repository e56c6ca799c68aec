# SPDX-License-Identifier: MIT
"""Verified power switching: the switch may reject, ignore, delay or misreport commands.

Its answers are no evidence. A board is off when SSH and every console are silent, and on when it has booted
since; see STM32MPStrategy.
"""

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from mpbench.board import ownership
from mpbench.board.console import ConsoleRecorder
from mpbench.board.power_http import HttpOrder
from mpbench.board.session.shell_protocol import one_line
from mpbench.core import causes
from mpbench.core.errors import InfrastructureError
from mpbench.core.secrets import redact, secret_values

CONSOLE = "console"
"""Name of the recorder on the UART that U-Boot and Linux read."""
BETWEEN_TRIES_S = 0.02

_pause = threading.Event().wait


def name_of(power: Any) -> str:
    """Class, address and index of a power switch for messages, without user and password."""
    port = getattr(power, "port", None)
    index = getattr(port, "index", None)
    found = [type(power).__name__, str(getattr(port, "host", "")), "" if index is None else f"index {index}"]
    return _redacted(power, f"power switch ({', '.join(text for text in found if text)})")


def _redacted(power: Any, text: str) -> str:
    """`text` without the password in the switch's address, which labgrid's errors may contain."""
    return redact(text, secret_values({"host": str(getattr(getattr(power, "port", None), "host", ""))}))


def switch(power: Any, command: str, timeout_s: float) -> None:
    """Send `on` or `off` to the switch. InfrastructureError if that fails or takes more than timeout_s."""
    _ask(power, command, timeout_s)


def state(power: Any, timeout_s: float) -> bool | None:
    """Whether the switch reports `on`; None if it reports nothing, as a person who switches.

    InfrastructureError if it does not answer within timeout_s.
    """
    return bool(_ask(power, "get", timeout_s)) if hasattr(type(power), "get") else None


def _ask(power: Any, command: str, timeout_s: float) -> Any:
    """Result of a method of the switch.

    In a thread, because labgrid's backends have no timeout. Without labgrid's decorators, because their one
    stack of steps belongs to the main thread, which continues after the timeout.
    """
    ownership.check(power.target)
    action, failure = inspect.unwrap(getattr(type(power), command)), list[BaseException]()
    answer, order = list[Any](), HttpOrder(timeout_s)

    def act() -> None:
        try:
            with order.sent_by(power):
                answer.append(action(power))
        except BaseException as e:  # an AssertionError of labgrid's is no failed test
            failure.append(e)

    thread = threading.Thread(target=act, name=f"power {command}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        order.abort()
        raise InfrastructureError(f"{name_of(power)}: no answer to `{command}` within {timeout_s:g} s")
    if failure:
        why = causes.known(failure[0]) or str(failure[0])
        why = one_line(_redacted(power, why)) or type(failure[0]).__name__
        # from None: a traceback would show the error as it was, with the switch's password
        raise InfrastructureError(f"{name_of(power)}: power command `{command}` failed: {why}") from None
    return answer[0]


def await_silence(
    consoles: Sequence[ConsoleRecorder], answers: Callable[[], bool], quiet_s: float, timeout_s: float
) -> str:
    """Wait until SSH and all consoles are silent for `quiet_s`; what is not silent after `timeout_s`, or "".

    answers: whether the SSH server does
    """
    deadline = time.monotonic() + timeout_s
    while active := _active_outputs(consoles, answers, quiet_s):
        if time.monotonic() > deadline:
            return active
        _pause(BETWEEN_TRIES_S)
    return ""


def _active_outputs(consoles: Sequence[ConsoleRecorder], answers: Callable[[], bool], quiet_s: float) -> str:
    if answers():
        return "SSH still answers"
    marks = [console.mark() for console in consoles]
    for console in consoles:
        if console.name == CONSOLE:  # a waiting shell, login or U-Boot prints only after a key is pressed
            with contextlib.suppress(InfrastructureError):  # a USB serial port may lose its power too
                console.write(b"\r")
    if consoles:
        _pause(quiet_s)
    active = [c.name for c, mark in zip(consoles, marks, strict=True) if c.mark() > mark]
    return f"{', '.join(active)} still prints" if active else ""
