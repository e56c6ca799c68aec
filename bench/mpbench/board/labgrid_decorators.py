# SPDX-License-Identifier: MIT
"""labgrid's decorators with types: labgrid ships none, and an untyped decorator would erase ours."""

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
    """The board must be this run's, and the driver activated. Ref: labgrid, BindingMixin.check_active"""
    checked = Driver.check_active(method)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        ownership.check(self.target)
        return checked(self, *args, **more)

    return cast(F, call)


def stepped(*, args: Sequence[str] = (), result: bool = False) -> Callable[[F], F]:
    """Calls show up in labgrid's step log. Only for the main thread: labgrid keeps one stack of steps.

    A method with a parameter `step` is given it: it can tell that there was nothing to do.
    labgrid's own decorator asks for the method's signature in every call, which takes as long as to encrypt
    and send a short command; this one asks once. Ref: labgrid, step.step
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
                answer = method(self, *given, **named)
                step.result = answer if result else None
            except Exception as error:
                step.exception = error
                raise
            finally:
                step.stop()
            return answer

        return cast(F, logged)

    return decorate


def once_broken(method: F) -> F:
    """A strategy that failed once fails for the rest of the run. Ref: labgrid, never_retry"""
    return cast(F, never_retry(method))
