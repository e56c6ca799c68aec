# SPDX-License-Identifier: MIT
"""What a page shows, as frozen values; summarize.py makes them from records. No markup here. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from mpbench.core.facts import Agreement, Verdict, overall
from mpbench.core.lines import MeasurementLine, WaiverLine
from mpbench.core.verdict import EVIDENCE, Execution, RunOutcome, Selection
from mpbench.report.excerpt import Excerpt
from mpbench.report.figures import Figure
from mpbench.report.quantities import Quantity

BOARD = "board"
"""Column of the tests that concern no single core."""

ASKED = ("model", "compatible", "serial", "soc_id", "soc_revision", "soc_serial", "boot_id",
         "tf-a", "op-tee", "u-boot", "kernel")  # fmt: skip
"""Identification that is read on every board; not every board has all of it."""


@frozen
class ShownField:
    """One field, predicted against observed, as text."""

    name: str
    predicted: str
    observed: str
    agreement: Agreement


@frozen
class Proof:
    """One artefact: its file ("" if it is gone), and the lines of it that matter."""

    name: str
    file: str
    size: int
    excerpt: Excerpt


@frozen
class ShownStep:
    """One step, with its fields and evidence."""

    name: str
    duration_ms: float
    fields: tuple[ShownField, ...]
    proofs: tuple[Proof, ...]


@frozen
class Case:
    """One test case on one core of one board. `anchor` is its place on the page.

    superseded: a later run repeated it, and that one's verdict counts
    waivers:    who accepts its FAIL, and why
    execution:  number of this execution of the test in its run, from 1
    """

    anchor: str
    name: str
    core: str
    title: str
    requirements: tuple[str, ...]
    verdict: Verdict
    reason: str
    duration_ms: float
    boot: str
    epoch: str
    steps: tuple[ShownStep, ...]
    measurements: tuple[MeasurementLine, ...]
    figures: tuple[Figure, ...]
    quantities: tuple[Quantity, ...] = ()
    superseded: bool = False
    waivers: tuple[WaiverLine, ...] = ()
    execution: int = 1

    @property
    def started(self) -> bool:
        """False for a planned test that the end of the run prevented."""
        return Execution(self.name, self.verdict, self.reason).started

    @property
    def sources(self) -> tuple[str, ...]:
        """What measured its figures, each once."""
        drawn = (figure.source for figure in self.figures if figure.source != figure.alt)
        told = (source for quantity in self.quantities for source in quantity.sources)
        return tuple(dict.fromkeys(filter(None, (*drawn, *told))))

    @property
    def function(self) -> str:
        """File and function of the test case."""
        return self.name.partition("[")[0]

    @property
    def parameters(self) -> str:
        """The parameters without the core: `t[m33-flip]` on m33 has `flip`."""
        return without_core(self.name, self.core).partition("[")[2].removesuffix("]")


@frozen
class OperatorNote:
    """What the operator knows; by: who noted it after the run, "" for target file and command line."""

    name: str
    text: str
    by: str


@frozen
class RunView:
    """One run: what was tested and what came of it.

    number:    of the run on the page, from 0
    column:    number of the first run of its lineage
    continues: id of the run that it continues, "" for none
    end, duration_s: when it ended, and how long it took; "" and None for a run that did not end
    sha256:    of the record, as it was read
    operator:  notes of the operator
    roles:     of the signatures that its target file asks for
    outcome:   plan, executions and end, for the verdict
    """

    number: int
    id: str
    label: str
    column: int
    utc: str
    command: str
    bench: str
    virtual: bool
    verdict: Verdict
    notes: tuple[str, ...]
    provenance: Mapping[str, str]
    proofs: tuple[Proof, ...]
    tests: tuple[Case, ...]
    outcome: RunOutcome
    continues: str = ""
    end: str = ""
    duration_s: float | None = None
    sha256: str = ""
    operator: tuple[OperatorNote, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(test.verdict for test in self.tests)


@frozen
class MatrixRow:
    """Parameters of a test case, and its case in every column (None: not run there)."""

    parameters: str
    cells: tuple[Case | None, ...]


@frozen
class Group:
    """A test function: its sentence, its lines of the matrix, its cases in order."""

    function: str
    title: str
    rows: tuple[MatrixRow, ...]
    cases: tuple[tuple[RunView, Case], ...]

    @property
    def verdict(self) -> Verdict:
        return overall(case.verdict for _, case in self.cases if not case.superseded)

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(case.verdict for _, case in self.cases if not case.superseded)


@frozen
class Requirement:
    """A requirement, the cases that trace to it, and what came of them."""

    id: str
    cases: tuple[Case, ...]

    @property
    def verdict(self) -> Verdict:
        """Verified only if every case passed: NOT-RUN is no pass."""
        found = [case.verdict for case in self.cases]
        return Verdict.NOT_RUN if _only_some_ran(found) else overall(found)

    @property
    def evidenced(self) -> bool:
        """Whether any of its cases was executed to a verdict on the board."""
        return any(case.verdict in EVIDENCE for case in self.cases)

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(case.verdict for case in self.cases)


@frozen
class Page:
    """All of it. columns: (number of the lineage, its label, core).

    causes:     a line for everything that was planned and did not run
    selections: label of a lineage, how much was selected there
    """

    verdict: Verdict
    causes: tuple[str, ...]
    selections: tuple[tuple[str, Selection], ...]
    runs: tuple[RunView, ...]
    columns: tuple[tuple[int, str, str], ...]
    groups: tuple[Group, ...]
    requirements: tuple[Requirement, ...]

    @property
    def cases(self) -> tuple[Case, ...]:
        """Those whose verdict counts."""
        return tuple(test for run in self.runs for test in run.tests if not test.superseded)

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(test.verdict for test in self.cases)

    @property
    def ran(self) -> int:
        """Test cases that were executed."""
        return sum(case.verdict not in (Verdict.NOT_RUN, Verdict.BLOCKED) for case in self.cases)

    @property
    def measured(self) -> tuple[tuple[Verdict | None, int], ...]:
        """How often each verdict was given to a measurement; last those without limits, which have none."""
        found = Counter(m.verdict for case in self.cases for m in case.measurements)
        return tuple((v, found[v]) for v in (*Verdict, None) if found[v])

    @property
    def attention(self) -> tuple[Case, ...]:
        """What a reader has to look at before signing."""
        return tuple(case for case in self.cases if case.verdict is not Verdict.PASS)

    @property
    def failed(self) -> tuple[Case, ...]:
        """What failed or broke, FAIL first."""
        bad = (Verdict.FAIL, Verdict.ERROR, Verdict.INFRA, Verdict.INVALID)
        return tuple(case for verdict in bad for case in self.cases if case.verdict is verdict)

    @property
    def virtual(self) -> bool:
        return any(run.virtual for run in self.runs)

    @property
    def partial(self) -> tuple[str, ...]:
        """A line for every lineage in which only some of the test cases were selected."""
        several = len({run.column for run in self.runs}) > 1
        return tuple(
            f"{label}: {found}" if several else str(found)
            for label, found in self.selections
            if found.partial
        )

    @property
    def without_evidence(self) -> tuple[str, ...]:
        """Requirements of which no test case was executed."""
        return tuple(r.id for r in self.requirements if not r.evidenced)


def _only_some_ran(verdicts: Sequence[Verdict]) -> bool:
    """No case went wrong, but at least one was not run."""
    return set(verdicts) <= {Verdict.PASS, Verdict.MARGINAL, Verdict.NOT_RUN} and Verdict.NOT_RUN in verdicts


def count(verdicts: Iterable[Verdict]) -> tuple[tuple[Verdict, int], ...]:
    """How often each verdict was given, in the order of the enumeration, zeros left out."""
    found = Counter(verdicts)
    return tuple((v, found[v]) for v in Verdict if found[v])


def without_core(name: str, core: str) -> str:
    """Name of a test case without the core among its parameters: `t[m33-flip]` on m33 is `t[flip]`."""
    found = re.fullmatch(r"(.*?)\[(.*)\]", name, re.DOTALL)
    if not found:
        return name
    parts = [part for part in found[2].split("-") if part != core]
    return f"{found[1]}[{'-'.join(parts)}]" if parts else found[1]
