# SPDX-License-Identifier: MIT
"""Whether a board still belongs to this run: checked before every action on it, so a check must be cheap.

Drivers of the bench check in `active` (labgrid_decorators.py); `guard` adds the check to labgrid's own.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from labgrid.protocol import ConsoleProtocol, DigitalOutputProtocol, PowerProtocol, ResetProtocol

Check = Callable[[], None]
"""Raises InfrastructureError if the board no longer belongs to this run."""

ACTIONS: Mapping[type, tuple[str, ...]] = {
    PowerProtocol: ("on", "off", "cycle"),
    ResetProtocol: ("reset",),
    DigitalOutputProtocol: ("set",),
    ConsoleProtocol: ("write",),
}
"""Methods of labgrid's drivers that act on a board, by protocol."""

_checks: WeakKeyDictionary[Any, Check] = WeakKeyDictionary()


def guard(target: Any, check: Check) -> None:
    """Run `check` before every further action on the target's board."""
    _checks[target] = check
    for driver in target.drivers:
        for protocol, names in ACTIONS.items():
            for name in names if isinstance(driver, protocol) else ():
                setattr(driver, name, _checked(check, getattr(driver, name)))


def _checked(check: Check, action: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(action)
    def call(*args: Any, **more: Any) -> Any:
        check()
        return action(*args, **more)

    return call


def check(target: Any) -> None:
    """Run the target's check, if it has one."""
    if found := _checks.get(target):
        found()
