# SPDX-License-Identifier: MIT
"""YAML that a user wrote: values with their lines, checked, so that every error names file, line and key.

Safe loader's scalars only, no constructors; duplicate and unknown keys are errors, nesting has a bound.
All errors are UsageError in one line. PyYAML is imported on the first read: `mpbench --help` does without.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.core.secrets import learn

MAX_DEPTH = 32
MAX_BYTES = 1 << 20
MAX_VALUES = 20_000
"""Keys included. Nine levels of nine aliases each are 400 million values, and labgrid visits each."""


class YamlNode:
    """A value, list or mapping with its place in a file; what: its name in errors, e.g. "`jobs`"."""

    def __init__(self, path: Path | str, node: Any, what: str) -> None:
        self.path, self.node, self.what = path, node, what

    def wrong(self, text: str) -> UsageError:
        """An error that starts with file, line and name."""
        return UsageError(f"{self.path}:{self.node.start_mark.line + 1}: {self.what} {text}")

    def value(self) -> Any:
        """A scalar as YAML's safe loader reads it."""
        import yaml  # noqa: PLC0415 - see above

        if self.node.id != "scalar":
            raise self.wrong("is a list or mapping; expected one value")
        name = self.what.strip("`")
        learn({name: self.node.value})  # errors quote it
        try:
            found = yaml.SafeLoader("").construct_object(self.node)
        except (yaml.YAMLError, ValueError, OverflowError) as e:
            raise self.wrong(f"is invalid: {getattr(e, 'problem', None) or e}") from e
        if isinstance(found, int) and found.bit_length() > 64:
            raise self.wrong(f"is a number of {found.bit_length()} bits; at most 64 are read")
        learn({name: found})
        return found

    def text(self, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str:
        """Text that is not empty; pattern: of all of it, `expected`: that pattern in words."""
        found = self.value()
        if isinstance(found, str) and re.search(r"[\0\ud800-\udfff]", found):
            raise self.wrong(f"is {found!r:.80}: no path, option or variable has a NUL or half a character")
        if not isinstance(found, str) or not found or (pattern and not pattern.fullmatch(found)):
            raise self.wrong(f"is {found!r}; expected {expected}")
        return found

    def number(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        found = self.value()
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise self.wrong(f"is {found!r}; expected a number from {low:g} to {high:g}")
        return found

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        found = self.value()
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise self.wrong(f"is {found!r}; expected an integer from {low:#x} to {high:#x}")
        return found

    def choice(self, *choices: Any) -> Any:
        """One of these values; True is not 1."""
        found = self.value()
        if not any(found == choice and type(found) is type(choice) for choice in choices):
            raise self.wrong(f"is {found!r}; expected one of {', '.join(map(str, choices))}")
        return found

    @property
    def is_list(self) -> bool:
        """Whether it is a list, not a value or mapping."""
        return bool(self.node.id == "sequence")

    def items(self) -> list["YamlNode"]:
        """The items of a list."""
        if not self.is_list:
            raise self.wrong("is not a list")
        return [YamlNode(self.path, node, f"{self.what}[{i}]") for i, node in enumerate(self.node.value)]

    def entries(self, known: Sequence[str] = (), needed: Sequence[str] = ()) -> dict[str, "YamlNode"]:
        """The entries of a mapping by name; without `known`, any names are allowed."""
        found = self._entries(known)
        if missing := [f"`{name}`" for name in needed if name not in found]:
            raise self.wrong(f"lacks {', '.join(missing)}")
        return found

    def _entries(self, known: Sequence[str]) -> dict[str, "YamlNode"]:
        if self.node.id != "mapping":
            raise self.wrong("is not a mapping" + (f" with {', '.join(known)}" if known else ""))
        found: dict[str, YamlNode] = {}
        for key_node, node in self.node.value:
            key = YamlNode(self.path, key_node, f"a key of {self.what}").value()
            here = YamlNode(self.path, key_node, f"`{key}` in {self.what}")
            if not isinstance(key, str):
                raise here.wrong("is a key of the wrong type; expected a name")
            if key in found:
                raise here.wrong("is a duplicate key")
            if known and key not in known:
                raise here.wrong(f"is an unknown key; known: {', '.join(known)}")
            found[key] = YamlNode(self.path, node, f"`{key}`")
        return found


def read_yaml(path: Path, what: str) -> YamlNode:
    """The document in a file; what: its name in errors, e.g. "the plan"."""
    data = read_bounded(path, limit_bytes=MAX_BYTES)
    try:
        return parse_yaml(data.decode(), path, what)
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: not UTF-8: {e.reason} at byte {e.start}") from e


def check_size(text: bytes | str, path: Path | str, what: str) -> None:
    """UsageError if YAML is nested deeper than MAX_DEPTH, or has over MAX_VALUES with aliases written out.

    Other errors in it are left to who reads it; secrets that they would quote are learnt.
    """
    import yaml  # noqa: PLC0415 - see above

    values, opened, anchors = 0, list[tuple[str | None, int]](), set[str]()
    sizes: dict[str | None, int] = {}
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, before = opened.pop()
                sizes[anchor] = values - before
            elif isinstance(event, yaml.NodeEvent):
                values += sizes.get(event.anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
                _learn_misread(event, anchors)
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, values))
            if len(opened) > MAX_DEPTH:
                raise YamlNode(path, event, what).wrong(f"is nested deeper than {MAX_DEPTH} levels")
            if values > MAX_VALUES:
                raise YamlNode(path, event, what).wrong(f"has more than {MAX_VALUES} values")
    except (yaml.YAMLError, ValueError):
        return


_TAG = re.compile(
    r"!|!template|tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq|timestamp|binary|merge)"
)
"""Tags of the safe loader, and labgrid's own."""


def _learn_misread(event: Any, anchors: set[str]) -> None:
    """A password that starts with `*` or `!` is an alias or a tag, whose name an error would quote.

    anchors: those that the document has had so far
    """
    import yaml  # noqa: PLC0415 - see above

    tag = getattr(event, "tag", None)
    if isinstance(event, yaml.AliasEvent) and event.anchor not in anchors:
        learn({"password": event.anchor})
    elif tag and not _TAG.fullmatch(tag):
        learn({"password": [tag, tag.rpartition(":")[2].lstrip("!")]})
    if event.anchor and not isinstance(event, yaml.AliasEvent):
        anchors.add(event.anchor)


def parse_yaml(text: str, path: Path | str, what: str) -> YamlNode:
    """The document in a text; path: its name in errors."""
    import yaml  # noqa: PLC0415 - see above

    check_size(text, path, what)
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except RecursionError:
        raise UsageError(f"{path}: {what} is nested deeper than {MAX_DEPTH} levels") from None
    except (yaml.YAMLError, ValueError) as e:  # ValueError: `%YAML` with a version of 5000 digits
        mark: Any = getattr(e, "problem_mark", None)
        reason = " ".join(str(getattr(e, "problem", None) or e).split())[:200]
        raise UsageError(f"{path}{f':{mark.line + 1}' if mark else ''}: {reason}") from e
    if node is None:
        raise UsageError(f"{path}:1: {what} is empty")
    return YamlNode(path, node, what)
