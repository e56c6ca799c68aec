# SPDX-License-Identifier: MIT
"""What a page shows, as frozen values made from records. No markup here, and no claim beyond the record."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from attrs import define, evolve, field, frozen

from mpbench.core.facts import Agreement, Verdict, overall
from mpbench.core.record import Run
from mpbench.layout import tee_name
from mpbench.report.excerpt import Excerpt, excerpt
from mpbench.report.figures import FIGURES, Figure, figure

Line = Mapping[str, Any]

BOARD = "board"
"""Column of the tests that concern no single core."""

ASKED = ("model", "compatible", "serial", "soc_id", "soc_revision", "soc_serial", "boot_id",
         "tf-a", "op-tee", "u-boot", "kernel")  # fmt: skip
"""What every board is asked of itself; some say less than others."""

_FIRST = (*ASKED[:7], "place", *ASKED[7:])


@frozen
class Field:
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
class Step:
    name: str
    duration_ms: float
    fields: tuple[Field, ...]
    proofs: tuple[Proof, ...]


@frozen
class Case:
    """One test case on one core of one board. `anchor` is its place on the page.

    superseded: a later run took it up again, and that one's verdict counts
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
    steps: tuple[Step, ...]
    measurements: tuple[Line, ...]
    figures: tuple[Figure, ...]
    superseded: bool = False

    @property
    def function(self) -> str:
        """File and function of the test case."""
        return self.name.partition("[")[0]

    @property
    def parameters(self) -> str:
        """The parameters without the core: `t[m33-flip]` on m33 has `flip`."""
        return without_core(self.name, self.core).partition("[")[2].removesuffix("]")


@frozen
class RunView:
    """One run: what was tested and what came of it. `column`: number of the first run of its lineage."""

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

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(test.verdict for test in self.tests)


@frozen
class Row:
    """One line of the matrix: parameters of a test case, and its case in every column (None: not asked)."""

    parameters: str
    cells: tuple[Case | None, ...]


@frozen
class Group:
    """A test function: its sentence, its lines of the matrix, its cases in order."""

    function: str
    title: str
    rows: tuple[Row, ...]
    cases: tuple[tuple[RunView, Case], ...]

    @property
    def verdict(self) -> Verdict:
        return overall(case.verdict for _, case in self.cases if not case.superseded)


@frozen
class Requirement:
    """A requirement, the cases that trace to it, and what came of them."""

    id: str
    cases: tuple[Case, ...]

    @property
    def verdict(self) -> Verdict:
        """Verified only if every case that was asked passed: NOT-RUN is no pass."""
        found = [case.verdict for case in self.cases]
        return Verdict.NOT_RUN if _only_some_ran(found) else overall(found)

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(case.verdict for case in self.cases)


@frozen
class Page:
    """All of it. columns: (number of the lineage, its label, core)."""

    verdict: Verdict
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
    def measured(self) -> tuple[tuple[Verdict | None, int], ...]:
        """How often each verdict was given to a measurement; last those without limits, which have none."""
        found = Counter(m["verdict"] for case in self.cases for m in case.measurements)
        words = (*Verdict, None)
        return tuple((v, n) for v in words if (n := found[v.value if v else None]))

    @property
    def attention(self) -> tuple[Case, ...]:
        """What a reader has to look at before he signs."""
        return tuple(case for case in self.cases if case.verdict is not Verdict.PASS)

    @property
    def virtual(self) -> bool:
        return any(run.virtual for run in self.runs)


def _only_some_ran(verdicts: Sequence[Verdict]) -> bool:
    """No case went wrong, but at least one was not run."""
    return set(verdicts) <= {Verdict.PASS, Verdict.MARGINAL, Verdict.NOT_RUN} and Verdict.NOT_RUN in verdicts


def summarize(runs: Iterable[Run]) -> Page:
    """One page about several runs; the worst verdict that counts is the page's."""
    views = _superseding(_labelled(tuple(_run(number, run) for number, run in enumerate(runs))))
    columns = tuple(dict.fromkeys((v.column, views[v.column].label, t.core) for v in views for t in v.tests))
    ends = [v.verdict for v in views]
    return Page(overall(ends), views, columns, _groups(views, columns), _requirements(views))


def count(verdicts: Iterable[Verdict]) -> tuple[tuple[Verdict, int], ...]:
    """How often each verdict was given, in the order of the enumeration, zeros left out."""
    found = Counter(verdicts)
    return tuple((v, found[v]) for v in Verdict if found[v])


def shown(name: str, value: object) -> str:
    """A field's value as people read it: TEE codes in hexadecimal, nothing as a word."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "tee_code" and isinstance(value, int):
        return (
            f"{value:#010x} {tee_name(value).removeprefix('TEE_ERROR_')}" if value else "0 (nothing refused)"
        )
    return str(value) or "(none)"


@define
class Proofs:
    """The artefacts of a run; the same bytes under the same name are looked at once."""

    run: Run
    _seen: dict[tuple[str, str], Proof] = field(factory=dict)

    def of(self, line: Line) -> tuple[Proof, ...]:
        """Those of a line."""
        return tuple(
            self._proof(str(ref["name"]), str(ref["file"]), int(ref["size"])) for ref in line["evidence"]
        )

    def _proof(self, name: str, file: str, size: int) -> Proof:
        if (name, file) not in self._seen:
            data = self.run.evidence(file)
            self._seen[name, file] = Proof(name, "" if data is None else file, size, excerpt(name, data))
        return self._seen[name, file]


def _run(number: int, run: Run) -> RunView:
    start = next((line for line in run.lines if line["kind"] == "run-start"), {})
    proofs = Proofs(run)
    tests = tuple(_test(f"r{number}t{n}", proofs, lines) for n, lines in enumerate(_by_test(run)))
    about = [line for line in run.lines if line["kind"] == "provenance"]
    entries = {str(k): str(v) for line in about for k, v in line["entries"].items()}
    return RunView(
        id=str(run.lines[0]["run"]) if run.lines else "",
        label=str(start.get("target") or run.directory.name),
        column=number,
        utc=str(start.get("utc", ""))[:19].replace("T", " "),
        command=" ".join(map(str, start.get("command", ()))),
        bench=str(start.get("bench", "")),
        virtual=any(line["virtual"] for line in about),
        verdict=overall([t.verdict for t in tests] + ([] if _ended(run) else [Verdict.INVALID])),
        notes=run.notes + ((f"continues run {start['continues']}",) if start.get("continues") else ()),
        provenance=dict(sorted(entries.items(), key=_order)),
        proofs=tuple(p for line in about for p in proofs.of(line) if _is_log(p)),
        tests=tests,
    )


def _ended(run: Run) -> bool:
    return any(line["kind"] == "run-end" for line in run.lines)


def _labelled(views: tuple[RunView, ...]) -> tuple[RunView, ...]:
    """Runs of the same target are told apart by their place, else their board, else their time."""
    for more in ("place", "serial", ""):
        often = Counter(view.label for view in views)
        views = tuple(_with_label(view, more) if often[view.label] > 1 else view for view in views)
    return views


def _with_label(view: RunView, more: str) -> RunView:
    text = view.provenance.get(more, "") if more else view.utc
    return evolve(view, label=f"{view.label} {text}") if text else view


def _superseding(views: tuple[RunView, ...]) -> tuple[RunView, ...]:
    """A run that continues another stands in its column; what it asked again counts there no more."""
    number_of = {view.id: n for n, view in enumerate(views)}
    found = list(views)
    for n, view in enumerate(views):
        first = number_of.get(_continues(view), n)
        if first < n:
            found[n] = evolve(view, column=found[first].column)
            again = {test.name for test in view.tests}
            for earlier in range(n):
                if found[earlier].column == found[n].column:
                    found[earlier] = _without(found[earlier], again)
    return tuple(found)


def _continues(view: RunView) -> str:
    notes = (note.removeprefix("continues run ") for note in view.notes if note.startswith("continues run "))
    return next(notes, "")


def _without(view: RunView, again: set[str]) -> RunView:
    tests = tuple(evolve(t, superseded=True) if t.name in again else t for t in view.tests)
    return evolve(view, tests=tests, verdict=overall(t.verdict for t in tests if not t.superseded))


def _order(entry: tuple[str, str]) -> tuple[int, str]:
    """The board first, then what runs on it from the first boot stage on, then the rest by name."""
    known = _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST)
    return known, entry[0]


def _is_log(proof: Proof) -> bool:
    """Single files of the board stand in the list already; consoles are worth a link."""
    return not proof.name.startswith("about.")


def _by_test(run: Run) -> list[list[Line]]:
    """The lines of each test, in the order in which the tests began."""
    found: dict[str, list[Line]] = {}
    for line in run.lines:
        if "test" in line:
            found.setdefault(line["test"], []).append(line)
    return list(found.values())


def _test(anchor: str, proofs: Proofs, lines: list[Line]) -> Case:
    first = lines[0]
    end = next((line for line in lines if line["kind"] == "test-end"), None)
    return Case(
        anchor=anchor,
        name=str(first["test"]),
        core=str(first.get("core") or BOARD),
        title=str(first.get("title", "")),
        requirements=tuple(str(name) for name in first.get("requirements", ())),
        verdict=Verdict(end["verdict"]) if end else Verdict.INVALID,
        reason=str(end["reason"]) if end else "aborted: the run was killed in this test, there is no verdict",
        duration_ms=end["duration_ns"] / 1e6 if end else 0.0,
        boot=str(lines[-1].get("boot") or ""),
        epoch=str(lines[-1].get("epoch") or ""),
        steps=tuple(_step(proofs, line) for line in lines if line["kind"] == "step"),
        measurements=tuple(line for line in lines if line["kind"] == "measurement"),
        figures=tuple(figure(line) for line in lines if line["kind"] in FIGURES),
    )


def _step(proofs: Proofs, line: Line) -> Step:
    return Step(
        name=f"{line['name']} on {line['core']}",
        duration_ms=line["duration_ns"] / 1e6,
        fields=tuple(_field(f) for f in line["fields"]),
        proofs=proofs.of(line),
    )


def _field(f: Line) -> Field:
    name = str(f["name"])
    values = (shown(name, f["predicted"]), shown(name, f["observed"]))
    return Field(name, *values, Agreement(f["agreement"]))


Column = tuple[int, str, str]


def _groups(views: tuple[RunView, ...], columns: Sequence[Column]) -> tuple[Group, ...]:
    """The functions in the order in which they were met."""
    cases: dict[str, list[tuple[RunView, Case]]] = {}
    for view in views:
        for test in view.tests:
            cases.setdefault(test.function, []).append((view, test))
    return tuple(
        Group(function, found[0][1].title, tuple(_rows(found, columns)), tuple(found))
        for function, found in cases.items()
    )


def _rows(cases: Sequence[tuple[RunView, Case]], columns: Sequence[Column]) -> Iterator[Row]:
    cells: dict[str, dict[tuple[int, str], Case]] = {}
    for view, test in cases:
        cells.setdefault(test.parameters, {})[view.column, test.core] = test
    for parameters, by_column in cells.items():
        yield Row(parameters, tuple(by_column.get((number, core)) for number, _, core in columns))


def _requirements(views: Iterable[RunView]) -> tuple[Requirement, ...]:
    pairs = sorted(
        (
            (name, case)
            for view in views
            for case in view.tests
            if not case.superseded
            for name in case.requirements
        ),
        key=lambda pair: natural(pair[0]),
    )
    return tuple(
        Requirement(name, tuple(case for _, case in found))
        for name, found in groupby(pairs, key=lambda pair: pair[0])
    )


def natural(text: str) -> list[tuple[int, str]]:
    """Order in which REQ-9 stands before REQ-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def without_core(name: str, core: str) -> str:
    """Name of a test case without the core among its parameters: `t[m33-flip]` on m33 is `t[flip]`."""
    found = re.fullmatch(r"(.*?)\[(.*)\]", name, re.DOTALL)
    if not found:
        return name
    parts = [part for part in found[2].split("-") if part != core]
    return f"{found[1]}[{'-'.join(parts)}]" if parts else found[1]
