# SPDX-License-Identifier: MIT
"""The rooms from which the command line and the pytest plug-in are put together. A new room is one line here.

A room takes part by its files: command.py (`add_commands(subparsers)`), options.py (`add_options(group)` for
pytest's options), fixture.py and fixture_*.py (pytest plug-ins). The first two are imported by every run of
the command or of any pytest, so they import nothing but the standard library and mpbench.core's light files.
"""

import importlib
from argparse import Namespace
from collections.abc import Callable
from types import ModuleType

from mpbench.core.shared_files import PACKAGE

ROOMS = (
    "mpbench.plugin",
    "mpbench.harness",
    "mpbench.deployment",
    "mpbench.recovery",
    "mpbench.notification",
    "mpbench.tee",
    "mpbench.rpmsg",
    "mpbench.attach",
    "mpbench.suspend",
    "mpbench.commands",
    "mpbench.report",
    "mpbench.lab",
    "mpbench_virtual",
)


def names(role: str) -> list[str]:
    """Names of the modules with a role (command, options, fixture), in the order of the rooms."""
    found = []
    for room in ROOMS:
        directory = PACKAGE.parent / room.replace(".", "/")
        stems = sorted(p.stem for p in directory.glob(f"{role}*.py"))
        found += [f"{room}.{stem}" for stem in stems if stem == role or stem.startswith(f"{role}_")]
    return found


def modules(role: str) -> list[ModuleType]:
    """The modules with a role, imported."""
    return [importlib.import_module(name) for name in names(role)]


def later(module: str, function: str) -> Callable[[Namespace], int]:
    """A function of a module that is imported when it is called: a command's, whose imports take time."""

    def run(args: Namespace) -> int:
        return int(getattr(importlib.import_module(module), function)(args))

    return run
