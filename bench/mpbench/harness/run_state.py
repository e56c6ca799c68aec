# SPDX-License-Identifier: MIT
"""The current run: its record, its tests, why the board is unusable if it is."""

import contextlib
import inspect
import os
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from attrs import define, evolve, field

from mpbench.board.identification import About
from mpbench.core.evidence import Evidence
from mpbench.core.facts import Measurement, Provenance, Verdict
from mpbench.core.lines import (
    MeasurementLine,
    PlanLine,
    ProvenanceLine,
    RecordLine,
    RunEnd,
    RunStart,
    StepLine,
    TestEnd,
    TestLine,
    TestStart,
    TimelineLine,
)
from mpbench.core.provenance import is_virtual, provenance
from mpbench.core.record import Clock, Record, new_directory
from mpbench.core.secrets import secret_values
from mpbench.core.shared_files import SHARED
from mpbench.core.step import Step
from mpbench.core.verdict import EVIDENCE, Execution, Judgement, RunOutcome, of_several, of_unit, selection
from mpbench.core.version import bench_version
from mpbench.harness.fixtures_used import LABGRID, OURS, uses
from mpbench.harness.host_lock import HostLock
from mpbench.harness.resume import Resumed
from mpbench.harness.verdicts import PhaseVerdict, of_measurement, of_test

MARKER = "requirement"
"""`@pytest.mark.requirement("ID", ...)`: which requirements a test case traces to."""

NOTHING_SEEN = PhaseVerdict(
    Verdict.INVALID, "no result of this test was seen: the process ended, or a plug-in ran it in another one"
)
"""Of a test that pytest started and that has no result."""

UNIT = "MPBENCH_UNIT"
"""Environment variable by which a night names the job and the place of a run."""

BOARD_IDS = ("serial", "soc_serial", "model")
"""Provenance entries that identify a board, best first."""


@define
class RunState:
    """The tests that ask for a board, from collection to the end of the session.

    blocked:   why no further test can run, "" while the board is usable
    misconfigured: the board was never reached, because of a mistake in the configuration
    boot:      the board's boot_id as it was last known, "" for unknown
    unreached: tests in a row that did not reach the board
    waiting:   planned tests that have not started; current: the one that runs; executions: those that ended
    continued: what the runs left that this one continues
    calling:   whether a test is being called: reports that are made then are of its subtests
    why:       why the session ends before everything planned has run, "" for a regular end
    uncollected: test files that could not be collected
    skipped:   test files that skipped themselves, with their reason
    lock:      raises InfrastructureError when the board is no longer this run's; release: gives it up;
               without a coordinator both do nothing
    variables: the environment variables with which the run was started
    evidenced: requirements that have a verdict on the board
    on_event:  called when a test starts, when a step of it is done, and with None when it has ended
    host_lock: this host's own lock of the board, held until the process ends
    uploaded:  hashes of what the run uploaded, by name; they become provenance when the run ends
    """

    record: Record | None = None
    clock: Clock = field(factory=Clock)
    blocked: str = ""
    misconfigured: bool = False
    board: About | None = None
    boot: str = ""
    unreached: int = 0
    waiting: list[pytest.Item] = field(factory=list)
    current: pytest.Item | None = None
    phases: list[PhaseVerdict] = field(factory=list)
    executions: list[Execution] = field(factory=list)
    evidenced: set[str] = field(factory=set)
    why: str = ""
    others_failed: int = 0
    page: Path | None = None
    trouble: str = ""
    plan: PlanLine | None = None
    summarized: bool = False
    failed_reports: int = 0
    uncollected: int = 0
    skipped: list[str] = field(factory=list)
    call_ns: int = 0
    calling: bool = False
    continued: Resumed = field(factory=Resumed)
    lock: Callable[[], None] = lambda: None
    release: Callable[[], None] = lambda: None
    uploaded: dict[str, str] = field(factory=dict)
    variables: dict[str, str] = field(factory=lambda: dict(os.environ))
    host_lock: HostLock | None = None
    on_event: Callable[[pytest.Item | None, str], None] = lambda _item, _what: None

    @property
    def directory(self) -> Path | None:
        return self.record.directory if self.record else None

    def verdicts(self) -> list[Verdict]:
        return [e.verdict for e in self.executions]

    def judgement(self) -> Judgement:
        """The verdict of the run as it is now: that which a reader of its record finds."""
        return of_several([of_unit([self._outcome()])], [self.trouble] if self.trouble else [])

    def _outcome(self) -> RunOutcome:
        return RunOutcome(
            planned=self.plan.tests if self.plan else None,
            executions=tuple(self.executions),
            why=self.why,
            others=self.others_failed,
            cases=self.plan.cases if self.plan else 0,
            settled=self.plan.settled if self.plan else 0,
            earlier=self.plan.earlier if self.plan else (),
        )

    def remarks(self) -> list[str]:
        """What was not selected, and which requirements have no evidence, a line each."""
        outcome = self._outcome()
        selected = selection([outcome])
        found = [f"partial: {selected}"] if selected and selected.partial else []
        found += filter(None, [outcome.not_again])
        found += self.plan.remarks() if self.plan else []
        left = [name for name in (self.plan.requirements if self.plan else ()) if name not in self.evidenced]
        ids = sorted((name.partition(":")[0] for name in left), key=lambda name: (len(name), name))
        return found + ([f"requirements without evidence: {', '.join(ids)}"] if ids else [])

    def open(
        self,
        root: Path,
        target: str,
        plan: PlanLine,
        continues: str | None = None,
        asked: Iterable[RecordLine] = (),
    ) -> None:
        """Start the record of a run on `target` with its plan; `continues`: id of the run that it resumes.

        asked: lines of what target file and command line add, as notes
        """
        self.plan = plan
        directory, secrets = new_directory(root, target, self.clock), secret_values(self.variables)
        self.record = Record(directory, uuid.uuid4().hex[:12], self.clock, secrets)
        unit = self.variables.get(UNIT, "")
        self.record.append(RunStart(target, ("pytest", *sys.argv[1:]), bench_version(), continues, unit))
        for line in (plan, *asked):
            self.record.append(line)
        self.record.sync()

    def identified(self, found: About, more: Mapping[str, str]) -> None:
        """Record the board's identification and `more`; every later line carries its id and boot_id.

        UsageError: the run that this one continues was on another board, or of other software.
        """
        entries = dict(found.provenance.entries) | dict(more)
        board = next((entries[k] for k in BOARD_IDS if k in entries), None)
        self.continued.check_same(entries, board)
        self.board = found = evolve(found, virtual=found.virtual or is_virtual(Provenance(entries)))
        if self.record:
            self.record.board = board
            self.booted(entries.get("boot_id", ""))
        self._provenance(entries, found.virtual, found.evidence)

    def booted(self, boot: str) -> None:
        """Every later line carries this boot_id."""
        self.boot = boot
        if self.record:
            self.record.boot = boot

    def record_consoles(self, consoles: Evidence, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Record the console output of an unusable board, the versions printed there and `more`."""
        found = provenance(consoles)
        virtual = self.board.virtual if self.board else is_virtual(found)
        self._provenance(dict(found.entries) | dict(more), virtual, consoles)

    def _provenance(self, entries: Mapping[str, str], virtual: bool, evidence: Evidence) -> None:
        if self.record:
            kept = self.record.keep(evidence.artefacts)
            self.record.append(ProvenanceLine(dict(entries), virtual, kept))

    def begin(self, item: pytest.Item) -> None:
        """Record that a test starts."""
        with contextlib.suppress(ValueError):  # not planned: another plug-in added or repeats it
            self.waiting.remove(item)
        self.current = item
        self.phases = []
        self.call_ns = 0
        self.on_event(item, "")
        self.add(item, TestStart(core_of(item), title_of(item), requirements_of(item)))

    def end(self, item: pytest.Item) -> None:
        """Record that a test has ended; its lines are synced to the disk."""
        found = of_test(self.phases or [NOTHING_SEEN])
        self.current = None
        self.executions.append(Execution(id_of(item), found.verdict, found.reason))
        if found.verdict in EVIDENCE:
            self.evidenced |= set(requirements_of(item))
        if self.record:
            self.add(item, TestEnd(found.verdict, found.reason, self.call_ns))
            self.record.sync()
        self.on_event(None, found.verdict.value)

    def skip_rest(self, reason: str) -> None:
        """Record every collected test that never started as NOT-RUN."""
        for item in list(self.waiting):
            self.begin(item)
            self.phases = [PhaseVerdict(Verdict.NOT_RUN, reason)]
            self.end(item)

    def step(self, item: pytest.Item, step: Step) -> None:
        """Record a step of a test, and its timeline."""
        self.on_event(item, f"{step.name} on {step.core}")
        if self.record:
            append_step(self.record, id_of(item), step)

    def measurement(self, item: pytest.Item, m: Measurement) -> None:
        """Record a measurement of a test. One outside its limits, or close to them, decides the verdict."""
        if found := of_measurement(m):
            self.phases.append(found)
        self.add(item, MeasurementLine.of(m))

    def add(self, item: pytest.Item, line: TestLine) -> None:
        """Record a line of a test."""
        if self.record:
            self.record.append(evolve(line, test=id_of(item)))

    def close(self) -> None:
        """End the record; one whose directory was removed during the run goes into a temporary one."""
        if self.record:
            elsewhere = None
            if self.record.removed:
                before = self.record.directory
                elsewhere = Path(tempfile.mkdtemp(prefix="mpbench-")) / before.name
                self.trouble = f"{before} was removed during the run; what is left is in {elsewhere}"
            if self.board and self.uploaded:
                self._provenance(self.uploaded, self.board.virtual, Evidence())
            counts = Counter(v.value for v in self.verdicts())
            self.record.append(RunEnd(dict(counts), self.why or self.trouble, self.others_failed))
            if elsewhere:
                self.record.move(elsewhere)
            self.record.close()


def append_step(record: Record, test: str, step: Step) -> None:
    """Append a step to the record: its evidence first, then its timeline."""
    kept = record.keep(step.evidence.artefacts)
    record.append(StepLine(step.name, step.core, step.comparison.fields, kept, step.duration_ns, test=test))
    if step.events:
        source = "the board's clock: kernel log and trace buffer"
        record.append(TimelineLine(f"{step.name} on {step.core}", step.events, source, test=test))


RUN = pytest.StashKey[RunState]()


def of(config: pytest.Config) -> RunState:
    """The RunState of this pytest process."""
    return config.stash[RUN]


def is_board_test(item: pytest.Item) -> bool:
    """Whether a test uses a fixture of the bench, or of labgrid; with --setup-plan nothing is set up."""
    return not item.config.option.setupplan and uses(item, OURS, LABGRID)


def id_of(item: pytest.Item) -> str:
    """Node id; that of a board case is the same wherever it is installed and pytest was started."""
    path = item.path.resolve()
    if not path.is_relative_to(SHARED):
        return item.nodeid
    return "::".join([path.relative_to(SHARED).as_posix(), *item.nodeid.split("::")[1:]])


def core_of(item: pytest.Item) -> str | None:
    """The core that a test is parametrized with, None for a test of the whole board."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("core") if callspec else None


def title_of(item: pytest.Item) -> str:
    """First paragraph of a test's docstring, on one line."""
    text = inspect.getdoc(getattr(item, "obj", None)) or ""
    return " ".join(text.split("\n\n")[0].split())


def requirements_of(item: pytest.Item) -> tuple[str, ...]:
    """Ids of the requirements that a test names, without duplicates, in order."""
    named = [str(name) for mark in item.iter_markers(MARKER) for name in mark.args]
    return tuple(dict.fromkeys(named))
