# SPDX-License-Identifier: MIT
"""The record of a run: append-only JSON Lines, and the evidence by hash beside it.

One line is one write, so a process that is killed leaves complete lines and at most one torn line at the end,
which the reader reports and ignores. Lines reach the disk at the end of every test.

    reports/runs/<utc>-<target>/record.jsonl
                                evidence/<sha256>.txt or .bin
"""

import datetime
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import define, evolve, field, frozen

from mpbench.core.codec import decode, encode
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.evidence import EXACT, Artefact
from mpbench.core.files import LINES_LIMIT_BYTES, AppendFile, Lines, os_errors, read_bounded, write_whole
from mpbench.core.lines import (
    VERSION,
    EvidenceRef,
    LineHead,
    NotesLine,
    PlanLine,
    ProvenanceLine,
    RecordLine,
    RunEnd,
    RunStart,
    StepLine,
    WaiverLine,
)
from mpbench.core.secrets import redact_all, redact_bytes

L = TypeVar("L", bound=RecordLine)

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

    def append(self, line: RecordLine) -> None:
        """Write a line with its head, whole or not at all.

        UsageError for values that are not of the line's types, InfrastructureError if the disk fails.
        """
        try:
            self._log.append(redact_all(encode(evolve(line, head=self._head())), self.secrets))
        except (TypeError, ValueError, AttributeError) as e:
            raise UsageError(f"a line of kind {line.kind} cannot be written as JSON: {e}") from e
        self._count += 1

    def sync(self) -> None:
        """Everything written so far survives a power cut. InfrastructureError if the disk fails."""
        self._log.sync()

    def keep(self, artefacts: Iterable[Artefact]) -> tuple[EvidenceRef, ...]:
        """Store artefacts by their hash; returns what a line's `evidence` holds."""
        return tuple([self._keep(artefact) for artefact in artefacts])

    @property
    def removed(self) -> bool:
        """Whether its directory was removed; lines can still be written."""
        return not (self.directory / LOG).exists()

    def move(self, directory: Path) -> None:
        """Put its lines into a new directory. InfrastructureError if the disk fails."""
        with os_errors(f"cannot make {directory}"):
            (directory / EVIDENCE).mkdir(parents=True)
        write_whole(directory / LOG, self._log.content())
        self.directory = directory

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if not self._log.closed:
            self.sync()
            self._log.close()

    def _head(self) -> LineHead:
        return LineHead(
            n=self._count,
            utc=iso(self.clock.utc_s(), "microseconds"),
            mono_ns=self.clock.mono_ns(),
            run=self.run,
            board=self.board,
            boot=self.boot,
            epoch=self.epoch,
        )

    def _keep(self, artefact: Artefact) -> EvidenceRef:
        if artefact.name not in EXACT:
            artefact = evolve(artefact, data=redact_bytes(artefact.data, self.secrets))
        name = f"{artefact.sha256}{_suffix(artefact.data)}"
        path = self.directory / EVIDENCE / name
        if not path.exists():
            write_whole(path, artefact.data)
        return EvidenceRef(artefact.name, artefact.sha256, len(artefact.data), name)


def iso(utc_s: float, timespec: str = "seconds") -> str:
    """A wall clock's time in ISO 8601."""
    return datetime.datetime.fromtimestamp(utc_s, datetime.UTC).isoformat(timespec=timespec)


def _suffix(data: bytes) -> str:
    """Browsers show .txt as text whatever it holds, so a console that prints HTML stays text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return ".bin"
    return ".bin" if b"\0" in data else ".txt"


@frozen
class Run:
    """A record as read back: its complete lines, and what was wrong with the rest.

    sha256: of its file, which is `log` in the directory
    """

    directory: Path
    lines: tuple[RecordLine, ...]
    notes: tuple[str, ...] = ()
    sha256: str = ""
    log: str = LOG

    @property
    def id(self) -> str:
        """Id of the run, "" for a record without lines."""
        return self.lines[0].head.run if self.lines else ""

    @property
    def start(self) -> RunStart | None:
        """How the run was started; None if the record lacks that."""
        return next(self.of(RunStart), None)

    @property
    def plan(self) -> PlanLine | None:
        """What the run was to execute; None for a record that does not hold it, or is older than plans."""
        return next(self.of(PlanLine), None)

    @property
    def ended(self) -> bool:
        """Whether the run came to its end, after which only people add lines."""
        last = next(
            (line for line in reversed(self.lines) if not isinstance(line, NotesLine | WaiverLine)), None
        )
        return isinstance(last, RunEnd)

    @property
    def provenance(self) -> dict[str, str]:
        """Who and what was tested, by name; of several lines, the last one with a name counts."""
        return {name: text for line in self.of(ProvenanceLine) for name, text in line.entries.items()}

    def of(self, kind: type[L]) -> Iterator[L]:
        """The lines of a class, in order."""
        return (line for line in self.lines if isinstance(line, kind))

    def evidence(self, file: str) -> bytes | None:
        """Bytes of an evidence file; None if it is missing or its hash is not that in its name."""
        found = _FILE.fullmatch(file)
        if not found:
            return None
        try:
            data = read_evidence(self.directory / EVIDENCE / file)
        except UsageError:
            return None
        return data if Artefact(file, data).sha256 == found[1] else None

    def refs(self) -> Iterator[EvidenceRef]:
        """Everything that the lines refer to in evidence/."""
        known = (line for line in self.lines if isinstance(line, StepLine | ProvenanceLine))
        return (ref for line in known for ref in line.evidence)


def read_evidence(path: Path) -> bytes:
    """An artefact as it lies in a run. UsageError: not a file, larger than LINES_LIMIT_BYTES, or a link.

    A link could lead to any file of this host, which a page would then publish.
    """
    if path.parent.is_symlink():
        raise UsageError(f"cannot read {path}: {path.parent} is a symbolic link; a directory is needed")
    return read_bounded(path, limit_bytes=LINES_LIMIT_BYTES, follow=False)


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Each run after the one that it continues, otherwise as given: names only have the wall clock."""
    ids = {run.id: n for n, run in enumerate(runs) if run.lines}
    found: dict[int, Run] = {}

    def put(n: int, coming: frozenset[int]) -> None:
        start = runs[n].start
        before = ids.get(start.continues) if start and start.continues else None
        if before is not None and before not in coming:
            put(before, coming | {before})
        found.setdefault(n, runs[n])

    for n in range(len(runs)):
        put(n, frozenset({n}))
    return list(found.values())


def read(directory: Path, log: str = LOG) -> Run:
    """Read a record. UsageError if there is none, or with the number of a line that is wrong.

    log: its file in the directory, which also has the evidence
    """
    path = directory / log
    if not os.path.lexists(path):
        raise UsageError(
            f"no record at {path}: No such file or directory; give a run's directory, reports/runs/..."
        )
    data = read_bounded(path, limit_bytes=LINES_LIMIT_BYTES, follow=False)
    found = Lines.split(data)
    run = Run(directory, tuple([_line(path, number, line) for number, line in enumerate(found.whole, 1)]))
    notes = [found.note] if found.note else []
    if not run.ended:
        notes.append("the run did not end: it was killed, or it is still running")
    return evolve(run, notes=tuple(notes), sha256=hashlib.sha256(data).hexdigest(), log=log)


def append_to(
    directory: Path, lines: Iterable[RecordLine], clock: Clock, secrets: frozenset[str] = frozenset()
) -> None:
    """Append lines to the record of a run that ended; their heads are of the same run and board.

    UsageError: no complete record.
    """
    run = read(directory)
    if run.notes:
        raise UsageError(f"{directory / LOG}: {'; '.join(run.notes)}; nothing is added to it")
    last = run.lines[-1].head
    log = AppendFile.resume(directory / LOG)
    try:
        for n, line in enumerate(lines, len(run.lines)):
            now = iso(clock.utc_s(), "microseconds")
            head = evolve(last, v=VERSION, n=n, utc=now, mono_ns=clock.mono_ns())
            log.append(redact_all(encode(evolve(line, head=head)), secrets))
        log.sync()
    finally:
        log.close()


def _line(path: Path, number: int, text: bytes) -> RecordLine:
    try:
        return decode(text)
    except ValueError as e:
        raise UsageError(f"{path}:{number}: {e}") from e
