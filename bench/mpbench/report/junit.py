# SPDX-License-Identifier: MIT
"""The record as JUnit XML, for the servers that read nothing else.

FAIL is a failure; ERROR, INFRA, INVALID and BLOCKED are errors; NOT-RUN is skipped. `type` is the verdict.
"""

import xml.etree.ElementTree as ET

from mpbench.core.facts import Verdict
from mpbench.core.sanitize import visible
from mpbench.report.model import Case, Page, RunView

_ELEMENT = {
    Verdict.FAIL: "failure",
    Verdict.ERROR: "error",
    Verdict.INFRA: "error",
    Verdict.INVALID: "error",
    Verdict.BLOCKED: "error",
    Verdict.NOT_RUN: "skipped",
}


def render(page: Page) -> str:
    """One test suite per run; provenance as properties."""
    root = ET.Element("testsuites")
    for run in page.runs:
        root.append(_suite(run))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(run: RunView) -> ET.Element:
    tests = [test for test in run.tests if not test.superseded]
    kinds = [_ELEMENT.get(test.verdict) for test in tests]
    suite = _element(
        "testsuite",
        name=run.label,
        timestamp=run.utc.replace(" ", "T"),
        tests=str(len(kinds)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
        time=f"{sum(test.duration_ms for test in tests) / 1e3:.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    properties.extend(_element("property", name=name, value=text) for name, text in run.provenance.items())
    suite.extend(_case(test) for test in tests)
    return suite


def _case(test: Case) -> ET.Element:
    file, _, name = test.name.partition("::")
    case = _element("testcase", classname=file, name=name, time=f"{test.duration_ms / 1e3:.3f}")
    if kind := _ELEMENT.get(test.verdict):
        case.append(_element(kind, type=test.verdict.value, message=test.reason))
    return case


def _element(tag: str, **attributes: str) -> ET.Element:
    """An element whose text is legal in XML 1.0: control characters have become symbols."""
    return ET.Element(tag, {name: visible(text) for name, text in attributes.items()})
