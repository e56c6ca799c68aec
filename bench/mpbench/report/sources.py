# SPDX-License-Identifier: MIT
"""What a page is made of, beside the page: from it the page can be made again.

A page in its run's own directory needs no more than the record. Any other page, about several runs or with
trends, has DIR/sources.json: its records in order, the remarks and the history. Records outside of DIR are
copied into DIR/records, under their SHA-256.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import asdict, frozen

from mpbench.core.codec import structure
from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.files import LINES_LIMIT_BYTES, read_bounded, read_lines, real_path, write_whole
from mpbench.core.json_reader import json_object, parse_json
from mpbench.core.record import LOG, Run, read
from mpbench.core.verdict import Judgement
from mpbench.report.trend import Point, shown

SOURCES = "sources.json"
JOURNAL = "journal.jsonl"
"""Of a night: the last of its lines of the kind `verdict` has verdict and SHA-256 of the sources."""
RECORDS = "records"
VERSION = 1
LIMIT_BYTES = 6 * 2**20
"""Of the sources: JSON takes up to 30 times as much memory."""


@frozen
class Sources:
    """Records below the page's directory by name, with what else the page shows."""

    records: tuple[str, ...] = (LOG,)
    remarks: tuple[str, ...] = ()
    history: tuple[Point, ...] = ()
    others: tuple[Judgement, ...] = ()

    def runs(self, directory: Path) -> list[Run]:
        """The records, read. UsageError: missing, or broken."""
        return [self._run(directory, name) for name in self.records]

    def _run(self, directory: Path, name: str) -> Run:
        below = PurePosixPath(name)
        if below.parts[:-1] == (RECORDS,):
            return read(directory, name)
        return read(directory / below.parent)


def read_sources(directory: Path) -> Sources:
    """Those of a page's directory. UsageError: neither a record nor sources, or not in the form of ours."""
    path = directory / SOURCES
    if not path.exists() and not path.is_symlink():
        return Sources()
    try:
        return _sources(load_json(path, LIMIT_BYTES))
    except ValueError as e:
        raise UsageError(f"{path}: not written by `mpbench report`: {e!s:.100}") from e


def load_json(path: Path, limit_bytes: int) -> Any:
    """JSON of a regular file. UsageError: too large, too deep, not JSON."""
    data = read_bounded(path, limit_bytes=limit_bytes, follow=False)
    try:
        return parse_json(data)
    except ValueError as e:
        raise UsageError(f"{path}: not JSON: {e!s:.100}") from e


def write_sources(
    runs: Sequence[Run],
    output: Path,
    history: Iterable[Point],
    remarks: Iterable[str],
    others: Iterable[Judgement],
) -> None:
    """Bring records that are elsewhere, and write the sources where the record alone is not enough."""
    found = Sources(
        tuple(_bring(run, output) for run in runs), tuple(remarks), tuple(shown(history)), tuple(others)
    )
    path = output / SOURCES
    if found == Sources():
        path.unlink(missing_ok=True)
        return
    write_whole(path, (json.dumps(_content(found), indent=1, ensure_ascii=True) + "\n").encode())


def hash_of(directory: Path) -> str:
    """SHA-256 of a directory's sources. UsageError if they cannot be read."""
    data = read_bounded(directory / SOURCES, limit_bytes=LIMIT_BYTES, follow=False)
    return hashlib.sha256(data).hexdigest()


def against_journal(directory: Path, found: Sources, verdict: Verdict) -> Iterator[str]:
    """What the sources of a night, and the verdict that they lead to, are beside what its journal says.

    A night's sources have what no record does: units that left none, places that were missing.
    """
    if not os.path.lexists(directory / JOURNAL):
        if found.remarks or found.others:
            yield f"{SOURCES} is that of a night, whose {JOURNAL} is missing"
        return
    lines = read_lines(directory / JOURNAL, UsageError).whole
    ended = [line for line in map(json_object, lines) if line and line.get("kind") == "verdict"]
    if not ended or "sources" not in ended[-1]:
        yield f"{JOURNAL} has no verdict of the night: it was killed, or an earlier mpbench ran it"
    elif ended[-1]["sources"] != hash_of(directory):
        yield f"{SOURCES} is not what the night wrote, by its {JOURNAL}"
    elif ended[-1].get("verdict") != verdict.value:
        yield f"the verdict is {verdict.value}, and {ended[-1].get('verdict')!r:.40} in {JOURNAL}"


def _content(found: Sources) -> dict[str, Any]:
    return {"version": VERSION} | asdict(
        found, value_serializer=lambda _, __, value: value.value if isinstance(value, Verdict) else value
    )


def _bring(run: Run, output: Path) -> str:
    """Name of the run's record below `output`, to which it is copied if it is elsewhere."""
    log, top = real_path(run.directory / run.log), real_path(output)
    if log.is_relative_to(top):
        return log.relative_to(top).as_posix()
    name = f"{RECORDS}/{run.sha256}.jsonl"
    (output / RECORDS).mkdir(exist_ok=True)
    if not (output / name).exists():
        write_whole(output / name, read_bounded(log, limit_bytes=LINES_LIMIT_BYTES, follow=False))
    return name


def _sources(content: Any) -> Sources:
    """ValueError unless `content` is what write_sources() writes, with the types of Sources."""
    if type(content) is not dict or content.get("version") != VERSION:
        raise ValueError(f"expected an object of version {VERSION}")
    found = structure(content, Sources)
    if json.loads(json.dumps(_content(found))) != content:
        raise ValueError("it has other fields")
    for name in found.records:
        parts = PurePosixPath(name).parts
        below = parts and ".." not in parts and parts[0] != "/" and "/".join(parts) == name
        if not below or (parts[-1] != LOG and parts[:-1] != (RECORDS,)):
            raise ValueError(f"record {name!r:.60} is none below the page's directory")
    return found
