# SPDX-License-Identifier: MIT
"""The import direction of design.md, held by a table."""

import ast
from pathlib import Path

import mpbench

ROOT = Path(mpbench.__file__).parent
PURE = {"facts", "errors", "layout"}

MAY_IMPORT: dict[str, set[str]] = {
    "facts": set(),
    "errors": set(),
    "layout": set(),
    "home": set(),
    "image": PURE,
    "twin": PURE,
    "observe": PURE,
    "compare": PURE,
    "measure": PURE,
    "record": PURE,
    "report": PURE | {"record"},
    "board": PURE,
    "deploy": PURE,
    "gather": PURE,
    "run": PURE | {"twin", "deploy", "gather", "observe", "compare", "measure", "record"},
    "plugin": PURE
    | {"home", "run", "gather", "observe", "measure", "twin", "image", "board", "record", "report"},
    "cli_image": PURE | {"image", "twin"},
    "cli_enrol": PURE | {"home", "board"},
    "cli_latency": PURE,
    "signoff": PURE | {"image", "record", "report"},
    "lab": PURE | {"record", "report", "plugin"},
    "doctor": PURE | {"home", "board", "plugin"},
    "cli_nightly": PURE | {"lab"},
    "cli_doctor": PURE | {"doctor"},
    "cli_report": PURE | {"home", "record", "report", "signoff"},
    "cli": PURE
    | {"virtual", "cli_image", "cli_enrol", "cli_latency", "cli_report", "cli_nightly", "cli_doctor"},
}
LABGRID = {"board", "virtual", "plugin", "lab", "doctor"}


def stage_of(path: Path) -> str:
    """Name of the stage a source file belongs to: the first part below bench/."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Absolute names of every module that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write bench.NAME"
            found.add(node.module or "")
            if node.module == "mpbench":
                found |= {f"mpbench.{alias.name}" for alias in node.names}
    return found


def sources() -> list[Path]:
    return [p for p in sorted(ROOT.rglob("*.py")) if p != ROOT / "__init__.py"]


def test_every_stage_imports_only_what_the_table_allows():
    """A stage imports itself and the stages that MAY_IMPORT names."""
    wrong = []
    for path in sources():
        stage = stage_of(path)
        allowed = MAY_IMPORT[stage] | {stage}
        used = {name.split(".")[1] for name in imports_of(path) if name.startswith("mpbench.")}
        wrong += [f"{path.relative_to(ROOT)} imports bench.{name}" for name in sorted(used - allowed)]
    assert wrong == []


def test_only_the_board_side_knows_labgrid():
    """labgrid is imported by board/, virtual/ and the plugin, and by nothing else."""
    wrong = [
        str(p.relative_to(ROOT))
        for p in sources()
        if any(n.split(".")[0] == "labgrid" for n in imports_of(p)) and stage_of(p) not in LABGRID
    ]
    assert wrong == []


def test_twin_and_signer_share_nothing_but_the_layout():
    """The twin uses neither pyelftools nor the signer's code, and the signer nothing of the twin."""
    for path in sources():
        names = imports_of(path)
        if stage_of(path) == "twin":
            assert not any(n.startswith(("elftools", "mpbench.image")) for n in names), path
        if stage_of(path) == "image":
            assert not any(n.startswith("mpbench.twin") for n in names), path
