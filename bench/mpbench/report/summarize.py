# SPDX-License-Identifier: MIT
"""From records to what a page shows; it claims nothing beyond the record."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from attrs import define, evolve, field

from mpbench.core.facts import Verdict, overall
from mpbench.core.lines import (
    EvidenceRef,
    MeasurementLine,
    ProvenanceLine,
    RunEnd,
    RunStart,
    SignaturesLine,
    StepLine,
    TestEnd,
    TestLine,
    TestStart,
)
from mpbench.core.record import Run
from mpbench.layout import tee_name
from mpbench.report.excerpt import excerpt
from mpbench.report.figures import FIGURES, figure
from mpbench.report.model import (
    ASKED,
    BOARD,
    Case,
    Group,
    MatrixRow,
    Page,
    Proof,
    Requirement,
    RunView,
    ShownField,
    ShownStep,
)
from mpbench.report.signing import operator_notes, waived


def summarize(runs: Iterable[Run]) -> Page:
    """One page about several runs; the worst verdict that counts is the page's."""
    views = _superseding(_labelled(tuple(_run(number, run) for number, run in enumerate(runs))))
    columns = tuple(dict.fromkeys((v.column, views[v.column].label, t.core) for v in views for t in v.tests))
    ends = [v.verdict for v in views]
    return Page(overall(ends), views, columns, _groups(views, columns), _requirements(views))


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
    """The artefacts of a run; equal bytes under one name are read once."""

    run: Run
    _seen: dict[tuple[str, str], Proof] = field(factory=dict)

    def of(self, refs: Iterable[EvidenceRef]) -> tuple[Proof, ...]:
        """Those of a line."""
        return tuple([self._proof(ref.name, ref.file, ref.size) for ref in refs])

    def _proof(self, name: str, file: str, size: int) -> Proof:
        if (name, file) not in self._seen:
            data = self.run.evidence(file)
            self._seen[name, file] = Proof(name, "" if data is None else file, size, excerpt(name, data))
        return self._seen[name, file]


def _run(number: int, run: Run) -> RunView:
    start, proofs = run.start or RunStart("", (), "", None), Proofs(run)
    end = next(run.of(RunEnd), None)
    tests = waived(
        run, tuple(_test(f"r{number}t{n}", proofs, lines) for n, lines in enumerate(_by_test(run)))
    )
    about = list(run.of(ProvenanceLine))
    entries = {name: text for line in about for name, text in line.entries.items()}
    return RunView(
        id=run.id,
        label=start.target or run.id or "run",
        column=number,
        utc=_seconds(start.head.utc),
        command=" ".join(start.command),
        bench=start.bench,
        virtual=any(line.virtual for line in about),
        verdict=overall([t.verdict for t in tests] + ([] if run.ended else [Verdict.INVALID])),
        notes=run.notes + ((f"continues run {start.continues}",) if start.continues else ()),
        provenance=dict(sorted(entries.items(), key=_order)),
        proofs=tuple(p for line in about for p in proofs.of(line.evidence) if _is_log(p)),
        tests=tests,
        continues=start.continues or "",
        end=_seconds(end.head.utc) if end else "",
        duration_s=(end.head.mono_ns - start.head.mono_ns) / 1e9 if end else None,
        sha256=run.sha256,
        operator=operator_notes(run),
        roles=tuple(role for line in run.of(SignaturesLine) for role in line.roles),
    )


def _seconds(utc: str) -> str:
    return utc[:19].replace("T", " ")


def _labelled(views: tuple[RunView, ...]) -> tuple[RunView, ...]:
    """Runs of one target are labelled by their place, else their board, else their time."""
    for more in ("place", "serial", ""):
        often = Counter(view.label for view in views)
        views = tuple(_with_label(view, more) if often[view.label] > 1 else view for view in views)
    return views


def _with_label(view: RunView, more: str) -> RunView:
    text = view.provenance.get(more, "") if more else view.utc
    return evolve(view, label=f"{view.label} {text}") if text else view


def _superseding(views: tuple[RunView, ...]) -> tuple[RunView, ...]:
    """A run that continues another has its column; a repeated test supersedes the earlier one."""
    number_of = {view.id: n for n, view in enumerate(views)}
    found = list(views)
    for n, view in enumerate(views):
        first = number_of.get(view.continues, n)
        if first < n:
            found[n] = evolve(view, column=found[first].column)
            again = {test.name for test in view.tests}
            for earlier in range(n):
                if found[earlier].column == found[n].column:
                    found[earlier] = _without(found[earlier], again)
    return tuple(found)


def _without(view: RunView, again: set[str]) -> RunView:
    tests = tuple(evolve(t, superseded=True) if t.name in again else t for t in view.tests)
    return evolve(view, tests=tests, verdict=overall(t.verdict for t in tests if not t.superseded))


_FIRST = (*ASKED[:7], "place", *ASKED[7:])


def _order(entry: tuple[str, str]) -> tuple[int, str]:
    """The board first, then what runs on it from the first boot stage on, then the rest by name."""
    known = _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST)
    return known, entry[0]


def _is_log(proof: Proof) -> bool:
    """Single files of the board are in the list already; consoles are worth a link."""
    return not proof.name.startswith("about.")


def _by_test(run: Run) -> list[list[TestLine]]:
    """The lines of each test, in the order in which the tests started."""
    found: dict[str, list[TestLine]] = {}
    for line in run.of(TestLine):
        found.setdefault(line.test, []).append(line)
    return list(found.values())


KILLED = "aborted: the run was killed in this test, there is no verdict"


def _test(anchor: str, proofs: Proofs, lines: list[TestLine]) -> Case:
    first, last = lines[0], lines[-1]
    start = first if isinstance(first, TestStart) else TestStart(None, "")
    end = next((line for line in lines if isinstance(line, TestEnd)), TestEnd(Verdict.INVALID, KILLED, 0))
    return Case(
        anchor=anchor,
        name=first.test,
        core=start.core or BOARD,
        title=start.title,
        requirements=start.requirements,
        verdict=end.verdict,
        reason=end.reason,
        duration_ms=end.duration_ns / 1e6,
        boot=last.head.boot or "",
        epoch=last.head.epoch or "",
        steps=tuple([_step(proofs, line) for line in lines if isinstance(line, StepLine)]),
        measurements=tuple([line for line in lines if isinstance(line, MeasurementLine)]),
        figures=tuple([figure(line) for line in lines if type(line) in FIGURES]),
    )


def _step(proofs: Proofs, line: StepLine) -> ShownStep:
    fields = [
        ShownField(f.name, shown(f.name, f.predicted), shown(f.name, f.observed), f.agreement)
        for f in line.fields
    ]
    return ShownStep(
        f"{line.name} on {line.core}", line.duration_ns / 1e6, tuple(fields), proofs.of(line.evidence)
    )


Column = tuple[int, str, str]


def _groups(views: tuple[RunView, ...], columns: Sequence[Column]) -> tuple[Group, ...]:
    """The functions in the order of their first case."""
    cases: dict[str, list[tuple[RunView, Case]]] = {}
    for view in views:
        for test in view.tests:
            cases.setdefault(test.function, []).append((view, test))
    return tuple(
        Group(function, found[0][1].title, tuple(_rows(found, columns)), tuple(found))
        for function, found in cases.items()
    )


def _rows(cases: Sequence[tuple[RunView, Case]], columns: Sequence[Column]) -> Iterator[MatrixRow]:
    cells: dict[str, dict[tuple[int, str], Case]] = {}
    for view, test in cases:
        cells.setdefault(test.parameters, {})[view.column, test.core] = test
    for parameters, by_column in cells.items():
        yield MatrixRow(parameters, tuple(by_column.get((number, core)) for number, _, core in columns))


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
    """Order in which REQ-9 is before REQ-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
