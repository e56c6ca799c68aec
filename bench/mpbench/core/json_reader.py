# SPDX-License-Identifier: MIT
"""JSON that can be read in one way only: no key twice in an object, no NaN, no number beyond a float's range.

Python's reader takes the last of two equal keys, and texts that are no JSON. Ref: RFC 8259, sections 4 and 6
"""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

_HUGE = re.compile(r"[eE]\+?\d{3}|\d{200}")
"""In the text of a number that may be beyond a float's range, 1.8e308: two digits of an exponent and 200 more
do not reach it. Often in other text too.
"""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {key!r:.60} is given twice in one object")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _float(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text:.20} is no number that a float can have")
    return found


def _int(text: str) -> int:
    _float(text)
    return int(text)


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)
_WITH_HUGE = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_float, parse_int=_int
)
"""Slow for millions of samples."""


def parse_json(text: bytes | str) -> Any:
    """The value in a JSON text, UTF-8 if bytes. ValueError for anything else, too deep a nesting included."""
    found = text.decode() if isinstance(text, bytes) else text
    try:
        return (_WITH_HUGE if _HUGE.search(found) else _JSON).decode(found)
    except RecursionError as e:
        raise ValueError("nested too deep") from e


def json_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line; None for anything else."""
    try:
        found = parse_json(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
