# SPDX-License-Identifier: MIT
"""Fault 62: names with brackets, slashes and colons, of tests and places, through a whole run.

What is odd in files (dates, ports, keys given twice, numbers, depth, encodings) is in the unit tests of what
reads them, which the table names.
"""

import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from testcases.contract.test_plugin import Place, key  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

NAMES = (
    *(
        "[",
        "]",
        "a[b]c",
        "[/red]",
        "x::y",
        "../..",
        "/",
        " ",
        "",
        "%s{}",
        "=1+1",
        "#",
        "&lt;",
        "-k",
        "@a",
        "{{7}}",
    ),
    *("\u00fc" * 60, "\u202egnp", "a\tb", "\x1b[31m", "None", "\\"),
)
TESTS = """
NAMES = {names!r}
@pytest.mark.parametrize("value", NAMES, ids=NAMES)
def test_odd(bench, value): pass
@pytest.mark.parametrize("value", NAMES[:3], ids=NAMES[:3])
def test_fails(bench, value): raise BoardFailure(value)
"""


@pytest.fixture
def place(tmp_path: Path, key: bytes) -> Place:  # noqa: F811
    return Place(tmp_path, key)


def test_62_odd_names_of_tests_and_places(place: Place, chance: random.Random):
    """No internal error; every test is once in record, summary and JUnit, with its verdict."""
    names = chance.sample(NAMES, 8)
    done = place.run(
        TESTS.format(names=names), "--lg-env=played.yaml", LG_PLACE=chance.choice(NAMES) or "[", NO_COLOR="1"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    verdicts = [line["verdict"] for line in place.lines() if line["kind"] == "test-end"]
    assert (verdicts.count("PASS"), verdicts.count("FAIL")) == (8, 3)
    (page,) = (place.path / "runs").glob("*/index.html")
    summary = json.loads((page.parent / "summary.json").read_text())
    assert summary["verdict"] == "FAIL"
    cases = list(ET.parse(page.parent / "junit.xml").getroot().iter("testcase"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == 11
