# SPDX-License-Identifier: MIT
"""Whose fixtures a test uses: a user's own `env` or `board` makes no board test. Light to import."""

from typing import Any

OURS, LABGRID = "mpbench", "labgrid"


def uses(item: Any, *packages: str) -> bool:
    """Whether a test, directly or by its fixtures, uses a fixture that one of the packages defines."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs if info else {}
    return any(is_of(definitions, name, *packages) for name in definitions)


def is_of(definitions: Any, name: str, *packages: str) -> bool:
    """Whether the fixture `name`, as it is visible to a test, is defined by one of the packages."""
    found = definitions.get(name)
    return bool(found) and found[-1].func.__module__.partition(".")[0] in packages
