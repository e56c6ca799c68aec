# SPDX-License-Identifier: MIT
"""JSON Schema of a record's lines, made of their classes. Pure.

Ref: JSON Schema 2020-12
"""

import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin

from attrs import fields, has

from mpbench.core.lines import ABOUT, KINDS, VERSION, LineHead, RecordLine

NAMES: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    types.NoneType: "null",
}


def json_schema() -> dict[str, Any]:
    """The schema of a line, for other programs."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"a line of record.jsonl, version {VERSION}",
        "oneOf": [_line(kind) for kind in KINDS.values()],
    }


def _line(kind: type[RecordLine]) -> dict[str, Any]:
    """The head's fields, `kind`, then the line's own."""
    own = _object(kind)["properties"]
    del own["head"]
    properties = _object(LineHead)["properties"] | {"kind": {"const": kind.kind}} | own
    words = {"title": kind.kind, "description": kind.__doc__}
    return words | {"type": "object", "properties": properties, "required": list(properties)}


def _object(kind: Any) -> dict[str, Any]:
    """An attrs class: every field is written, whether it has a default or not."""
    properties = {}
    for f in fields(kind):
        about = {"description": f.metadata[ABOUT]} if ABOUT in f.metadata else {}
        properties[f.name] = _type(f.type) | about
    return {"type": "object", "properties": properties, "required": list(properties)}


def _type(kind: Any) -> dict[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if kind in NAMES:
        return {"type": NAMES[kind]}
    if origin in (Union, types.UnionType):
        return _either([_type(each) for each in args])
    if origin is tuple:
        rows = [_type(each) for each in args if each is not Ellipsis]
        fixed = {"prefixItems": rows, "minItems": len(rows), "maxItems": len(rows)}
        return {"type": "array"} | ({"items": rows[0]} if args[-1] is Ellipsis else fixed)
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _type(args[1])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    assert has(kind), f"no JSON Schema for {kind!r}"
    return _object(kind)


def _either(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several types, in the short form where JSON Schema has it."""
    simple = [kind["type"] for kind in kinds if kind.keys() == {"type"}]
    return {"type": simple} if len(simple) == len(kinds) else {"anyOf": kinds}
