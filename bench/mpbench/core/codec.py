# SPDX-License-Identifier: MIT
"""Lines of a record as JSON and back: strict in types, older versions raised to the present one. Pure."""

import datetime
import re
from collections.abc import Callable, Mapping
from enum import Enum
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

from attrs import fields
from cattrs import BaseValidationError, Converter
from cattrs.errors import AttributeValidationNote

from mpbench.core.facts import Value
from mpbench.core.json_reader import parse_json
from mpbench.core.lines import ABOUT, KINDS, VERSION, HistogramLine, LineHead, RecordLine

T = TypeVar("T")

SINCE: Mapping[int, Mapping[str, Mapping[str, Any]]] = {
    2: {
        "run-start": {"continues": None},
        "test-start": {"requirements": []},
        "measurement": {"margin": 0.0},
    },
    4: {
        "measurement": {"statistic": "", "samples": None, "conditions": {}},
        "series": {"conditions": {}},
        "histogram": {"conditions": {}},
        "segments": {"conditions": {}},
        "outliers": {"conditions": {}},
    },
    5: {
        "run-start": {"unit": ""},
        "run-end": {"why": "", "others_failed": 0},
    },
}
"""Fields that older lines lack, by the version that added them, and what they are read as."""

NUMBERS = (int, float)
PLAIN: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a string"),
    int: ((int,), "an integer"),
    bool: ((bool,), "true or false"),
    float: (NUMBERS, "a number"),
    Value: ((str, int, bool, NoneType), "a string, an integer, true, false or null"),
}
"""Types that JSON has as they are: what is accepted, and its name in messages."""


FIELDS: Mapping[type[RecordLine], Mapping[str, str]] = {
    kind: {f.name: f.metadata[ABOUT] for f in (*fields(LineHead), *fields(kind)) if f.name != "head"}
    for kind in KINDS.values()
}
"""What a line of each kind has to have, with a sentence each."""


NOT_NEGATIVE = frozenset({"n", "mono_ns", "duration_ns", "samples", "cases", "settled", "others_failed"})
"""Numbers that are counts or times; `samples` of a line may be a list."""


class Mismatch(Exception):
    """A value that is not of its field's type: the value, and what would be right."""


def encode(line: RecordLine) -> dict[str, Any]:
    """The JSON object of a line. Raises TypeError or AttributeError for values of other types."""
    body: dict[str, Any] = _FAST.unstructure(line)
    head = body.pop("head")
    return dict({"v": head["v"], "n": head["n"], "kind": line.kind} | head | body)


def decode(text: bytes) -> RecordLine:
    """The line in a JSON text. ValueError names what is wrong, and what would be right."""
    try:
        raw = parse_json(text)
    except ValueError as e:
        raise ValueError(f"not JSON: {e}") from e
    if not isinstance(raw, dict) or type(raw.get("v")) is not int:
        raise ValueError("not a line of a record: it has no version `v`")
    if raw["v"] > VERSION:
        raise ValueError(f"version {raw['v']} is newer than this mpbench's {VERSION}")
    kind = KINDS.get(str(raw.get("kind")))
    if kind is None:
        raise ValueError(f"kind {raw.get('kind')!r} is unknown; known: {', '.join(KINDS)}")
    raw = _raised(raw, kind.kind)
    if missing := FIELDS[kind].keys() - raw.keys():
        name = min(missing, key=list(FIELDS[kind]).index)
        raise ValueError(f"`{name}` is missing; it is: {FIELDS[kind][name]}")
    raw["head"] = raw  # the head's fields are among the line's own
    try:
        line = _FAST.structure(raw, kind)
    except Exception as e:
        raise ValueError(_complaint(raw, kind)) from e
    for name in NOT_NEGATIVE & FIELDS[kind].keys():
        if type(raw[name]) is int and raw[name] < 0:
            raise ValueError(f"`{name}` is {raw[name]}; right would be 0 or more: {FIELDS[kind][name]}")
    if isinstance(line, HistogramLine) and any(count < 0 for *_, count in line.buckets):
        raise ValueError(f"`buckets` has a count below 0: {FIELDS[kind]['buckets']}")
    if raw["utc"] and not _is_time(raw["utc"]):
        raise ValueError(f"`utc` is {raw['utc']!r:.40}; right would be: {FIELDS[kind]['utc']}")
    return line


def _is_time(text: str) -> bool:
    """Whether it is a time in ISO 8601, with its offset from UTC."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def structure(raw: Any, kind: type[T]) -> T:
    """JSON as a value of an attrs class, with the types of its fields. ValueError for any others."""
    try:
        return _FAST.structure(raw, kind)
    except Exception as e:
        raise ValueError(f"not of the types of {kind.__name__}: {_brief(e)}") from e


def _brief(error: Exception) -> str:
    """A Mismatch in words; of any other error its kind."""
    if isinstance(error, Mismatch):
        return f"{error.args[0]!r:.40}; expected {error.args[1]}"
    return f"{type(error).__name__} {error!s:.60}"


def _raised(raw: dict[str, Any], kind: str) -> dict[str, Any]:
    """The line as of the present version."""
    if raw["v"] < 4 and kind == "measurement":
        raw = raw | _fields_of_name(raw)
    for version, added in SINCE.items():
        if version > raw["v"] and kind in added:
            raw = dict(added[kind]) | raw
    return raw


_NAMED = re.compile(r"(.*), (min|max|p[\d.]+) of (\d+)", re.DOTALL)


def _fields_of_name(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Before version 4 statistic and samples were in the name, and a figure without limits was a PASS."""
    found = _NAMED.fullmatch(str(raw.get("name")))
    fields = {"name": found[1], "statistic": found[2], "samples": int(found[3])} if found else {}
    unlimited = raw.get("low") is None and raw.get("high") is None
    return fields | ({"verdict": None} if unlimited else {})


def _complaint(raw: Mapping[str, Any], kind: type[RecordLine]) -> str:
    """What is wrong with a line: the field, what it is, what would be right."""
    try:
        _DETAILED.structure(raw, kind)
    except BaseValidationError as e:
        path, error = _first(e)
        sentence = FIELDS[kind][path.partition(".")[0]]
        if isinstance(error, KeyError):
            return f"`{path}.{error.args[0]}` is missing; `{path}` is: {sentence}"
        if isinstance(error, Mismatch):
            value, right = error.args
            return f"`{path}` is {value!r:.40}; right would be {right}: {sentence}"
        return f"`{path}`: {error}"
    raise AssertionError("a line that is refused has an error")


def _first(error: Exception) -> tuple[str, Exception]:
    """Path and cause of the first error in a tree of them."""
    path: list[str] = []
    while isinstance(error, BaseValidationError):
        error = error.exceptions[0]
        notes = getattr(error, "__notes__", ())
        path += [note.name for note in notes if isinstance(note, AttributeValidationNote)]
    return ".".join(name for name in path if name != "head"), error


def _plain(accepted: tuple[type, ...], right: str) -> Callable[[Any, Any], Any]:
    """A value that stays as it is; True is no number here."""

    def structure(value: Any, _: Any) -> Any:
        if type(value) in accepted:
            return value
        raise Mismatch(value, right)

    return structure


def _enumeration(kind: type[Enum]) -> Callable[[Any, Any], Any]:
    words = {member.value: member for member in kind}

    def structure(value: Any, _: Any) -> Any:
        if isinstance(value, str) and value in words:
            return words[value]
        raise Mismatch(value, f"one of {', '.join(words)}")

    return structure


def _converter(detailed: bool) -> Converter:
    """detailed: errors carry the field's name, which takes time that good lines need not spend."""
    converter = Converter(detailed_validation=detailed)
    for kind, (accepted, right) in PLAIN.items():
        converter.register_structure_hook(kind, _plain(accepted, right))
    converter.register_structure_hook_factory(
        lambda t: isinstance(t, type) and issubclass(t, Enum), _enumeration
    )

    def sequence(kind: Any) -> Callable[[Any, Any], Any]:
        *items, last = get_args(kind)
        if last is not Ellipsis:
            return _row(converter, (*items, last))
        if items[0] is float:
            return _numbers
        item = converter.get_structure_hook(items[0])

        def structure(value: Any, _: Any) -> Any:
            return tuple([item(each, items[0]) for each in _list(value)])

        return structure

    def mapping(kind: Any) -> Callable[[Any, Any], Any]:
        _, item_kind = get_args(kind)
        item = converter.get_structure_hook(item_kind)

        def structure(value: Any, _: Any) -> Any:
            if type(value) is not dict:
                raise Mismatch(value, "an object")
            return {name: item(each, item_kind) for name, each in value.items()}

        return structure

    converter.register_structure_hook_factory(lambda t: _origin(t) is tuple, sequence)
    converter.register_structure_hook_factory(lambda t: _origin(t) is Mapping, mapping)
    return converter


def _origin(kind: Any) -> Any:
    return get_origin(kind)  # the stubs of get_origin() deny that it returns `tuple` for a tuple type


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise Mismatch(value, "a list")
    return value


def _row(converter: Converter, kinds: tuple[Any, ...]) -> Callable[[Any, Any], Any]:
    hooks = [(converter.get_structure_hook(kind), kind) for kind in kinds]

    def structure(value: Any, _: Any) -> Any:
        if len(_list(value)) != len(hooks):
            raise Mismatch(value, f"a list of {len(hooks)}")
        return tuple([hook(each, kind) for (hook, kind), each in zip(hooks, value, strict=True)])

    return structure


def _numbers(value: Any, _: Any) -> tuple[float, ...]:
    """Up to millions of samples: their types are looked at as a set."""
    if wrong := set(map(type, _list(value))) - set(NUMBERS):
        raise Mismatch(next(each for each in value if type(each) in wrong), "a number")
    return tuple(value)


_FAST, _DETAILED = _converter(detailed=False), _converter(detailed=True)
