# SPDX-License-Identifier: MIT
"""What the plugin knows about the run that goes on: its record, its tests, what broke first."""

import inspect
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import pytest
from attrs import asdict, define, field

import mpbench
from mpbench.board.identification import About
from mpbench.core.evidence import Evidence
from mpbench.core.facts import Measurement, Verdict
from mpbench.core.provenance import is_virtual, provenance
from mpbench.core.record import Clock, Record, new_directory
from mpbench.core.step import Step
from mpbench.harness.verdicts import Found, of_measurement, of_test

MARKER = "requirement"
"""`@pytest.mark.requirement("ID", ...)`: which requirements a test case traces to."""

CHECKOUT = Path(mpbench.__file__).resolve().parents[2]
"""Where the test cases, targets and reports stand."""

BOARD_IDS = ("serial", "soc_serial", "model")
"""What names a board, best first."""


def _nobody_listens(item: pytest.Item | None, what: str) -> None:
    """Where a run's events go without a display."""


def _nobody_else() -> None:
    """The lock of a board that no coordinator gives away."""


@define
class RunState:
    """The tests that ask for a board, from collection to the end of the session.

    blocked: why no further test can run, "" as long as the board is usable
    lock:    raises InfrastructureError when the board is no longer this run's; let_go: ends it
    variables: the environment as the operator left it
    note:    told when a test begins, when a step of it is done, and (None) when it has ended
    alone:   the host's own lock of the board, held until the process ends
    brought: what the run brought to the board, by name; it becomes provenance when the run ends
    """

    record: Record | None = None
    clock: Clock = field(factory=Clock)
    blocked: str = ""
    board: About | None = None
    waiting: dict[str, pytest.Item] = field(factory=dict)
    phases: list[Found] = field(factory=list)
    found: dict[str, Found] = field(factory=dict)
    page: Path | None = None
    trouble: str = ""
    failed_reports: int = 0
    call_ns: int = 0
    lock: Callable[[], None] = _nobody_else
    let_go: Callable[[], None] = _nobody_else
    brought: dict[str, str] = field(factory=dict)
    variables: dict[str, str] = field(factory=lambda: dict(os.environ))
    alone: IO[str] | None = None
    note: Callable[[pytest.Item | None, str], None] = _nobody_listens

    @property
    def directory(self) -> Path | None:
        return self.record.directory if self.record else None

    def verdicts(self) -> list[Verdict]:
        return [f.verdict for f in self.found.values()]

    def open(self, root: Path, target: str, continues: str | None = None) -> None:
        """Begin the record of a run on `target`; `continues`: see the record's schema."""
        self.record = Record(new_directory(root, target, self.clock), uuid.uuid4().hex[:12], self.clock)
        self.record.append(
            "run-start",
            target=target,
            command=["pytest", *sys.argv[1:]],
            bench=bench_version(),
            continues=continues,
        )

    def board_is(self, found: About, more: Mapping[str, str]) -> None:
        """Record who the board is, and `more`; from now on every line carries its id and boot_id."""
        self.board = found
        entries = dict(found.provenance.entries) | dict(more)
        if self.record:
            self.record.board = next((entries[k] for k in BOARD_IDS if k in entries), None)
            self.record.boot = entries.get("boot_id")
        self._provenance(entries, found.virtual, found.evidence)

    def heard(self, consoles: Evidence) -> None:
        """Record what the consoles said of a board that can't be used, and the versions in it."""
        found = provenance(consoles)
        virtual = self.board.virtual if self.board else is_virtual(found)
        self._provenance(found.entries, virtual, consoles)

    def _provenance(self, entries: Mapping[str, str], virtual: bool, evidence: Evidence) -> None:
        if self.record:
            kept = self.record.keep(evidence.artefacts)
            self.record.append("provenance", entries=dict(entries), virtual=virtual, evidence=kept)

    def begin(self, item: pytest.Item) -> None:
        """A test begins."""
        self.waiting.pop(item.nodeid, None)
        self.phases = []
        self.call_ns = 0
        self.note(item, "")
        if self.record:
            self.record.append(
                "test-start",
                test=id_of(item),
                core=core_of(item),
                title=title_of(item),
                requirements=requirements_of(item),
            )

    def end(self, item: pytest.Item) -> None:
        """A test ends; its lines are on the disk afterwards."""
        found = of_test(self.phases)
        self.found[item.nodeid] = found
        if self.record:
            self.record.append(
                "test-end",
                test=id_of(item),
                verdict=found.verdict.value,
                reason=found.reason,
                duration_ns=self.call_ns,
            )
            self.record.sync()
        self.note(None, found.verdict.value)

    def skip_rest(self, reason: str) -> None:
        """What was collected and never began is NOT-RUN."""
        for item in list(self.waiting.values()):
            self.begin(item)
            self.phases = [Found(Verdict.NOT_RUN, reason)]
            self.end(item)

    def step(self, item: pytest.Item, step: Step) -> None:
        """Record a step of a test, and when what happened in it."""
        self.note(item, f"{step.name} on {step.core}")
        if self.record:
            append_step(self.record, id_of(item), step)

    def measurement(self, item: pytest.Item, m: Measurement) -> None:
        """Record a measurement of a test; outside its limits, or close to them, it decides the verdict."""
        if m.verdict is not Verdict.PASS:
            self.phases.append(of_measurement(m))
        self.add(item, "measurement", **asdict(m), verdict=m.verdict.value)

    def add(self, item: pytest.Item, kind: str, **values: Any) -> None:
        """Record any other line of a test."""
        if self.record:
            self.record.append(kind, test=id_of(item), **values)

    def close(self) -> None:
        """End the record."""
        if self.record:
            if self.board and self.brought:
                self._provenance(self.brought, self.board.virtual, Evidence())
            counts = Counter(v.value for v in self.verdicts())
            self.record.append("run-end", counts=dict(counts))
            self.record.close()


def append_step(record: Record, test: str, step: Step) -> None:
    """Put a step into the record: its evidence first, then when things happened in it."""
    record.append(
        "step",
        test=test,
        name=step.name,
        core=step.core,
        fields=[asdict(f) | {"agreement": f.agreement.value} for f in step.comparison.fields],
        evidence=record.keep(step.evidence.artefacts),
        duration_ns=step.duration_ns,
    )
    if step.events:
        record.append(
            "timeline",
            test=test,
            name=f"{step.name} on {step.core}",
            events=[list(event) for event in step.events],
            source="the board's clock: kernel log and trace buffer",
        )


RUN = pytest.StashKey[RunState]()


def of(config: pytest.Config) -> RunState:
    """The run of this pytest process."""
    return config.stash[RUN]


def is_board_test(item: pytest.Item) -> bool:
    """Whether a test asks for a board."""
    return "env" in getattr(item, "fixturenames", ())


def id_of(item: pytest.Item) -> str:
    """Node id relative to the checkout, wherever pytest was started."""
    path = item.path.resolve()
    inside = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path
    return "::".join([inside.as_posix(), *item.nodeid.split("::")[1:]])


def core_of(item: pytest.Item) -> str | None:
    """The core that a test is about, None for the board as a whole."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("core") if callspec else None


def title_of(item: pytest.Item) -> str:
    """The sentence that a test proves: first paragraph of its docstring."""
    text = inspect.getdoc(getattr(item, "obj", None)) or ""
    return " ".join(text.split("\n\n")[0].split())


def requirements_of(item: pytest.Item) -> list[str]:
    """Ids of the requirements that a test case names, each once, in order."""
    named = [str(name) for mark in item.iter_markers(MARKER) for name in mark.args]
    return list(dict.fromkeys(named))


def bench_version() -> str:
    """Version of mpbench and commit of its checkout, with "+" if files differ from the commit."""
    version = metadata.version("mpbench")
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version} ({described.stdout.strip()})"
