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
from mpbench.core.json_reader import parse_json
from mpbench.core.notes import LONGEST, MOST_SIGNATURES
from mpbench.report.tree import FileEntry

MANIFEST = "manifest.json"
SIGNATURES = "signatures.json"
VERSION = 2
"""Version 1 listed no directories and no signatures that were asked for."""
LIMIT_BYTES = 16 * 2**20
"""Of a manifest: 80,000 files."""
HEAD_LIMIT_BYTES = 1 << 20
"""Of everything before the files."""
FILES, END = b' "files": {\n', b"\n }\n}\n"
_FILE = re.compile(
    rb'(?:,\n)?  ("(?:[^"\\\n]|\\.){1,5000}"): '
    rb'\{\n   "size": (\d{1,18}),\n   "sha256": "([0-9a-f]{64})"\n  \}'
)
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
        """Content of its file: JSON, a line for each field, four for each file of the report."""
        head = {
            "version": VERSION,
            "document": self.document,
            "verdict": self.verdict,
            "made_by": self.made_by,
            "signatures": list(self.roles),
            "directories": list(self.directories),
        }
        files = ",\n".join(
            f'  {json.dumps(name)}: {{\n   "size": {f.size},\n   "sha256": "{f.sha256}"\n  }}'
            for name, f in self.files.items()
        )
        return dump(head)[: -len(b"\n}\n")] + b",\n" + FILES + files.encode() + END


def dump(content: object) -> bytes:
    """The one text of a content."""
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()


def read_manifest(path: Path) -> tuple[bytes, Manifest]:
    """Text and content. UsageError, in one line, for anything but what text() gives."""
    wrong = f"{path}: no manifest of ours"
    data = read_bounded(path, limit_bytes=LIMIT_BYTES, follow=False)
    start = data.find(FILES, 0, HEAD_LIMIT_BYTES)
    head = parse(data[:start] + FILES + END if start >= 0 else data[:HEAD_LIMIT_BYTES], wrong)
    if type(head) is not dict:
        raise UsageError(f"{wrong}: {brief(head)} in place of an object")
    if head.get("version") == 1:
        raise UsageError(f"{path}: a manifest of version 1: verify it with the mpbench that signed it")
    for name, (right, fits) in FIELDS.items():
        if name not in head:
            raise UsageError(f"{wrong}: `{name}` is missing; expected {right}")
        if not fits(head[name]):
            raise UsageError(f"{wrong}: `{name}` is {brief(head[name])}; expected {right}")
    if start < 0:
        raise UsageError(f"{wrong}: `files` is empty, or in other blanks than `signoff` writes")
    found = Manifest(
        head["document"],
        head["verdict"],
        head["made_by"],
        tuple(head["signatures"]),
        tuple(head["directories"]),
        _files(data, start + len(FILES), wrong),
    )
    if found.text() != data:
        raise UsageError(f"{wrong}: it has other fields or blanks than `signoff` writes")
    return data, found


def _files(data: bytes, position: int, wrong: str) -> dict[str, FileEntry]:
    """The files, entry by entry: JSON of 16 MiB may take 500 MiB of memory, and be of any content."""
    files: dict[str, FileEntry] = {}
    while entry := _FILE.match(data, position):
        name = parse(entry[1], wrong)
        if not _is_name(name):
            raise UsageError(f"{wrong}: {name!r:.60} is no path below the report's directory")
        files[name] = FileEntry(int(entry[2]), entry[3].decode())
        position = entry.end()
    if list(files) != sorted(files):
        raise UsageError(f"{wrong}: `files` is not sorted")
    if data[position : position + len(END)] != END:
        line = data.count(b"\n", 0, position) + 1
        raise UsageError(f"{wrong}: line {line}: expected the size and sha256 of a file, or the end")
    return files


def parse(data: bytes, wrong: str) -> Any:
    """JSON. UsageError that starts with `wrong` for anything else."""
    try:
        return parse_json(data)
    except ValueError as e:
        raise UsageError(f"{wrong}: not JSON: {e!s:.80}") from e


def brief(found: object) -> str:
    """A value of JSON in a message."""
    return "a list" if type(found) is list else "an object" if type(found) is dict else f"{found!r:.60}"


def _is_name(name: object) -> bool:
    """Whether it is a path below the report's directory."""
    return type(name) is str and not {"", ".", ".."} & set(name.split("/")) and "\0" not in name


def is_text(found: object) -> bool:
    """Whether it is a text of bounded length with something in it."""
    return type(found) is str and bool(found.strip()) and len(found) <= LONGEST


def _are_names(found: object) -> bool:
    return type(found) is list and all(map(_is_name, found)) and found == sorted(set(found))


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
    "files": ("an object", lambda found: type(found) is dict),
}
"""Name → what is right, and whether a value is that."""
