# SPDX-License-Identifier: MIT
"""Completion of command lines in a shell, by argcomplete: what each argument may be.

Imported only while a shell completes. Everything that is not listed here is a file.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import argcomplete
from argcomplete.completers import FilesCompleter

from mpbench.twin.profile import load_profile, profile_names
from mpbench_virtual import boards

YAML = FilesCompleter(("yaml", "yml"))


def profiles(prefix: str, **more: Any) -> list[str]:
    """Names of profiles, and files of own ones."""
    return [*profile_names(), *YAML(prefix, **more)]


def cores(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Names of the cores: of the profile that was given, else of all."""
    given = getattr(parsed_args, "profile", None) or profile_names()
    found = [load_profile(name) for name in ([given] if isinstance(given, str) else given)]
    return sorted({core.name for profile in found for core in profile.cores})


def boards_up(**_: Any) -> list[str]:
    """Names of the virtual boards that are up."""
    return [board.name for board in boards.boards()]


def nothing(**_: Any) -> list[str]:
    """For what cannot be known."""
    return []


COMPLETERS: Mapping[str, Callable[..., Any]] = {
    "lg_env": YAML,
    "plan": YAML,
    "key": FilesCompleter(("pem", "pub")),
    "profile": profiles,
    "core": cores,
    "name": boards_up,
    "text": nothing,
    "address": nothing,
}
"""By the argument's name in the parser."""


def complete(top: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it is one that asks."""
    for action in _actions(top):
        if (completer := COMPLETERS.get(action.dest)) and action.choices is None:
            vars(action)["completer"] = completer
    argcomplete.autocomplete(top)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Arguments of a parser and of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)
