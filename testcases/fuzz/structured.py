# SPDX-License-Identifier: MIT
"""Random changes of the values in JSON, or in lines of JSON: what comes out is JSON in the form of ours."""

import json
import random
from collections.abc import Sequence
from typing import Any

from testcases.fuzz.mutate import mutated

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 2**31, 2**63, 10**30, 0.5, 1e308, [], {}, [[]], {"a": {}}),
    *(
        "",
        " ",
        "PASS",
        "FAIL",
        "a" * 64,
        "0" * 64,
        "../x",
        "/dev/zero",
        "a/../b",
        "\0",
        "\x1b[31m",
        "\u202ex",
    ),
    *("\ud800", "x" * 5000, "tested", "2026-11-18T11:06:40+00:00", "A" * 86 + "==", "<script>", "=1+1"),
)
Place = tuple[Any, Any]
"""A list or an object, and an index or a name in it."""


def restructured(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """The data with one to four changed values; what is no JSON, and one in five, with changed bytes."""
    try:
        content, lines = _parsed(data)
    except ValueError:
        content = None
    if content is None or rng.random() < 0.2:
        return mutated(data, others, rng)
    root = [content]
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(root, rng)
    if not root:
        return b""
    if lines and isinstance(root[0], list):
        return b"".join(json.dumps(line).encode() + b"\n" for line in root[0])
    return (json.dumps(root[0], indent=1) + "\n").encode()


def _parsed(data: bytes) -> tuple[Any, bool]:
    """JSON, and whether it is lines of it."""
    try:
        return json.loads(data), False
    except ValueError:
        return [json.loads(line) for line in data.splitlines()], True


def _places(value: Any) -> list[Place]:
    found, waiting = list[Place](), [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            keys = list(inner if isinstance(inner, dict) else range(len(inner)))
            found += [(inner, key) for key in keys]
            waiting += [inner[key] for key in keys]
    return found


def _change(root: list[Any], rng: random.Random) -> None:
    places = _places(root)
    if not places:
        return
    inside, key = rng.choice(places)
    other, other_key = rng.choice(places)
    rng.choice(CHANGES)(inside, key, json.loads(json.dumps(other[other_key])), rng)


def _replace(inside: Any, key: Any, _: Any, rng: random.Random) -> None:
    inside[key] = rng.choice(VALUES)


def _copy(inside: Any, key: Any, other: Any, _: random.Random) -> None:
    """A value from elsewhere: of the right type, in the wrong place."""
    inside[key] = other


def _near(inside: Any, key: Any, _: Any, rng: random.Random) -> None:
    """A number one off, a text with another character: a hash, a name, a time that is almost right."""
    value = inside[key]
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        inside[key] = value[:at] + rng.choice("0aZ /.\n\u00e9") + value[at + 1 :]
    elif isinstance(value, int | float):
        inside[key] = value + rng.choice((-1, 1, 0.0, 1e-9))


def _remove(inside: Any, key: Any, _: Any, __: random.Random) -> None:
    del inside[key]


def _again(inside: Any, key: Any, _: Any, rng: random.Random) -> None:
    """An entry twice, often, or under another name."""
    if isinstance(inside, list):
        inside[key:key] = [inside[key]] * rng.choice((1, 1, 2, 300))
    else:
        inside[str(rng.choice(VALUES))[:20]] = inside[key]


def _turn(inside: Any, _: Any, __: Any, rng: random.Random) -> None:
    """Another order."""
    if isinstance(inside, list):
        rng.shuffle(inside)
    else:
        items = list(inside.items())
        rng.shuffle(items)
        inside.clear()
        inside.update(items)


def _wrap(inside: Any, key: Any, _: Any, rng: random.Random) -> None:
    inside[key] = rng.choice(([inside[key]], {"a": inside[key]}, str(inside[key])))


CHANGES = (_replace, _replace, _copy, _copy, _near, _near, _near, _remove, _again, _turn, _wrap)
