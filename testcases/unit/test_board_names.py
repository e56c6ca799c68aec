# SPDX-License-Identifier: MIT
"""The bench depends on what a board can do, never on its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mpbench

ROOT = Path(mpbench.__file__).parent
BOARD = re.compile(r"mp[12]\d", re.IGNORECASE)
"""A board's or a SoC's name."""
DATA = {ROOT / "twin/profiles"}
"""Directories that describe boards."""


def words(source: str) -> Iterator[str]:
    """Names and strings of a module, without docstrings (strings that are a statement)."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        elif isinstance(node, ast.Name | ast.Attribute):
            yield node.id if isinstance(node, ast.Name) else node.attr


def test_no_board_is_named_in_the_bench():
    """Outside of mpbench_virtual, targets/ and the twin's profiles no code and no page names a board."""
    found = []
    for path in sorted(p for p in ROOT.rglob("*") if p.suffix in {".py", ".j2", ".js", ".css"}):
        if any(path.is_relative_to(data) for data in DATA):
            continue
        text = path.read_text()
        if not BOARD.search(text):
            continue  # nothing to parse
        said = words(text) if path.suffix == ".py" else [text]
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for word in said for m in BOARD.finditer(word)]
    assert found == []


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ('if board == "virtual-mp25": pass', True),
        ("MP15_CORES", True),
        ('"the STM32MP15 in prose"', False),
        ('x = "arm64 STM32MP"', False),
    ],
)
def test_the_scan_finds_names_in_code_only(source, seen):
    """A board's name is found in code and strings, and not in docstrings."""
    assert any(BOARD.search(word) for word in words(source)) == seen
