# SPDX-License-Identifier: MIT
"""The record as JUnit XML, for the servers that read nothing else.

FAIL is a failure; ERROR, INFRA, INVALID and BLOCKED are errors; NOT-RUN is skipped, but a planned test that
the end of the run prevented is an error. `type` is the verdict, the element's text the reason. An INCOMPLETE
run has an error of that type.

Servers know a test by `classname` and `name` alone, over all suites of a file. A class name starts with the
run's label, as in `mp25 place-1.testcases.test_deploy`: the target, and what distinguishes runs of one target
in this file. The run's id is part of it only where labels are equal, so that a server finds earlier results.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator

from attrs import define, field

from mpbench.core.facts import NO_LIMIT, Verdict, limits, measured
from mpbench.core.lines import MeasurementLine
from mpbench.core.sanitize import visible
from mpbench.report.model import Case, Page, RunView
from mpbench.report.signing import document_id

_ELEMENT = {
    Verdict.FAIL: "failure",
    Verdict.ERROR: "error",
    Verdict.INFRA: "error",
    Verdict.INVALID: "error",
    Verdict.INCOMPLETE: "error",
    Verdict.BLOCKED: "error",
    Verdict.NOT_RUN: "skipped",
}


def render(page: Page) -> str:
    """One test suite per run; provenance and notes as properties."""
    root = _element("testsuites", name=f"mpbench {document_id(page)}")
    several = Counter(visible(run.label) for run in page.runs)
    keys = Keys()
    for run in page.runs:
        label = visible(run.label)
        root.append(_suite(run, keys.own("", label if several[label] == 1 else f"{label} {run.id}"), keys))
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


@define
class Keys:
    """Keys that were given: a class name and a name, or "" and a suite's name."""

    _given: dict[tuple[str, str], int] = field(factory=dict)

    def own(self, group: str, name: str) -> str:
        """`name` as it is shown, numbered from 2 on until its group has it only once."""
        found = name = visible(name)
        while (group, found) in self._given:
            self._given[group, name] += 1
            found = f"{name} ({self._given[group, name]})"
        self._given[group, found] = 1
        return found


def _suite(run: RunView, name: str, keys: Keys) -> ET.Element:
    tests = [test for test in run.tests if not test.superseded]
    cases = [_case(test, name, keys) for test in tests]
    kinds = [child.tag for case in cases for child in case]
    unseen = run.verdict in _ELEMENT and not {"failure", "error"} & set(kinds)
    if run.verdict is Verdict.INCOMPLETE or (unseen and run.verdict is not Verdict.NOT_RUN):
        cases.append(_whole(run, name, keys))
        kinds += [child.tag for child in cases[-1]]
    suite = _element(
        "testsuite",
        name=name,
        timestamp=run.utc.replace(" ", "T"),
        tests=str(len(cases)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
        time=f"{sum(test.duration_ms for test in tests) / 1e3:.3f}",
    )
    notes = ((f"note: {note.name}", note.text) for note in run.operator)
    suite.append(_properties([("run", run.id), *run.provenance.items(), *notes]))
    suite.extend(cases)
    return suite


def _whole(run: RunView, suite: str, keys: Keys) -> ET.Element:
    """A case for the run as a whole: servers look at cases, never at suites."""
    name = keys.own(suite, "everything planned ran")
    case = _element("testcase", classname=suite, name=name, time="0.000")
    result = _element(_ELEMENT[run.verdict], type=run.verdict.value, message="; ".join(run.notes))
    result.text = visible("\n".join(run.notes))
    case.append(result)
    return case


def _case(test: Case, suite: str, keys: Keys) -> ET.Element:
    file, _, name = test.name.partition("::")
    group = f"{suite}.{visible(file).removesuffix('.py').replace('/', '.')}"
    seconds = f"{test.duration_ms / 1e3:.3f}"
    case = _element("testcase", classname=group, name=keys.own(group, name), file=file, time=seconds)
    if properties := list(_about(test)):
        case.append(_properties(properties))
    if kind := _ELEMENT.get(test.verdict) if test.started else "error":
        result = _element(kind, type=test.verdict.value, message=test.reason.partition("\n")[0])
        result.text = visible(test.reason)
        case.append(result)
    return case


def _about(test: Case) -> Iterator[tuple[str, str]]:
    """Name and value of the properties of a case: requirements, measurements, waivers."""
    yield from (("requirement", id) for id in test.requirements)
    yield from (
        (f"measurement: {measured(m.name, m.statistic, m.conditions)}", _figure(m)) for m in test.measurements
    )
    yield from ((f"waived by {line.by}", line.reason) for line in test.waivers)


def _figure(m: MeasurementLine) -> str:
    """Value, unit, limits and verdict: "4.25 ms (≤ 10): PASS"."""
    value = f"{m.value} {m.unit}".strip()
    return f"{value} ({limits(m.low, m.high)}): {m.verdict.value}" if m.verdict else f"{value} ({NO_LIMIT})"


def _properties(entries: Iterable[tuple[str, str]]) -> ET.Element:
    properties = ET.Element("properties")
    properties.extend(_element("property", name=name, value=text) for name, text in entries)
    return properties


def _element(tag: str, **attributes: str) -> ET.Element:
    """An element whose text is legal in XML 1.0: control characters have become symbols."""
    return ET.Element(tag, {name: visible(text) for name, text in attributes.items()})
