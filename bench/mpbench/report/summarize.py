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
from mpbench.core.provenance import unconfirmed
from mpbench.core.record import Run
from mpbench.core.verdict import (
    NOT_STARTED,
    Judgement,
    RunOutcome,
    by_execution,
    counting,
    execution,
    missing,
    of_several,
    of_unit,
    outcome,
    selection,
)
from mpbench.layout import tee_name
from mpbench.report.excerpt import excerpt
from mpbench.report.figures import pictures
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
from mpbench.report.prose import prose
from mpbench.report.quantities import quantities
from mpbench.report.signing import operator_notes, waived


def summarize(runs: Iterable[Run], others: Iterable[Judgement] = ()) -> Page:
    """One page about several runs. others: of what counts beside them, as units without a run."""
    known = tuple(runs)
    views = _in_columns(_labelled(tuple(_run(number, run) for number, run in enumerate(known))))
    units = _units(views)
    whole = of_several([*(of_unit([v.outcome for v in unit]) for unit in units), *others])
    judged = {v.number: v for unit in units for v in _judged(unit)}
    views = tuple(judged[v.number] for v in views)
    columns = tuple(dict.fromkeys((v.column, views[v.column].label, t.core) for v in views for t in v.tests))
    selections = ((unit[0].label, selection(v.outcome for v in unit)) for unit in units)
    planned = {name for run in known if run.plan for name in run.plan.requirements}
    return Page(
        verdict=whole.verdict,
        causes=whole.causes,
        selections=tuple((label, found) for label, found in selections if found),
        runs=views,
        columns=columns,
        groups=_groups(views, columns),
        requirements=_requirements(views, planned),
    )


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
        run, tuple(_test(f"r{number}t{n}", proofs, lines) for n, lines in enumerate(by_execution(run)))
    )
    about, entries = list(run.of(ProvenanceLine)), run.provenance
    continued = f"continues run {start.continues}" if start.continues else ""
    return RunView(
        number=number,
        id=run.id,
        label=start.target or run.id or "run",
        column=number,
        utc=_seconds(start.head.utc),
        command=" ".join(start.command),
        bench=start.bench,
        virtual=any(line.virtual for line in about),
        verdict=Verdict.NOT_RUN,  # until the runs that continue it are known
        notes=(
            *run.notes,
            *(run.plan.remarks() if run.plan else ()),
            *filter(None, (unconfirmed(entries), continued)),
        ),
        provenance=dict(sorted(entries.items(), key=_order)),
        proofs=tuple(p for line in about for p in proofs.of(line.evidence) if _is_log(p)),
        tests=_numbered(tests),
        outcome=outcome(run),
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


def _in_columns(views: tuple[RunView, ...]) -> tuple[RunView, ...]:
    """A run that continues another one has its column."""
    number_of = {view.id: n for n, view in enumerate(views)}
    found = list(views)
    for n, view in enumerate(views):
        first = number_of.get(view.continues, n)
        if first < n:
            found[n] = evolve(view, column=found[first].column)
    return tuple(found)


def _units(views: Sequence[RunView]) -> list[list[RunView]]:
    """The runs of each column."""
    return [[v for v in views if v.column == n] for n in dict.fromkeys(v.column for v in views)]


def _judged(unit: Sequence[RunView]) -> Iterator[RunView]:
    """The runs of a unit with what counts of them; what the whole unit lacks is noted at its last run."""
    whole, ids = of_unit([view.outcome for view in unit]), {view.id for view in unit}
    for view, counts in zip(unit, counting([view.outcome for view in unit]), strict=True):
        tests = [evolve(t, superseded=not c) for t, c in zip(view.tests, counts, strict=True)]
        causes, missed = (
            ((), ()) if view is not unit[-1] else (whole.causes, missing(v.outcome for v in unit))
        )
        verdicts = [t.verdict for t in tests if t.started and not t.superseded]
        alone = view.continues not in ids
        verdicts += view.outcome.earlier if alone else ()
        verdicts += [Verdict.FAIL] * bool(view.outcome.others) + [Verdict.INCOMPLETE] * bool(causes)
        notes = dict.fromkeys([*view.notes, *causes, *_remarks(view.outcome, alone)])
        known = {test.name for each in unit for test in each.tests} if missed else set()
        tests += [_never_started(f"r{view.number}m{n}", t) for n, t in enumerate(missed) if t not in known]
        yield evolve(view, tests=tuple(tests), verdict=overall(verdicts), notes=tuple(notes))


def _never_started(anchor: str, name: str) -> Case:
    """The case of a planned test of which the record has no line, because the run was killed."""
    return Case(anchor, name, BOARD, "", (), Verdict.NOT_RUN, NOT_STARTED, 0.0, "", "", (), (), ())


def _remarks(found: RunOutcome, alone: bool) -> Iterator[str]:
    """What a reader has to know of a run beside its tests. alone: without the run that it continues."""
    if alone and found.not_again:
        yield found.not_again
    if found.old:
        yield "plan unknown: this record is older than plans, and does not say which tests were selected"
    if found.others:
        yield f"{found.others} tests of the same session that use no board failed; see the output of pytest"


def _numbered(tests: Iterable[Case]) -> tuple[Case, ...]:
    """A test that was executed several times in one run has several cases, which are numbered."""
    often: Counter[str] = Counter()
    found = []
    for test in tests:
        often[test.name] += 1
        found.append(evolve(test, execution=often[test.name]))
    return tuple(found)


_FIRST = (*ASKED[:7], "place", *ASKED[7:])


def _order(entry: tuple[str, str]) -> tuple[int, str]:
    """The board first, then what runs on it from the first boot stage on, then the rest by name."""
    known = _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST)
    return known, entry[0]


def _is_log(proof: Proof) -> bool:
    """Single files of the board are in the list already; consoles are worth a link."""
    return not proof.name.startswith("about.")


def _test(anchor: str, proofs: Proofs, lines: list[TestLine]) -> Case:
    first, last = lines[0], lines[-1]
    start = first if isinstance(first, TestStart) else TestStart(None, "")
    found = execution(lines)
    return Case(
        anchor=anchor,
        name=first.test,
        core=start.core or BOARD,
        title=prose(start.title),
        requirements=start.requirements,
        verdict=found.verdict,
        reason=prose(found.reason),
        duration_ms=last.duration_ns / 1e6 if isinstance(last, TestEnd) else 0.0,
        boot=last.head.boot or "",
        epoch=last.head.epoch or "",
        steps=tuple([_step(proofs, line) for line in lines if isinstance(line, StepLine)]),
        measurements=tuple([line for line in lines if isinstance(line, MeasurementLine)]),
        figures=pictures(lines),
        quantities=quantities(lines),
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
        row = cells.setdefault(test.parameters, {})
        shown_now = row.get((view.column, test.core))
        row[view.column, test.core] = test if shown_now is None else _worse(shown_now, test)
    for parameters, by_column in cells.items():
        yield MatrixRow(parameters, tuple(by_column.get((number, core)) for number, _, core in columns))


def _worse(a: Case, b: Case) -> Case:
    """Of several executions of a test the one that decides; of equal ones the later."""
    counted = [case for case in (a, b) if not case.superseded]
    worst = overall(case.verdict for case in counted)
    return next((case for case in reversed(counted) if case.verdict is worst), b)


def _requirements(views: Iterable[RunView], planned: Iterable[str]) -> tuple[Requirement, ...]:
    """Those that the cases trace to, and those of `planned` to which none does."""
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
    traced = {name: tuple(case for _, case in found) for name, found in groupby(pairs, lambda pair: pair[0])}
    names = sorted({*traced, *planned}, key=natural)
    return tuple(Requirement(name, traced.get(name, ())) for name in names)


def natural(text: str) -> list[tuple[int, str]]:
    """Order in which REQ-9 is before REQ-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
