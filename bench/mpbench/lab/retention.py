# SPDX-License-Identifier: MIT
"""Removes old nights: what a night made itself, as its journal lists it, and nothing else."""

import contextlib
import re
import shutil
from pathlib import Path

from mpbench.core.errors import InfrastructureError
from mpbench.core.record import EVIDENCE
from mpbench.lab.journal import FILE, job_runs, nights_of
from mpbench.lab.plan import NightPlan
from mpbench.report import publish
from mpbench.report.manifest import MANIFEST
from mpbench.report.sources import SOURCES

_KEPT = re.compile(r"[0-9a-f]{64}\.(?:txt|bin)")
"""Names of evidence files."""


def outdated(plan: NightPlan, now: Path) -> list[Path]:
    """Nights of a plan beyond those to keep; never `now`, whatever its name, nor a signed one.

    A night is a directory with a journal, neither of them a link: a name alone makes none.
    """
    named = (path for path in nights_of(plan.reports, plan.name) if path != now)
    nights = [path for path in named if _is_own(path, Path.is_dir) and _is_own(path / FILE, Path.is_file)]
    old = nights[: max(0, len(nights) + 1 - plan.keep_nights)]
    return [night for night in old if not (night / MANIFEST).exists()]


def remove(night: Path) -> str:
    """Remove what the night made; why something is left, "" if nothing is."""
    try:
        runs = job_runs(night)
    except InfrastructureError as fault:
        return f"night {night.name} is kept: {fault}"
    for name in runs:
        _remove_tree(night / "runs" / name)
        for suffix in (".log", ".pid"):
            _remove_file(night / "logs" / f"{name}{suffix}")
    if _is_own(night / EVIDENCE, Path.is_dir):
        for path in (night / EVIDENCE).iterdir():
            if _KEPT.fullmatch(path.name):
                _remove_file(path)
    for name in (*publish.WRITTEN, SOURCES):
        _remove_file(night / name)
    for folder in (night / "runs", night / "logs", night / EVIDENCE):
        with contextlib.suppress(OSError):
            folder.rmdir()
    left = sorted(path.name for path in night.iterdir() if path.name != FILE)
    if left:
        return f"night {night.name} is kept: it has files that it did not make: {', '.join(left[:5])}"
    _remove_file(night / FILE)  # last, so that a removal that is interrupted can continue
    with contextlib.suppress(OSError):
        night.rmdir()
    return ""


def _is_own(path: Path, kind: object) -> bool:
    """Whether a path is what `kind` says, and no link to it."""
    return not path.is_symlink() and bool(kind(path))  # type: ignore[operator]


def _remove_tree(path: Path) -> None:
    if _is_own(path, Path.is_dir) and not path.parent.is_symlink():
        shutil.rmtree(path, ignore_errors=True)


def _remove_file(path: Path) -> None:
    if not path.parent.is_symlink():
        with contextlib.suppress(OSError):
            path.unlink()
