# SPDX-License-Identifier: MIT
"""Import rules: which room may import which, and which role of a file what, compared with the code."""

import ast
import functools
from pathlib import Path

import pytest

import mpbench

ROOT = Path(mpbench.__file__).parent
VIRTUAL = ROOT.parent / "mpbench_virtual"

GROUND = {"core", "layout"}
PHENOMENON = GROUND | {"board", "image", "twin", "harness", "deployment"}
ROOMS: dict[str, set[str]] = {
    "core": set(),
    "layout": set(),
    "board": GROUND,
    "image": GROUND,
    "twin": GROUND,
    "knowledge": GROUND | {"twin"},
    "harness": GROUND | {"board", "image", "twin"},
    "deployment": PHENOMENON - {"deployment"},
    "recovery": PHENOMENON,
    "notification": PHENOMENON,
    "tee": PHENOMENON,
    "rpmsg": PHENOMENON,
    "attach": PHENOMENON,
    "suspend": PHENOMENON,
    "report": GROUND | {"image"},
    "lab": GROUND | {"harness", "report"},
    "plugin": GROUND | {"board", "harness", "report"},
    "commands": PHENOMENON
    | {"recovery", "notification", "tee", "rpmsg", "attach", "suspend", "knowledge", "report", "lab"},
}
"""Rooms that a room may import besides itself. A room of a phenomenon imports no other but `deployment`."""

ROLES: dict[str, set[str]] = {
    "facts": set(),
    "parse": {"facts", "parse"},
    "predict": {"facts", "predict", "twin"},
    "measure": {"facts", "measure"},
    "figures": {"facts", "figures"},
}
"""Roles by the start of a file's name: they import core, layout and these roles, nothing of a board."""

PURE_FILES = {
    "board/program_output.py": "parse",
    "board/trace/ring_buffer.py": "parse",
    "notification/trace_events.py": "parse",
    "notification/cpu_activity.py": "parse",
    "notification/ftrace_hist.py": "parse",
    "deployment/leaks.py": "measure",
}
"""Files with a pure role and a name of their own."""

LABGRID = {"board", "harness", "lab"}
"""Rooms that may import labgrid; `lab` talks to its coordinator."""
PYTEST = {"harness", "plugin"}
"""Rooms that may import pytest in any file; in others only files whose name starts with "fixture" do."""


def room_of(path: Path) -> str:
    """First part of a file's path below mpbench."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def role_of(path: Path) -> str:
    """The role of a pure file, by the table or by its name; "" for any other."""
    known = PURE_FILES.get(path.relative_to(ROOT).as_posix())
    return known or next((role for role in ROLES if path.stem.split("_")[0] == role), "")


@functools.cache
def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at any depth, by its absolute name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write mpbench.NAME"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if _file(name) else str(node.module) for name in names}
    return found


def _file(module: str) -> Path | None:
    """The source file of one of our modules."""
    path = ROOT.parent / Path(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


SOURCES = [p for p in sorted(ROOT.rglob("*.py")) if p != ROOT / "__init__.py"]


def test_the_tables_are_of_these_files():
    """Every room has its line in ROOMS and files, every file of PURE_FILES exists."""
    assert {room_of(path) for path in SOURCES} == set(ROOMS)
    assert [name for name in PURE_FILES if not (ROOT / name).exists()] == []
    assert any(VIRTUAL.rglob("*.py"))


def test_rooms_import_only_what_the_table_allows():
    """A room imports itself and the rooms that ROOMS names."""
    wrong = []
    for path in SOURCES:
        allowed = ROOMS[room_of(path)] | {room_of(path)}
        used = {name.split(".")[1] for name in imports_of(path) if name.startswith("mpbench.")}
        wrong += [f"{path.relative_to(ROOT)} imports mpbench.{name}" for name in sorted(used - allowed)]
    assert wrong == []


def test_pure_roles_import_nothing_that_touches_a_board():
    """Pure roles import core, layout and other pure files (predict: the twin too)."""
    wrong = []
    for path in SOURCES:
        if not (role := role_of(path)) or room_of(path) in {"twin", "core"}:
            continue
        for name in sorted(n for n in imports_of(path) if n.startswith("mpbench.")):
            target = _file(name)
            assert target is not None, name
            allowed = room_of(target) in GROUND | ROLES[role] or role_of(target) in ROLES[role]
            wrong += [] if allowed else [f"{path.relative_to(ROOT)} ({role}) imports {name}"]
    assert wrong == []


@pytest.mark.parametrize("package", ["labgrid", "pytest"])
def test_only_some_rooms_know_the_frameworks(package):
    """labgrid is imported by board, harness and lab; pytest by harness, plug-in and fixtures."""
    rooms = LABGRID if package == "labgrid" else PYTEST
    wrong = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if package in {name.split(".")[0] for name in imports_of(path)}
        and room_of(path) not in rooms
        and not (package == "pytest" and path.stem.split("_")[0] == "fixture")
    ]
    assert wrong == []


def test_twin_and_signer_share_nothing_but_the_layout():
    """The twin uses neither pyelftools nor the signer's code, and the signer nothing of the twin."""
    for path in SOURCES:
        names = imports_of(path)
        if room_of(path) == "twin":
            assert not any(n.startswith(("elftools", "mpbench.image")) for n in names), path
        if room_of(path) == "image":
            assert not any(n.startswith("mpbench.twin") for n in names), path


def test_the_virtual_board_imports_core_only():
    """mpbench_virtual imports only core of the bench: errors, directories and files."""
    wrong = [
        f"{path.relative_to(VIRTUAL)} imports {name}"
        for path in sorted(VIRTUAL.rglob("*.py"))
        for name in sorted(imports_of(path))
        if name.startswith("mpbench.") and not name.startswith("mpbench.core.")
    ]
    assert wrong == []
