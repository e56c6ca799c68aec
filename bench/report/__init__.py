# SPDX-License-Identifier: MIT
"""From records to what people and servers read: offline, with no board, the same bytes every time."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.errors import LabFault
from bench.record import EVIDENCE, Run, read
from bench.report import junit, page
from bench.report.model import summarize

INDEX = "index.html"
JUNIT = "junit.xml"


def write(directories: Sequence[Path], output: Path) -> Path:
    """Report on the runs in `directories` below `output`; returns the page's path.

    Raises Misuse for what is no record, LabFault when the disk does not take the report.
    """
    runs = [read(directory) for directory in directories]
    shown = summarize(runs)
    try:
        for run in runs:
            _bring_evidence(run, output)
        _replace(output / JUNIT, junit.render(shown))
        _replace(output / INDEX, page.render(shown))
    except OSError as e:
        raise LabFault(f"cannot write the report to {output}: {e.strerror}") from e
    return output / INDEX


def _bring_evidence(run: Run, output: Path) -> None:
    """Put the evidence beside the page; names are hashes, so several runs share one directory."""
    target = output / EVIDENCE
    target.mkdir(parents=True, exist_ok=True)
    source = run.directory / EVIDENCE
    if target.resolve() == source.resolve():
        return
    for file in sorted(source.glob("*.txt")) + sorted(source.glob("*.bin")):
        shutil.copyfile(file, target / file.name)


def _replace(path: Path, text: str) -> None:
    """The old page or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
