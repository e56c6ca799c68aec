# SPDX-License-Identifier: MIT
"""What people add to the record of a run after its end: waivers and notes. Nothing in it is ever changed."""

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.core.lines import NotesLine, RecordLine, WaiverLine
from mpbench.core.notes import checked, notes_in
from mpbench.core.record import Clock, append_to, read
from mpbench.core.secrets import secret_values
from mpbench.report import publish
from mpbench.report.manifest import MANIFEST, SIGNATURES
from mpbench.report.model import Case
from mpbench.report.signing import check_waiver
from mpbench.report.summarize import summarize


def waive(directory: Path, tests: Iterable[str], by: str, reason: str, clock: Clock | None = None) -> Path:
    """Accept the FAILs of tests; the path of the page, made again.

    UsageError: unknown or no FAIL, no name, no reason, signed already, or a record that did not end.
    """
    by, reason = checked(by, "--by"), checked(reason, "--reason")
    tests = list(dict.fromkeys(tests))
    (view,) = summarize([read(directory)]).runs
    for test in tests:
        _check(test, view.tests)
    return _append(directory, [WaiverLine(test, by, reason) for test in tests], clock)


def note(directory: Path, words: Iterable[str], by: str, clock: Clock | None = None) -> Path:
    """Add notes NAME=TEXT; the path of the page, made again. UsageError: as waive()."""
    return _append(directory, [NotesLine(notes_in(words, "note"), checked(by, "--by"))], clock)


def _check(test: str, cases: Sequence[Case]) -> None:
    try:
        check_waiver(test, cases)
    except UsageError as e:
        near = difflib.get_close_matches(test, [case.name for case in cases], 1)
        if near and near[0] != test:
            raise UsageError(f"{e}; did you mean {near[0]!r}?") from e
        raise


def _append(directory: Path, lines: Sequence[RecordLine], clock: Clock | None) -> Path:
    for name in (MANIFEST, SIGNATURES):
        if os.path.lexists(directory / name):
            raise UsageError(f"{directory} is signed, so nothing is added to it: it has {name}")
    publish.check_output([directory], directory)
    append_to(directory, lines, clock or Clock(), secret_values(os.environ))
    return publish.write([directory], directory)
