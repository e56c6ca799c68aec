# SPDX-License-Identifier: MIT
"""What a person signs besides verdicts: document id, notes, waivers, what was not run, evidence. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.lines import NotesLine, WaiverLine
from mpbench.core.record import Run
from mpbench.report.model import Case, OperatorNote, Page, Proof, RunView

USUAL = ("tested", "reviewed", "released")
"""Roles with a line to sign on paper if no target file asks for others."""


@frozen
class NotRun:
    """Test cases that were not executed, all for one reason."""

    reason: str
    verdict: Verdict
    cases: tuple[tuple[RunView, Case], ...]


@frozen
class Signing:
    """What the page shows for signers. lines: roles with a line to sign on paper."""

    document: str
    roles: tuple[str, ...]
    waivers: tuple[tuple[RunView, Case, WaiverLine], ...]
    not_run: tuple[NotRun, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return self.roles or USUAL


def signing(page: Page) -> Signing:
    """All of it."""
    return Signing(document_id(page), roles(page), waivers(page), not_run(page))


def document_id(page: Page) -> str:
    """Id of what is signed, for paper and for programs: from the hashes of the records, in order."""
    digest = hashlib.sha256("\n".join(run.sha256 for run in page.runs).encode()).hexdigest()
    return "-".join(digest[n : n + 4] for n in range(0, 16, 4))


def roles(page: Page) -> tuple[str, ...]:
    """Roles of the signatures that the runs' target files ask for: as many of each as the strictest does."""
    asked: Counter[str] = Counter()
    for run in page.runs:
        asked |= Counter(run.roles)
    return tuple(asked.elements())


def operator_notes(run: Run) -> tuple[OperatorNote, ...]:
    """Notes of the operator; of several with a name the last one counts, in the place of the first."""
    found: dict[str, OperatorNote] = {}
    for line in run.of(NotesLine):
        found |= {name: OperatorNote(name, text, line.by) for name, text in line.entries.items()}
    return tuple(found.values())


def waived(run: Run, cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases with their waivers. UsageError: a waiver of a test that is unknown, or not a FAIL."""
    lines: dict[str, list[WaiverLine]] = {}
    for line in run.of(WaiverLine):
        lines.setdefault(line.test, []).append(line)
    for test in lines:
        check_waiver(test, cases)
    return tuple(
        evolve(case, waivers=tuple(lines[case.name])) if case.name in lines else case for case in cases
    )


def check_waiver(test: str, cases: Iterable[Case]) -> None:
    """UsageError unless `test` is one of the cases, and a FAIL."""
    found = [case.verdict for case in cases if case.name == test]
    if not found:
        raise UsageError(f"waiver of {test!r}: the record has no test of this name")
    if Verdict.FAIL not in found:
        raise UsageError(f"waiver of {test!r}: its verdict is {found[0].value}; only a FAIL can be waived")


def waivers(page: Page) -> tuple[tuple[RunView, Case, WaiverLine], ...]:
    """All waivers of the verdicts that count."""
    return tuple(
        (run, case, line)
        for run in page.runs
        for case in run.tests
        if not case.superseded
        for line in case.waivers
    )


def not_run(page: Page) -> tuple[NotRun, ...]:
    """What was not executed, by reason, most cases first."""
    found: dict[tuple[str, Verdict], list[tuple[RunView, Case]]] = {}
    for run in page.runs:
        for case in run.tests:
            if case.verdict in (Verdict.NOT_RUN, Verdict.BLOCKED) and not case.superseded:
                reason = case.reason.partition("\n")[0] or "no reason recorded"
                found.setdefault((reason, case.verdict), []).append((run, case))
    ordered = sorted(found.items(), key=lambda entry: -len(entry[1]))
    return tuple(NotRun(reason, verdict, tuple(cases)) for (reason, verdict), cases in ordered)


def evidence(case: Case) -> tuple[Proof, ...]:
    """Files of evidence of a case's steps, each once."""
    return tuple(dict.fromkeys(proof for step in case.steps for proof in step.proofs))


def evidenced(case: Case) -> str:
    """How much a case observed and measured: "2 steps, 1 figure with limits"; its files are evidence()."""
    limited = sum(m.limited for m in case.measurements)
    found = ((len(case.steps), "step", ""), (limited, "figure", " with limits"))
    texts = [f"{n} {word}{'' if n == 1 else 's'}{more}" for n, word, more in found if n]
    return ", ".join(texts) or "asserted by the test alone"
