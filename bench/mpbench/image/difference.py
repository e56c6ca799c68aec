# SPDX-License-Identifier: MIT
"""What differs between two reports of `mpbench inspect`."""

from collections.abc import Iterator
from typing import Any

ABSENT = "absent"


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, value in one, value in the other) of each value that differs; `absent` where there is none."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            yield from differences(
                one.get(key, ABSENT), other.get(key, ABSENT), f"{path}.{key}" if path else key
            )
    elif isinstance(one, list) and isinstance(other, list):
        for index in range(max(len(one), len(other))):
            left, right = (rows[index] if index < len(rows) else ABSENT for rows in (one, other))
            yield from differences(left, right, f"{path}[{index}]")
    elif one != other:
        yield path, one, other


def as_text(path: str, one: Any, other: Any) -> str:
    """A difference for a person."""
    return f"  {path}: {_shown(one)} -> {_shown(other)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    return f"{value:#x}"
