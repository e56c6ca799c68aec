# SPDX-License-Identifier: MIT
"""The record of a run: append-only JSON Lines, and the evidence by hash beside it.

One line is one write, so a process killed at any byte leaves complete lines and at most one stump at the end,
which the reader names and ignores. Lines reach the disk at the end of every test.

    reports/runs/<utc>-<target>/record.jsonl
                                evidence/<sha256>.txt or .bin
"""

import datetime
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from bench.errors import LabFault, Misuse
from bench.facts import Artefact

VERSION = 1
"""Version of the lines' schema; a reader refuses newer ones."""

COMMON = {
    "v": "int: version of this schema",
    "n": "int: number of the line in its record, from 0",
    "kind": "str: one of the kinds below",
    "utc": "str: wall clock, ISO 8601 with microseconds; for people, never for durations",
    "mono_ns": "int: monotonic clock of the host in nanoseconds; for durations",
    "run": "str: id of the run",
    "board": "str or null: id of the board (serial number, or the virtual board's name)",
    "boot": "str or null: the board's boot_id when the line was written",
    "epoch": "str or null: lock epoch of the place; null without a coordinator",
}

SCHEMA: Mapping[str, Mapping[str, str]] = {
    "run-start": {
        "target": "str: name of the target's YAML file without its suffix",
        "command": "list of str: the command line",
        "bench": "str: version of mpbench and commit of its checkout",
    },
    "provenance": {
        "entries": "object: name → text, who and what was tested",
        "virtual": "bool: the board is emulated; by its own word",
        "evidence": "list as in step: what the board said of itself",
    },
    "test-start": {
        "test": "str: id of the test case",
        "core": "str or null: the core it runs on",
        "title": "str: the sentence that the test proves",
    },
    "step": {
        "test": "str",
        "name": "str: what was done, e.g. deploy",
        "core": "str",
        "fields": "list of {name, predicted, observed, agreement}; a value nobody knows is null",
        "evidence": "list of {name, sha256, size, file}; file stands in evidence/",
        "duration_ns": "int",
    },
    "measurement": {
        "test": "str",
        "name": "str",
        "value": "number",
        "unit": "str",
        "source": "str: what measured it",
        "low": "number or null: lowest good value",
        "high": "number or null: highest good value",
        "verdict": "str",
    },
    "series": {
        "test": "str",
        "name": "str",
        "values": "list of numbers, one per cycle, in order",
        "unit": "str",
        "source": "str: what measured it",
    },
    "test-end": {
        "test": "str",
        "verdict": "str: PASS, FAIL, MARGINAL, INFRA, INVALID, BLOCKED or NOT-RUN",
        "reason": "str: why it is not a PASS, empty for one",
        "duration_ns": "int: of the test itself, without its fixtures; 0 if it did not run",
    },
    "run-end": {"counts": "object: verdict → number of tests"},
}

LOG = "record.jsonl"
EVIDENCE = "evidence"
_FILE = re.compile(r"([0-9a-f]{64})\.(?:txt|bin)")


@frozen
class Clock:
    """Wall clock in seconds since 1970 and monotonic clock in nanoseconds; passed in, so tests own time."""

    utc_s: Callable[[], float] = time.time
    mono_ns: Callable[[], int] = time.monotonic_ns


def safe_name(text: str) -> str:
    """`text` as one harmless part of a path: a device or a YAML file may call itself `../../x`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".")[:80] or "unnamed"


def new_directory(root: Path, target: str, clock: Clock) -> Path:
    """A fresh directory `<utc>-<target>` below `root`; the second one of a second gets a number."""
    stamp = datetime.datetime.fromtimestamp(clock.utc_s(), datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 1000):
        suffix = f"-{number}" if number > 1 else ""
        directory = root / f"{stamp}-{safe_name(target)}{suffix}"
        try:
            (directory / EVIDENCE).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as e:
            raise LabFault(f"cannot make the report's directory {directory}: {e.strerror}") from e
        return directory
    raise LabFault(f"{root} holds 999 runs of {stamp}: is the clock stuck?")


@define
class Record:
    """Writer of one run. `board`, `boot` and `epoch` go into every line from when they are known."""

    directory: Path
    run: str
    clock: Clock = field(factory=Clock)
    board: str | None = None
    boot: str | None = None
    epoch: str | None = None
    _count: int = 0
    _fd: int = field(init=False, default=-1)

    def __attrs_post_init__(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self._fd = os.open(self.directory / LOG, flags, 0o644)
        except OSError as e:
            raise LabFault(f"cannot write {self.directory / LOG}: {e.strerror}") from e

    def append(self, kind: str, **fields: Any) -> None:
        """Write one line. Raises LabFault when the disk does not take it; then nothing of it remains."""
        known = SCHEMA[kind].keys()
        if wrong := known ^ fields.keys():
            raise Misuse(f"a line of kind {kind} has exactly {sorted(known)}; wrong: {sorted(wrong)}")
        try:
            line = json.dumps(self._common(kind) | fields, ensure_ascii=True, allow_nan=False)
        except (TypeError, ValueError) as e:
            raise Misuse(f"a line of kind {kind} cannot be written as JSON: {e}") from e
        self._write(line.encode() + b"\n")
        self._count += 1

    def sync(self) -> None:
        """Everything written so far survives a power cut."""
        os.fsync(self._fd)

    def keep(self, artefacts: Iterable[Artefact]) -> list[dict[str, str | int]]:
        """Store artefacts by their hash; returns what a line's `evidence` holds."""
        return [self._keep(artefact) for artefact in artefacts]

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1

    def _common(self, kind: str) -> dict[str, Any]:
        utc = datetime.datetime.fromtimestamp(self.clock.utc_s(), datetime.UTC)
        return {
            "v": VERSION,
            "n": self._count,
            "kind": kind,
            "utc": utc.isoformat(timespec="microseconds"),
            "mono_ns": self.clock.mono_ns(),
            "run": self.run,
            "board": self.board,
            "boot": self.boot,
            "epoch": self.epoch,
        }

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
        except OSError as e:
            raise LabFault(f"cannot write {self.directory / LOG}: {e.strerror}") from e
        if written != len(line):
            os.ftruncate(self._fd, before)
            raise LabFault(f"{self.directory / LOG} took {written} of {len(line)} bytes: is the disk full?")

    def _keep(self, artefact: Artefact) -> dict[str, str | int]:
        name = f"{artefact.sha256}{_suffix(artefact.data)}"
        path = self.directory / EVIDENCE / name
        if not path.exists():
            _write_whole(path, artefact.data)
        return {"name": artefact.name, "sha256": artefact.sha256, "size": len(artefact.data), "file": name}


def _suffix(data: bytes) -> str:
    """Browsers show .txt as text whatever it holds, so a console that prints HTML stays text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return ".bin"
    return ".bin" if b"\0" in data else ".txt"


def _write_whole(path: Path, data: bytes) -> None:
    """`path` holds all of `data` or does not exist."""
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        with temporary.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        temporary.rename(path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise LabFault(f"cannot keep evidence {path}: {e.strerror}") from e


@frozen
class Run:
    """A record as read back: its complete lines, and what was wrong with the rest."""

    directory: Path
    lines: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def evidence(self, file: str) -> bytes | None:
        """Bytes of an evidence file; None if it is gone or no longer what its name says."""
        found = _FILE.fullmatch(file)
        path = self.directory / EVIDENCE / file
        if not found or not path.is_file():
            return None
        data = path.read_bytes()
        return data if Artefact(file, data).sha256 == found[1] else None


def read(directory: Path) -> Run:
    """Read a record. Raises Misuse with the line's number when it is no record of ours."""
    path = directory / LOG
    try:
        data = path.read_bytes()
    except OSError as e:
        raise Misuse(f"no record at {path}: {e.strerror}; give a run's directory, reports/runs/...") from e
    *complete, stump = data.split(b"\n")
    lines = tuple(_parse(path, number, line) for number, line in enumerate(complete, 1))
    notes = [f"the last line is incomplete: {len(stump)} bytes ignored"] if stump else []
    if not any(line["kind"] == "run-end" for line in lines):
        notes.append("the run did not end: it was killed, or it is still going on")
    return Run(directory, lines, tuple(notes))


def _parse(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as e:
        raise Misuse(f"{path}:{number}: not JSON: {e}") from e
    if not isinstance(parsed, dict) or not isinstance(parsed.get("v"), int):
        raise Misuse(f"{path}:{number}: no line of a record: it has no version `v`")
    if parsed["v"] > VERSION:
        raise Misuse(f"{path}:{number}: version {parsed['v']} is newer than this mpbench's {VERSION}")
    known = SCHEMA.get(str(parsed.get("kind")))
    if known is None or (missing := (known.keys() | COMMON.keys()) - parsed.keys()):
        what = f"kind {parsed.get('kind')!r} is unknown" if known is None else f"{sorted(missing)} missing"
        raise Misuse(f"{path}:{number}: {what}")
    return parsed
