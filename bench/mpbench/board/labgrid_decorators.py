# SPDX-License-Identifier: MIT
"""labgrid's decorators with types: an untyped decorator erases the type of the method it decorates."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from labgrid.driver import Driver
from labgrid.step import steps
from labgrid.strategy.common import never_retry

from mpbench.board import ownership

F = TypeVar("F", bound=Callable[..., Any])


def active(method: F) -> F:
    """Check that the board belongs to this run and the driver is active. Ref: labgrid, check_active"""
    checked = Driver.check_active(method)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        ownership.check(self.target)
        return checked(self, *args, **more)

    return cast(F, call)


def stepped(*, args: Sequence[str] = (), result: bool = False) -> Callable[[F], F]:
    """Log calls as labgrid's steps. Only for the main thread: labgrid keeps one stack of steps.

    args: parameters to log; result: log the result. A method with a parameter `step` receives its step.
    labgrid's own decorator inspects the method's signature in every call, which takes as long as to encrypt
    and send a short command; this one inspects it once. Ref: labgrid, step.step
    """

    def decorate(method: F) -> F:
        defaults = {name: p.default for name, p in inspect.signature(method).parameters.items()}
        names, code = tuple(defaults)[1:], method.__code__
        source = (code.co_filename, Path(code.co_filename).name, code.co_firstlineno)

        @functools.wraps(method)
        def logged(self: object, *given: Any, **named: Any) -> Any:
            values = {**defaults, **dict(zip(names, given, strict=False)), **named}
            step = steps.get_new(method.__name__, None, self, source)
            step.args = {name: values[name] for name in args}
            if "step" in defaults:
                named["step"] = step
            step.start()
            try:
                returned = method(self, *given, **named)
                step.result = returned if result else None
            except Exception as error:
                step.exception = error
                raise
            finally:
                step.stop()
            return returned

        return cast(F, logged)

    return decorate


def once_broken(method: F) -> F:
    """A strategy that failed once fails for the rest of the run. Ref: labgrid, never_retry."""
    return cast(F, never_retry(method))
