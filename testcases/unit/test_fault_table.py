# SPDX-License-Identifier: MIT
"""The table of faults names every fault that has a test, and only tests that exist."""

import ast
import fnmatch
import functools
import re
from pathlib import Path

import pytest

TESTCASES = Path(__file__).resolve().parents[1]
FAULTS = TESTCASES / "faults"
ROW = re.compile(r"^\| (\d+) \|.*\| (.*) \|$", re.MULTILINE)
NUMBERS = re.compile(r"test_((?:\d+_)+)")
NONE = "no test yet"
UNTESTED = ""


def rows() -> dict[int, str]:
    """The tests of each fault, as the table has them."""
    found = ROW.findall((FAULTS / "README.md").read_text())
    assert len(found) == len({number for number, _ in found}), "a fault has two rows"
    return {int(number): tests for number, tests in found}


@functools.cache
def functions_of(path: Path) -> frozenset[str]:
    """Names of a file's test functions."""
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def test_the_table_has_every_fault_once():
    """Faults 1 to 66, in order."""
    assert list(rows()) == list(range(1, 67))


def test_faults_without_a_test_are_listed():
    """A fault leaves this list when its test is written; none may come back to it."""
    untested = [str(number) for number, tests in rows().items() if tests == NONE]
    assert " ".join(untested) == UNTESTED


@pytest.mark.parametrize("number", rows())
def test_every_test_of_a_row_exists(number):
    """A row names its tests as file::function, or states that there is none yet."""
    text = rows()[number]
    named = re.findall(r"`([\w/.]+)::(test_[\w*]+)`", text)
    assert named or text == NONE
    assert len(named) == text.count("::")
    for file, pattern in named:
        assert fnmatch.filter(functions_of(TESTCASES / file), pattern), (
            f"faults/README.md, fault {number}: {file} has no {pattern}"
        )


@pytest.mark.parametrize("path", sorted(FAULTS.glob("test_*.py")), ids=lambda path: path.stem)
def test_every_number_of_a_test_has_a_row(path):
    """A test whose name has a fault's number is found by that fault's row."""
    known = rows()
    for name in sorted(functions_of(path)):
        if not (match := NUMBERS.match(name)):
            continue
        for number in map(int, match[1].strip("_").split("_")):
            patterns = re.findall(rf"`faults/{path.name}::(test_[\w*]+)`", known.get(number, ""))
            assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), (
                f"{name} is not in row {number}"
            )
