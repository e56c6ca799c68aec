# SPDX-License-Identifier: MIT
"""The page for those who write tests lists every fixture, mark and option of the plug-in, with a sentence."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import FixtureFunctionDefinition

import mpbench
from mpbench.deployment.parse import beat, identity
from mpbench.harness.cores import shipped_cores
from mpbench.harness.environment import check_environment, profile_of

EXAMPLE = Path(__file__).parents[2] / "targets" / "own-repository"
PAGE = (EXAMPLE / "README.md").read_text()
OF_OTHERS = "slow|thorough|lg_|hypothesis|filterwarnings|skip|xfail|parametrize|usefixtures|try|anyio|timeout"
"""Beginnings of the names of the marks of pytest, labgrid, hypothesis and the bench's own tests."""
PLACEHOLDERS = ".without_board"
"""Module with fixtures that are not set up."""


def rows(heading: str) -> dict[str, str]:
    """Name → sentence of a table of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([\w-]+)[^|]*\| (.+) \|$", section, re.MULTILINE))


def test_every_fixture_is_listed():
    """Name by name; and each has a docstring whose first line is a sentence, for `pytest --fixtures`."""
    names = [found.name for found in pkgutil.walk_packages(mpbench.__path__, "mpbench.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith(PLACEHOLDERS)]
    found = [value for module in modules for value in vars(module).values()]
    ours = {fixture.name: fixture for fixture in found if isinstance(fixture, FixtureFunctionDefinition)}
    assert set(rows("Fixtures")) == {*ours, "core"}
    for name, fixture in ours.items():
        first = (inspect.getdoc(fixture._get_wrapped_function()) or "").partition("\n")[0]
        assert re.fullmatch(r".{15,}[.:]", first), f"{name}: {first!r}"


def test_every_mark_is_listed(request: Any):
    """What `pytest --markers` shows of the plug-in."""
    names = {re.split(r"\W", line)[0] for line in request.config.getini("markers")}
    assert set(rows("Marks")) == {name for name in names if not re.match(OF_OTHERS, name)}


def test_every_option_is_listed(request: Any):
    """What `pytest --help` shows of the plug-in."""
    (group,) = [group for group in request.config._parser._groups if group.name == "mpbench"]
    assert set(rows("Options")) == {name for option in group.options for name in option.names()}
    assert all(option.attrs()["help"] for option in group.options)


def test_cores_in_the_example_exist():
    """The mark of the example names a core that a profile has."""
    named = re.findall(r'mark\.cores\("(\w+)"\)', (EXAMPLE / "test_counter.py").read_text())
    assert named
    assert set(named) <= shipped_cores()


@pytest.mark.parametrize("name", ["board.yaml", "virtual.yaml"])
def test_the_examples_target_files_are_right(name: str, monkeypatch: pytest.MonkeyPatch):
    """labgrid reads them, their profile has their cores, and their own option has both limits."""
    for variable in re.findall(r"\$(LG_\w+)", (EXAMPLE / name).read_text()):
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("MPBENCH_CONFIG", "/config")
    config = check_environment(str(EXAMPLE / name))
    features = set(config.get_targets()["main"]["features"])
    assert {core.name for core in profile_of(config).cores} == features & shipped_cores()
    limits = config.get_option("counter_hz")
    assert limits["low"] < 50 < limits["high"]


def test_the_example_follows_the_trace_protocol():
    """The header in its source is the one that the page shows, and that the bench reads."""
    (header,) = re.findall(r'header\[\] = "(.*)";', (EXAMPLE / "firmware" / "counter.c").read_text())
    first, second = header.encode().decode("unicode_escape").splitlines()
    assert first in PAGE
    assert identity(f"{first}\n") == "counter m33"
    assert beat(f"{first}\n{second}\n") == (1, 0)
