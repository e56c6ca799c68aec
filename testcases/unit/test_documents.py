# SPDX-License-Identifier: MIT
"""What documents refer to exists: links, paths, commands, make targets, licences, checks of the doctor."""

import argparse
import re
from pathlib import Path

import pytest

from mpbench.commands import doctor_board, doctor_host
from mpbench.commands.doctor import Section
from mpbench.commands.main import parser
from testcases.contract import typed

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (
        *ROOT.glob("*.md"),
        *(p for d in ("bench", "targets", "testcases") for p in (ROOT / d).rglob("*.md")),
    )
}
documents = pytest.mark.parametrize("name", DOCUMENTS)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
REPOSITORY_PATH = re.compile(r"`((?:bench|firmware|targets|testcases|reports)/[\w./-]+)`")
PRODUCED = ("firmware/build", "reports/runs", "reports/nightly")
"""Paths that a run or a build makes."""


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub and other hosts make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@documents
def test_every_link_leads_somewhere(name):
    """A relative link names a file or directory of the tree, and a heading in it."""
    for path, anchor in LINK.findall(DOCUMENTS[name]):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), f"{path}{anchor}"


@documents
def test_every_path_exists(name):
    """A path in backticks that begins with one of the tree's directories exists."""
    named = [path for path in REPOSITORY_PATH.findall(DOCUMENTS[name]) if not path.startswith(PRODUCED)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def subcommands(found: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The subcommands of a parser by name."""
    actions = [a for a in found._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


@documents
def test_every_command_exists(name):
    """Every subcommand of mpbench, and every option beside it, is one that the command line has."""
    known = subcommands(parser())
    for line in re.findall(
        r"(?:^\$ |`)(?:\.venv/bin/)?mpbench ([a-z].*?)(?:`|  |$)", DOCUMENTS[name], re.MULTILINE
    ):
        command, *rest = line.split()
        assert command.rstrip(",") in known, line
        found = known[command.rstrip(",")]
        if rest and rest[0] in subcommands(found):
            found = subcommands(found)[rest[0]]
        options = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert options <= {o for a in found._actions for o in a.option_strings}, line


@documents
def test_every_make_target_exists(name):
    """Every `make TARGET` is a target of the Makefile; VARIABLE=VALUE may precede it or follow."""
    targets = set(re.findall(r"^([a-z\d-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^\$ |`)make ((?:[A-Z]+=\S+ )*)([a-z\d-]+)\b(?! -)", DOCUMENTS[name], re.MULTILINE)
    assert {target for _, target in named} <= targets


def test_each_licence_has_its_text():
    """LICENSES/ holds the text of each SPDX identifier in the tree, and no other."""
    found = set()
    for directory in ("bench", "firmware", "targets", "testcases", "."):
        files = (ROOT / directory).glob("*" if directory == "." else "**/*")
        for path in (p for p in files if p.is_file() and "build" not in p.parts):
            found |= set(
                re.findall(rb"SPDX-License-Identifier: ([\w-][\w.-]*[\w-])", path.read_bytes()[:500])
            )
    assert {name.decode() for name in found} == {path.stem for path in (ROOT / "LICENSES").glob("*.txt")}


def test_the_guide_has_a_row_for_each_check_of_the_doctor():
    """Under the heading to which its remedies lead."""
    text = DOCUMENTS["targets/README.md"]
    (section,) = [part for part in text.split("\n## ") if f"#{Section.CHECKS.value}" in anchors(f"## {part}")]
    checks = [*doctor_host.host_checks(ROOT), *doctor_board.BoardCheck("").checks()]
    names = {re.sub("^tool .*", "tool ...", check.name) for check in checks}
    assert {name for name in names if f"`{name}`" not in section} == set()


def test_every_room_is_described():
    """The table of rooms in bench/README.md has every room, and no other."""
    rows = set(re.findall(r"^\| `(\w+)/` \|", DOCUMENTS["bench/README.md"], re.MULTILINE))
    rooms = {path.parent.name for path in (ROOT / "bench/mpbench").glob("*/__init__.py")}
    assert rows == rooms | {"mpbench_virtual"}


def test_docstrings_stand_alone():
    """No docstring of the bench opens with "The same": a reader would have to find what it refers to."""
    found = [path.name for path in (ROOT / "bench").rglob("*.py") if '"""The same' in path.read_text()]
    assert found == []


def test_every_command_is_run_or_listed_with_a_reason():
    """A new command of a document is put into one of the two lists; one that has left it leaves them."""
    for name in typed.DOCUMENTS:
        run = {line for script in typed.RUN.values() if script.document == name for line in script.commands()}
        listed = typed.NOT_RUN.get(name, {})
        assert run | set(listed) == set(typed.commands_of(name)), name
        assert not run & set(listed), name
    assert not set(typed.NOT_RUN) - set(typed.DOCUMENTS)


def test_no_other_document_has_commands():
    """A document with console blocks is one of those whose commands are run or listed."""
    assert {name for name in DOCUMENTS if typed.commands_of(name)} == {
        name for name in typed.DOCUMENTS if name in DOCUMENTS
    }
