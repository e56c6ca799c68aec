# SPDX-License-Identifier: MIT
"""Exports for programs: CSV of the measurements, and a summary in JSON."""

import csv
import io
import json
from collections.abc import Iterator

from mpbench.core.facts import NO_LIMIT
from mpbench.core.lines import MeasurementLine
from mpbench.core.sanitize import visible
from mpbench.core.version import made_by
from mpbench.report.model import Case, Page, RunView
from mpbench.report.signing import document_id

COLUMNS = ("run", "board", "place", "test", "core", "name", "statistic", "n", "conditions", "value", "unit",
           "low", "high", "verdict", "source")  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula. Ref: OWASP, CSV Injection"""

SUMMARY_VERSION = 2


def measurements(page: Page) -> str:
    """One line per measurement; text that a spreadsheet would calculate is quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        _line(run, case, m) for run in page.runs for case in run.tests for m in case.measurements
    )
    return text.getvalue()


def _line(run: RunView, case: Case, m: MeasurementLine) -> list[object]:
    who = (run.id, run.provenance.get("serial", ""), run.provenance.get("place", ""), case.name, case.core)
    what = (
        m.name,
        m.statistic,
        m.samples,
        "; ".join(f"{k}={v}" for k, v in m.conditions.items()),
    )
    verdict = m.verdict.value if m.verdict else NO_LIMIT
    numbers = (m.value, m.unit, m.low, m.high)
    return [_harmless(cell) for cell in (*who, *what, *numbers, verdict, m.source)]


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = visible(cell).replace("\n", " ")
    return f"'{text}" if text.startswith(FORMULA) else text


def summary(page: Page) -> str:
    """Verdicts for other programs: of the page, of each run, test case and requirement."""
    found = {
        "version": SUMMARY_VERSION,
        "made_by": made_by(),
        "document": document_id(page),
        "verdict": page.verdict.value,
        "causes": list(page.causes),
        "counts": {v.value: n for v, n in page.counts},
        "selected": [
            {"label": label, "selected": found.selected, "cases": found.cases}
            for label, found in page.selections
        ],
        "without_evidence": list(page.without_evidence),
        "runs": [_run(run) for run in page.runs],
        "requirements": {
            r.id: {"verdict": r.verdict.value, "tests": [c.name for c in r.cases]} for r in page.requirements
        },
    }
    return json.dumps(found, indent=1, ensure_ascii=True) + "\n"


def _run(run: RunView) -> dict[str, object]:
    return {
        "id": run.id,
        "label": run.label,
        "utc": run.utc,
        "end": run.end,
        "duration_s": run.duration_s,
        "virtual": run.virtual,
        "verdict": run.verdict.value,
        "provenance": dict(run.provenance),
        "notes": list(run.notes),
        "operator_notes": {note.name: note.text for note in run.operator},
        "signatures_asked": list(run.roles),
        "tests": list(_tests(run)),
    }


def _tests(run: RunView) -> Iterator[dict[str, object]]:
    for case in run.tests:
        yield {
            "name": case.name,
            "core": case.core,
            "verdict": case.verdict.value,
            "reason": case.reason,
            "duration_ms": case.duration_ms,
            "superseded": case.superseded,
            "execution": case.execution,
            "waivers": [
                {"by": line.by, "utc": line.head.utc, "reason": line.reason} for line in case.waivers
            ],
        }
