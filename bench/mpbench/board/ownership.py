# SPDX-License-Identifier: MIT
"""Whether a board is still this run's: asked before anything is done to it, so it has to cost nothing.

Drivers of ours ask by `active` (typed.py); labgrid's own are made to ask by `guard`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from labgrid.protocol import ConsoleProtocol, DigitalOutputProtocol, PowerProtocol, ResetProtocol

Ask = Callable[[], None]
"""Raises InfrastructureError if the board is not this run's any more."""

ACTIONS: Mapping[type, tuple[str, ...]] = {
    PowerProtocol: ("on", "off", "cycle"),
    ResetProtocol: ("reset",),
    DigitalOutputProtocol: ("set",),
    ConsoleProtocol: ("write",),
}
"""What drivers of labgrid do to a board."""

_asked: WeakKeyDictionary[Any, Ask] = WeakKeyDictionary()


def guard(target: Any, ask: Ask) -> None:
    """From now on nothing is done to the target's board without asking first."""
    _asked[target] = ask
    for driver in target.drivers:
        for protocol, names in ACTIONS.items():
            for name in names if isinstance(driver, protocol) else ():
                setattr(driver, name, _asking(ask, getattr(driver, name)))


def _asking(ask: Ask, action: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(action)
    def call(*args: Any, **more: Any) -> Any:
        ask()
        return action(*args, **more)

    return call


def check(target: Any) -> None:
    """Ask, if anybody wants that for this target."""
    if ask := _asked.get(target):
        ask()
