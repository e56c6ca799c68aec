# SPDX-License-Identifier: MIT
"""The table of benchmarks has a row for each number that a benchmark prints."""

import ast
import re
from pathlib import Path

import pytest

PERFORMANCE = Path(__file__).resolve().parents[1] / "performance"
PROGRAMS = sorted(PERFORMANCE.glob("perf_*.py"))
NONE = "not measured yet"


def rows() -> dict[str, str]:
    """What the table has under "measured in", by number."""
    lines = [line.split("|") for line in (PERFORMANCE / "README.md").read_text().splitlines()]
    return {cells[1].strip(): cells[5].strip() for cells in lines if re.match(r" P\d+ ", "".join(cells[1:2]))}


def numbers_of(program: Path) -> set[str]:
    """Numbers of the rows that a program makes: the first argument of every Row."""
    calls = [node for node in ast.walk(ast.parse(program.read_text())) if isinstance(node, ast.Call)]
    made = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Row"]
    return {str(argument.value) for argument in made if isinstance(argument, ast.Constant)}


def declared_by(program: Path) -> set[str]:
    """Its NUMBERS, by which it is selected."""
    (found,) = re.findall(r"^NUMBERS = (\(.*\))$", program.read_text(), re.MULTILINE)
    return set(ast.literal_eval(found))


def test_the_table_has_every_benchmark_once():
    """P1 to P25, in order."""
    assert list(rows()) == [f"P{n}" for n in range(1, 26)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_every_printed_row_is_in_the_table(program):
    """A program's rows are those it declares, and the table names the program in each of them."""
    assert numbers_of(program) == declared_by(program)
    for number in declared_by(program):
        assert f"`{program.name}`" in rows()[number]


def test_a_row_that_no_program_measures_says_so():
    """Every other row is marked as not measured yet."""
    measured = {number for program in PROGRAMS for number in declared_by(program)}
    assert {number for number, where in rows().items() if where != NONE} == measured
