# SPDX-License-Identifier: MIT
"""Fault 63: retention among directories that look like a night's, and nights with files of others in them."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpbench.core.record import EVIDENCE
from mpbench.lab import retention
from mpbench.lab.journal import FILE
from mpbench.report import publish
from mpbench.report.sources import SOURCES

HASH = "a" * 64


def night(directory: Path, jobs: list[str]) -> Path:
    """A night as the bench leaves it."""
    for job in jobs:
        for file in (f"runs/{job}/20261101T220000Z-x/record.jsonl", f"logs/{job}.log", f"logs/{job}.pid"):
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            (directory / file).write_text("x")
    (directory / EVIDENCE).mkdir(parents=True)
    (directory / EVIDENCE / f"{HASH}.txt").write_text("x")
    for name in (*publish.WRITTEN, SOURCES):
        (directory / name).write_text("x")
    lines = [{"kind": "started", "job_run": job} for job in jobs] + [{"kind": "end"}]
    (directory / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    """A plan that keeps one night; what is beside its reports is somebody's."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("precious")
    return SimpleNamespace(name="plan", reports=tmp_path / "reports", keep_nights=1)


def test_63_a_night_that_is_only_the_benchs_goes_whole(plan):
    """Everything that its journal lists, and then the night."""
    old = night(plan.reports / "20261101T220000Z-plan", ["mp25-1", "soak mp25-2"])
    now = night(plan.reports / "20261102T220000Z-plan", ["mp25-1"])
    assert retention.outdated(plan, now) == [old]
    assert retention.remove(old) == ""
    assert not old.exists()
    assert now.exists()


def strange(plan: Any, tmp_path: Path, chance: random.Random) -> None:
    """Directories and links with the name of a night that are none, or whose journal lies."""
    target = tmp_path / "elsewhere"
    for number in range(chance.randrange(1, 6)):
        path = plan.reports / f"2026100{number}T220000Z-plan"
        kind = chance.choice(
            ["none", "link", "journal link", "runs link", "traversal", "garbage", "own file"]
        )
        if kind == "none":
            path.mkdir()
            (path / "precious").write_text("precious")
        elif kind == "link":
            night(target / f"n{number}", ["a"])
            path.symlink_to(target / f"n{number}")
        elif kind == "journal link":
            path.mkdir()
            (target / "journal").write_text('{"kind": "end"}\n')
            (path / FILE).symlink_to(target / "journal")
            (path / "precious").write_text("precious")
        elif kind == "runs link":
            path.mkdir()
            (target / f"r{number}" / "a").mkdir(parents=True)
            (target / f"r{number}" / "a" / "precious").write_text("precious")
            for name in ("runs", "logs", EVIDENCE):
                (path / name).symlink_to(target / f"r{number}")
            (path / FILE).write_text('{"kind": "started", "job_run": "a"}\n')
        elif kind == "traversal":
            path.mkdir()
            names = ["../../../elsewhere", "..", ".", "/", "", "a/../../x", "\0", 7, None, ["a"], ".hidden"]
            (path / FILE).write_text(
                "".join(json.dumps({"kind": "done", "job_run": n}) + "\n" for n in names if n != ["a"])
            )
            (path / "runs").mkdir()
            (path / "runs" / ".hidden").mkdir()
            (path / "runs" / ".hidden" / "precious").write_text("precious")
        elif kind == "garbage":
            path.mkdir()
            (path / FILE).write_bytes(chance.randbytes(300))
            (path / "precious").write_text("precious")
        else:
            night(path, ["a"])
            (path / "precious").write_text("precious")
            (path / "runs" / "b").mkdir()
            (path / "runs" / "b" / "precious").write_text("precious")


def test_63_nothing_of_others_is_deleted(plan, tmp_path: Path, chance: random.Random):
    """Files that no night made are all there afterwards, also inside of nights and behind links."""
    strange(plan, tmp_path, chance)
    now = night(plan.reports / "20261101T220000Z-plan", ["mp25-1"])
    before = sorted(path for path in tmp_path.rglob("precious"))
    links = sorted(path for path in plan.reports.rglob("*") if path.is_symlink())
    for old in retention.outdated(plan, now):
        said = retention.remove(old)
        assert said == "" or said.startswith(f"night {old.name} is kept: ")
    assert sorted(path for path in tmp_path.rglob("precious")) == before
    assert [path for path in links if not path.is_symlink()] == []
    assert (now / FILE).exists()
    assert all(path.read_text() == "precious" for path in before)
