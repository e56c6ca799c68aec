# SPDX-License-Identifier: MIT
"""The record of a run: append-only JSON Lines, and the evidence by hash beside it.

One line is one write, so a process killed at any byte leaves complete lines and at most one stump at the end,
which the reader names and ignores. Lines reach the disk at the end of every test.

    reports/runs/<utc>-<target>/record.jsonl
                                evidence/<sha256>.txt or .bin
"""

import datetime
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import Artefact
from mpbench.core.files import AppendFile, Lines, write_whole
from mpbench.core.secrets import redact_all

VERSION = 4
"""Version of the lines' schema; a reader takes older ones too and refuses newer ones."""

COMMON = {
    "v": "int: version of this schema",
    "n": "int: number of the line in its record, from 0",
    "kind": "str: one of the kinds below",
    "utc": "str: wall clock, ISO 8601 with microseconds; for people, never for durations",
    "mono_ns": "int: monotonic clock of the host in nanoseconds; for durations",
    "run": "str: id of the run",
    "board": "str or null: id of the board (serial number, or the virtual board's name)",
    "boot": "str or null: the board's boot_id when the line was written",
    "epoch": "str or null: whose lock of the place, since when; null without a coordinator",
}

SCHEMA: Mapping[str, Mapping[str, str]] = {
    "run-start": {
        "target": "str: name of the target's YAML file without its suffix",
        "command": "list: of str, the command line",
        "bench": "str: version of mpbench and commit of its checkout",
        "continues": "str or null: id of the run whose tests without a verdict this one takes up",
    },
    "provenance": {
        "entries": "object: name → text, who and what was tested; of several lines, the last word on a name",
        "virtual": "bool: the board is emulated; by its own word",
        "evidence": "list: as in step, what the board said of itself",
    },
    "test-start": {
        "test": "str: id of the test case",
        "core": "str or null: the core it runs on",
        "title": "str: the sentence that the test proves",
        "requirements": "list: of str, ids of the requirements that it traces to",
    },
    "step": {
        "test": "str: id of the test case",
        "name": "str: what was done, e.g. deploy",
        "core": "str: the core it was done to",
        "fields": "list: of {name, predicted, observed, agreement}; a value nobody knows is null",
        "evidence": "list: of {name, sha256, size, file}; file stands in evidence/",
        "duration_ns": "int: how long it took",
    },
    "timeline": {
        "test": "str: id of the test case",
        "name": "str: what happened, e.g. crash on m33",
        "events": "list: of [name, ns], in the board's clock, in order",
        "source": "str: what dated the events",
    },
    "measurement": {
        "test": "str: id of the test case",
        "name": "str: what was measured, without numbers",
        "statistic": "str: which figure of the samples, e.g. p99; empty for a single value",
        "samples": "int or null: how many samples it was taken from; null for a single value or a count",
        "conditions": "object: name → text, what the test chose; part of what the figure is about",
        "value": "number: in `unit`",
        "unit": "str: unit of the value and its limits",
        "source": "str: what measured it",
        "low": "number or null: lowest good value",
        "high": "number or null: highest good value",
        "margin": "number: share of the limits' distance, or of the only limit, that counts as close",
        "verdict": "str or null: PASS, MARGINAL or FAIL; null without limits",
    },
    "series": {
        "test": "str: id of the test case",
        "name": "str: what developed",
        "conditions": "object: name → text, what the test chose; part of what the figure is about",
        "values": "list: of numbers, one per cycle, in order",
        "unit": "str: unit of the values",
        "source": "str: what measured it",
    },
    "histogram": {
        "test": "str: id of the test case",
        "name": "str: what is distributed",
        "conditions": "object: name → text, what the test chose; part of what the figure is about",
        "buckets": "list: of [low, high, count], in order; low is inside, high is not",
        "unit": "str: unit of low and high",
        "source": "str: what counted",
    },
    "segments": {
        "test": "str: id of the test case",
        "name": "str: what is made of these parts, e.g. the way of a notification",
        "conditions": "object: name → text, what the test chose; part of what the figure is about",
        "parts": "list: of [name, value], in order",
        "unit": "str: unit of the values",
        "source": "str: what measured it",
    },
    "outliers": {
        "test": "str: id of the test case",
        "name": "str: what these are the slowest samples of",
        "conditions": "object: name → text, what the test chose; part of what the figure is about",
        "samples": "list: of {total_ns, longest, irq_cpu, cpu, ran}, slowest first; longest: the part that "
        "took longest, in words; ran: list of [cpu, ns after the interrupt, ns, what ran so long]",
        "source": "str: what recorded it",
    },
    "map": {
        "test": "str: id of the test case",
        "name": "str: what the bytes are, e.g. the signed image of m33",
        "size": "int: bytes",
        "ranges": "list: of [start, end, label], end outside",
        "marks": "list: of [offset, good]: bytes that were changed, and whether the board did as predicted",
    },
    "test-end": {
        "test": "str: id of the test case",
        "verdict": "str: PASS, FAIL, MARGINAL, INFRA, INVALID, BLOCKED or NOT-RUN",
        "reason": "str: why it is not a PASS, empty for one",
        "duration_ns": "int: of the test itself, without its fixtures; 0 if it did not run",
    },
    "run-end": {"counts": "object: verdict → number of tests"},
}

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
}
"""Fields that older lines lack, by the version that brought them, and what they are read as."""

_TYPES: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "str": ("string", str),
    "int": ("integer", int),
    "number": ("number", (int, float)),
    "bool": ("boolean", bool),
    "list": ("array", list),
    "object": ("object", dict),
    "null": ("null", type(None)),
}
"""What a field's description begins with: its name in JSON Schema, and in Python."""

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
            raise InfrastructureError(f"cannot make the report's directory {directory}: {e.strerror}") from e
        return directory
    raise InfrastructureError(f"{root} holds 999 runs of {stamp}: is the clock stuck?")


@define
class Record:
    """Writer of one run. `board`, `boot` and `epoch` go into every line from when they are known.

    secrets: values that no line may contain; see mpbench.core.secrets
    """

    directory: Path
    run: str
    clock: Clock = field(factory=Clock)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    board: str | None = None
    boot: str | None = None
    epoch: str | None = None
    _count: int = 0
    _log: AppendFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._log = AppendFile.create(self.directory / LOG)

    def append(self, kind: str, **fields: Any) -> None:
        """Write one line, whole or not at all. Raises InfrastructureError if the disk fails."""
        known = SCHEMA[kind].keys()
        if wrong := known ^ fields.keys():
            raise UsageError(f"a line of kind {kind} has exactly {sorted(known)}; wrong: {sorted(wrong)}")
        try:
            self._log.append(redact_all(self._common(kind) | fields, self.secrets))
        except (TypeError, ValueError) as e:
            raise UsageError(f"a line of kind {kind} cannot be written as JSON: {e}") from e
        self._count += 1

    def sync(self) -> None:
        """Everything written so far survives a power cut. InfrastructureError if the disk fails."""
        self._log.sync()

    def keep(self, artefacts: Iterable[Artefact]) -> list[dict[str, str | int]]:
        """Store artefacts by their hash; returns what a line's `evidence` holds."""
        return [self._keep(artefact) for artefact in artefacts]

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if not self._log.closed:
            self.sync()
            self._log.close()

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

    def _keep(self, artefact: Artefact) -> dict[str, str | int]:
        name = f"{artefact.sha256}{_suffix(artefact.data)}"
        path = self.directory / EVIDENCE / name
        if not path.exists():
            write_whole(path, artefact.data)
        return {"name": artefact.name, "sha256": artefact.sha256, "size": len(artefact.data), "file": name}


def _suffix(data: bytes) -> str:
    """Browsers show .txt as text whatever it holds, so a console that prints HTML stays text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return ".bin"
    return ".bin" if b"\0" in data else ".txt"


@frozen
class Run:
    """A record as read back: its complete lines, and what was wrong with the rest."""

    directory: Path
    lines: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()

    def evidence(self, file: str) -> bytes | None:
        """Bytes of an evidence file; None if it is gone or no longer what its name says."""
        found = _FILE.fullmatch(file)
        if not found:
            return None
        try:
            data = (self.directory / EVIDENCE / file).read_bytes()
        except OSError:
            return None
        return data if Artefact(file, data).sha256 == found[1] else None


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Each run behind the one that it continues, otherwise as given: names tell what the wall clock said."""
    ids = {str(run.lines[0]["run"]): n for n, run in enumerate(runs) if run.lines}
    found: dict[int, Run] = {}

    def put(n: int, coming: frozenset[int]) -> None:
        before = ids.get(str(runs[n].lines[0].get("continues"))) if runs[n].lines else None
        if before is not None and before not in coming:
            put(before, coming | {before})
        found.setdefault(n, runs[n])

    for n in range(len(runs)):
        put(n, frozenset({n}))
    return list(found.values())


def read(directory: Path) -> Run:
    """Read a record. Raises UsageError with the line's number when it is no record of ours."""
    path = directory / LOG
    try:
        data = path.read_bytes()
    except OSError as e:
        raise UsageError(
            f"no record at {path}: {e.strerror}; give a run's directory, reports/runs/..."
        ) from e
    found = Lines.split(data)
    lines = tuple(_parse(path, number, line) for number, line in enumerate(found.whole, 1))
    notes = [found.note] if found.note else []
    if not any(line["kind"] == "run-end" for line in lines):
        notes.append("the run did not end: it was killed, or it is still going on")
    return Run(directory, lines, tuple(notes))


def _parse(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as e:
        raise UsageError(f"{path}:{number}: not JSON: {e}") from e
    if not isinstance(parsed, dict) or type(parsed.get("v")) is not int:
        raise UsageError(f"{path}:{number}: no line of a record: it has no version `v`")
    if parsed["v"] > VERSION:
        raise UsageError(f"{path}:{number}: version {parsed['v']} is newer than this mpbench's {VERSION}")
    if str(parsed.get("kind")) not in SCHEMA:
        raise UsageError(f"{path}:{number}: kind {parsed.get('kind')!r} is unknown")
    parsed = _raised(parsed)
    if wrong := _wrong(parsed):
        raise UsageError(f"{path}:{number}: {wrong}")
    return parsed


def _raised(line: dict[str, Any]) -> dict[str, Any]:
    """The line as of this version."""
    if line["v"] < 4 and line["kind"] == "measurement":
        line = _fields_of_a_name(line)
    newer = (fields.get(line["kind"], {}) for version, fields in SINCE.items() if version > line["v"])
    return {name: value for fields in newer for name, value in fields.items()} | line


_NAMED = re.compile(r"(.*), (min|max|p[\d.]+) of (\d+)", re.DOTALL)


def _fields_of_a_name(line: dict[str, Any]) -> dict[str, Any]:
    """Before version 4 statistic and n were in the name, and a figure without limits was a PASS."""
    raised = dict(line)
    if found := _NAMED.fullmatch(str(line.get("name"))):
        raised |= {"name": found[1], "statistic": found[2], "samples": int(found[3])}
    if line.get("low") is None and line.get("high") is None:
        raised["verdict"] = None
    return raised


def _wrong(line: Mapping[str, Any]) -> str:
    """What the schema says against a line, "" for nothing."""
    expected = _PYTHON_TYPES[line["kind"]]
    if missing := expected.keys() - line.keys():
        return f"{sorted(missing)} missing"
    for name, types in expected.items():
        value = line[name]
        if not isinstance(value, types) or (type(value) is bool and bool not in types):
            return f"`{name}` is {value!r:.40}; right would be {(COMMON | dict(SCHEMA[line['kind']]))[name]}"
    return ""


def _types_of(description: str) -> list[str]:
    return description.partition(":")[0].split(" or ")


def _python_types(description: str) -> tuple[type, ...]:
    found = (_TYPES[name][1] for name in _types_of(description))
    return tuple(t for types in found for t in (types if isinstance(types, tuple) else (types,)))


_PYTHON_TYPES: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    kind: {name: _python_types(text) for name, text in (COMMON | dict(fields)).items()}
    for kind, fields in SCHEMA.items()
}


def json_schema() -> dict[str, Any]:
    """The schema of a line, for other programs. Ref: JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"a line of {LOG}, version {VERSION}",
        "oneOf": [_kind_schema(kind, fields) for kind, fields in SCHEMA.items()],
    }


def _kind_schema(kind: str, fields: Mapping[str, str]) -> dict[str, Any]:
    every = COMMON | dict(fields)
    properties = {name: _property(text) for name, text in every.items()} | {"kind": {"const": kind}}
    return {"title": kind, "type": "object", "properties": properties, "required": list(every)}


def _property(text: str) -> dict[str, Any]:
    names = [_TYPES[name][0] for name in _types_of(text)]
    return {"type": names[0] if len(names) == 1 else names, "description": text.partition(": ")[2]}
