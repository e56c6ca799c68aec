# SPDX-License-Identifier: MIT
"""What a page shows, as frozen values made from records. No markup here, and no claim beyond the record."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from bench.facts import Agreement, Verdict, overall
from bench.layout import tee_name
from bench.record import Run
from bench.report.excerpt import Excerpt, excerpt

Line = Mapping[str, Any]

_FIRST = ("model", "compatible", "serial", "soc_id", "soc_revision", "soc_serial", "boot_id",
          "tf-a", "op-tee", "u-boot", "kernel")  # fmt: skip


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
    sha256: str
    excerpt: Excerpt


@frozen
class Step:
    name: str
    duration_ms: float
    fields: tuple[Field, ...]
    proofs: tuple[Proof, ...]


@frozen
class Case:
    """One test case on one core of one board. `anchor` is its place on the page."""

    anchor: str
    name: str
    core: str
    title: str
    verdict: Verdict
    reason: str
    duration_ms: float
    boot: str
    steps: tuple[Step, ...]
    measurements: tuple[Line, ...]


@frozen
class RunView:
    """One run: what was tested and what came of it."""

    label: str
    utc: str
    command: str
    bench: str
    virtual: bool
    verdict: Verdict
    notes: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    proofs: tuple[Proof, ...]
    tests: tuple[Case, ...]

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(test.verdict for test in self.tests)


@frozen
class Row:
    """One line of the matrix: a test case, and what came of it in every column (None: not asked)."""

    name: str
    title: str
    cells: tuple[Case | None, ...]


@frozen
class Page:
    verdict: Verdict
    runs: tuple[RunView, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]

    @property
    def counts(self) -> tuple[tuple[Verdict, int], ...]:
        return count(test.verdict for run in self.runs for test in run.tests)

    @property
    def virtual(self) -> bool:
        return any(run.virtual for run in self.runs)


def summarize(runs: Iterable[Run]) -> Page:
    """One page about several runs; the worst verdict is the page's."""
    views = tuple(_run(number, run) for number, run in enumerate(runs))
    columns = tuple(dict.fromkeys((v.label, t.core) for v in views for t in v.tests))
    return Page(overall(v.verdict for v in views), views, columns, tuple(_rows(views, columns)))


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


def _run(number: int, run: Run) -> RunView:
    start = next((line for line in run.lines if line["kind"] == "run-start"), {})
    label = str(start.get("target") or run.directory.name)
    tests = tuple(_test(f"r{number}t{n}", run, lines) for n, lines in enumerate(_by_test(run)))
    ended = any(line["kind"] == "run-end" for line in run.lines)
    verdicts = [t.verdict for t in tests] + ([] if ended else [Verdict.INVALID])
    about = [line for line in run.lines if line["kind"] == "provenance"]
    entries = {str(k): str(v) for line in about for k, v in line["entries"].items()}
    return RunView(
        label=label,
        utc=str(start.get("utc", ""))[:19].replace("T", " "),
        command=" ".join(start.get("command", ())),
        bench=str(start.get("bench", "")),
        virtual=any(line["virtual"] for line in about),
        verdict=overall(verdicts),
        notes=run.notes,
        provenance=tuple(sorted(entries.items(), key=_order)),
        proofs=tuple(_proof(run, ref) for line in about for ref in line["evidence"] if _is_log(ref)),
        tests=tests,
    )


def _order(entry: tuple[str, str]) -> tuple[int, str]:
    """The board first, then what runs on it from the first boot stage on, then the rest by name."""
    known = _FIRST.index(entry[0]) if entry[0] in _FIRST else len(_FIRST)
    return known, entry[0]


def _is_log(ref: Line) -> bool:
    """Single files of the board stand in the list already; consoles are worth a link."""
    return not str(ref["name"]).startswith("about.")


def _by_test(run: Run) -> list[list[Line]]:
    """The lines of each test, in the order in which the tests began."""
    found: dict[str, list[Line]] = {}
    for line in run.lines:
        if "test" in line:
            found.setdefault(line["test"], []).append(line)
    return list(found.values())


def _test(anchor: str, run: Run, lines: list[Line]) -> Case:
    first = lines[0]
    end = next((line for line in lines if line["kind"] == "test-end"), None)
    return Case(
        anchor=anchor,
        name=str(first["test"]),
        core=str(first.get("core") or "board"),
        title=str(first.get("title", "")),
        verdict=Verdict(end["verdict"]) if end else Verdict.INVALID,
        reason=str(end["reason"]) if end else "the run was killed in this test: no verdict",
        duration_ms=end["duration_ns"] / 1e6 if end else 0.0,
        boot=str(lines[-1].get("boot") or ""),
        steps=tuple(_step(run, line) for line in lines if line["kind"] == "step"),
        measurements=tuple(line for line in lines if line["kind"] == "measurement"),
    )


def _step(run: Run, line: Line) -> Step:
    return Step(
        name=f"{line['name']} on {line['core']}",
        duration_ms=line["duration_ns"] / 1e6,
        fields=tuple(_field(f) for f in line["fields"]),
        proofs=tuple(_proof(run, ref) for ref in line["evidence"]),
    )


def _field(field: Line) -> Field:
    name = str(field["name"])
    values = (shown(name, field["predicted"]), shown(name, field["observed"]))
    return Field(name, *values, Agreement(field["agreement"]))


def _proof(run: Run, ref: Line) -> Proof:
    name, file = str(ref["name"]), str(ref["file"])
    data = run.evidence(file)
    return Proof(
        name, "" if data is None else file, int(ref["size"]), str(ref["sha256"]), excerpt(name, data)
    )


def _rows(views: tuple[RunView, ...], columns: tuple[tuple[str, str], ...]) -> Iterable[Row]:
    cells: dict[str, dict[tuple[str, str], Case]] = {}
    for view in views:
        for test in view.tests:
            cells.setdefault(without_core(test.name, test.core), {})[view.label, test.core] = test
    for name, by_column in cells.items():
        title = next(iter(by_column.values())).title
        yield Row(name, title, tuple(by_column.get(column) for column in columns))


def without_core(name: str, core: str) -> str:
    """Name of a test case without the core among its parameters: `t[m33-flip]` on m33 is `t[flip]`."""
    found = re.fullmatch(r"(.*?)\[(.*)\]", name, re.DOTALL)
    if not found:
        return name
    parts = [part for part in found[2].split("-") if part != core]
    return f"{found[1]}[{'-'.join(parts)}]" if parts else found[1]
