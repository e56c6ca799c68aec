# SPDX-License-Identifier: MIT
"""labgrid's decorators with types: labgrid ships none, and an untyped decorator would erase ours."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from labgrid.driver import Driver
from labgrid.step import step
from labgrid.strategy.common import never_retry

from bench.board import ours

F = TypeVar("F", bound=Callable[..., Any])


def active(method: F) -> F:
    """The board must be this run's, and the driver activated. Ref: labgrid, BindingMixin.check_active"""
    checked = Driver.check_active(method)

    @functools.wraps(method)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        ours.check(self.target)
        return checked(self, *args, **more)

    return cast(F, call)


def stepped(*, args: Sequence[str] = (), result: bool = False) -> Callable[[F], F]:
    """Calls show up in labgrid's step log. Only for the main thread: labgrid keeps one stack of steps."""
    return cast(Callable[[F], F], step(args=list(args), result=result))


def once_broken(method: F) -> F:
    """A strategy that failed once fails for the rest of the run. Ref: labgrid, never_retry"""
    return cast(F, never_retry(method))
