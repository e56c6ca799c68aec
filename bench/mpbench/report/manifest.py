# SPDX-License-Identifier: MIT
"""The manifest of a signed report: what was signed, as a closed list with types; one text for one content.

Two signers of one report write and read the same bytes. A file of any other form is refused, so nothing in it
can be read in two ways.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.files import read_bounded
from mpbench.core.notes import LONGEST, MOST_SIGNATURES
from mpbench.report.tree import FileEntry

MANIFEST = "manifest.json"
SIGNATURES = "signatures.json"
VERSION = 2
"""Version 1 listed no directories and no signatures that were asked for."""
LIMIT_BYTES = 16 * 2**20
"""Of a manifest: 80,000 files."""
SHA256 = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = re.compile(r"[0-9a-f]{4}(-[0-9a-f]{4}){3}")
_VERDICTS = frozenset(verdict.value for verdict in Verdict)


@frozen
class Manifest:
    """What is signed. document: id of the page; made_by: version that made the page; roles: asked for."""

    document: str
    verdict: str
    made_by: str
    roles: tuple[str, ...]
    directories: tuple[str, ...]
    files: Mapping[str, FileEntry]

    def text(self) -> bytes:
        """Content of its file."""
        files = {name: {"size": f.size, "sha256": f.sha256} for name, f in self.files.items()}
        return dump(
            {
                "version": VERSION,
                "document": self.document,
                "verdict": self.verdict,
                "made_by": self.made_by,
                "signatures": list(self.roles),
                "directories": list(self.directories),
                "files": files,
            }
        )


def dump(content: object) -> bytes:
    """The one text of a content."""
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()


def read_manifest(path: Path) -> tuple[bytes, Manifest]:
    """Text and content. UsageError, in one line, for anything but what text() gives."""
    data = read_bounded(path, limit_bytes=LIMIT_BYTES, follow=False)
    content = parse(data, f"{path}: no manifest of ours")
    if type(content) is not dict:
        raise UsageError(f"{path}: no manifest of ours: {brief(content)} in place of an object")
    if content.get("version") == 1:
        raise UsageError(f"{path}: a manifest of version 1: verify it with the mpbench that signed it")
    for name, (right, fits) in FIELDS.items():
        if name not in content:
            raise UsageError(f"{path}: no manifest of ours: `{name}` is missing; expected {right}")
        if not fits(content[name]):
            wrong = brief(content[name])
            raise UsageError(f"{path}: no manifest of ours: `{name}` is {wrong}; expected {right}")
    found = Manifest(
        content["document"],
        content["verdict"],
        content["made_by"],
        tuple(content["signatures"]),
        tuple(content["directories"]),
        {name: FileEntry(f["size"], f["sha256"]) for name, f in content["files"].items()},
    )
    if found.text() != data:
        raise UsageError(f"{path}: no manifest of ours: it has other fields or blanks than `signoff` writes")
    return data, found


def parse(data: bytes, wrong: str) -> Any:
    """JSON. UsageError that starts with `wrong` for anything else."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{wrong}: not JSON: {e!s:.80}") from e


def brief(found: object) -> str:
    """A value of JSON in a message."""
    return "a list" if type(found) is list else "an object" if type(found) is dict else f"{found!r:.60}"


def _is_name(name: object) -> bool:
    """Whether it is a path below the report's directory."""
    return type(name) is str and not {"", ".", ".."} & set(name.split("/")) and "\0" not in name


def _is_file(found: object) -> bool:
    if type(found) is not dict or list(found) != ["size", "sha256"]:
        return False
    size, digest = found["size"], found["sha256"]
    return type(size) is int and size >= 0 and type(digest) is str and bool(SHA256.fullmatch(digest))


def is_text(found: object) -> bool:
    """Whether it is a text of bounded length with something in it."""
    return type(found) is str and bool(found.strip()) and len(found) <= LONGEST


def _are_names(found: object) -> bool:
    return type(found) is list and all(map(_is_name, found)) and found == sorted(set(found))


def _are_files(found: object) -> bool:
    return (
        type(found) is dict
        and all(map(_is_name, found))
        and all(map(_is_file, found.values()))
        and list(found) == sorted(found)
    )


FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "version": (str(VERSION), lambda found: type(found) is int and found == VERSION),
    "document": (
        "four groups of four hex digits",
        lambda found: type(found) is str and bool(_DOCUMENT.fullmatch(found)),
    ),
    "verdict": (
        f"one of {', '.join(sorted(_VERDICTS))}",
        lambda found: type(found) is str and found in _VERDICTS,
    ),
    "made_by": ("the name and version of the program", is_text),
    "signatures": (
        "a list of roles",
        lambda found: type(found) is list and len(found) <= MOST_SIGNATURES and all(map(is_text, found)),
    ),
    "directories": ("a sorted list of paths below the report's directory", _are_names),
    "files": ("size and sha256 of each file by its path below the report's directory, sorted", _are_files),
}
"""Name → what is right, and whether a value is that."""
