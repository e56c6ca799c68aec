# SPDX-License-Identifier: MIT
"""What differs between two reports of `mpbench inspect`."""

from collections.abc import Iterator
from typing import Any

ABSENT = "absent"
PLACES = frozenset({"offset", "from", "to"})
"""Where in a file something is: it moves with the length of what is before it."""


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, value in one, value in the other) of each value that differs; `absent` where there is none.

    Rows with a name are compared by it. PLACES are left out.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            if key not in PLACES:
                below = f"{path}.{key}" if path else key
                yield from differences(one.get(key, ABSENT), other.get(key, ABSENT), below)
    elif isinstance(one, list) and isinstance(other, list):
        left, right = (dict(_keyed(rows, (one, other))) for rows in (one, other))
        for key in dict.fromkeys((*left, *right)):
            yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), f"{path}[{key}]")
    elif one != other:
        yield path, one, other


def _keyed(rows: list[Any], both: tuple[list[Any], ...]) -> Iterator[tuple[Any, Any]]:
    """(name, row) if all rows of both lists have a name of their own, else (index, row)."""
    names = [[row.get("name") for row in rows if isinstance(row, dict)] for rows in both]
    named = all(None not in n and len(set(n)) == len(r) for n, r in zip(names, both, strict=True))
    return ((row["name"] if named else index, row) for index, row in enumerate(rows))


def as_text(path: str, one: Any, other: Any) -> str:
    """A difference for a person."""
    return f"  {path}: {_shown(one)} -> {_shown(other)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(v)}" for key, v in value.items() if key not in PLACES)
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    return f"{value:#x}"
