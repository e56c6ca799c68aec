# SPDX-License-Identifier: MIT
"""A report made again from its records, compared with what is in its directory."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from attrs import frozen

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.core.record import EVIDENCE, LOG, Run
from mpbench.core.version import made_by
from mpbench.report import publish
from mpbench.report.manifest import MANIFEST, SIGNATURES
from mpbench.report.model import Page
from mpbench.report.sources import JOURNAL, SOURCES, against_journal, read_sources
from mpbench.report.tree import Tree

OF_A_NIGHT = re.compile(rf"{re.escape(JOURNAL)}|logs/[^/]+\.log")
"""What a night has beside records and pages."""
ANY = ""
"""In place of a hash: any content."""
_MADE_BY = re.compile(rb'<meta name="generator" content="(mpbench [\w.+-]{1,40})">')


@frozen
class Remade:
    """A report as its records give it. files: name → SHA-256, or ANY; wrong: why it cannot be signed."""

    page: Page
    files: Mapping[str, str]
    wrong: tuple[str, ...]


def remake(directory: Path, tree: Tree) -> Remade:
    """The report again. UsageError: no record, or one that cannot be read."""
    sources = read_sources(directory)
    runs = sources.runs(directory)
    page, made = publish.rendered(runs, sources.history, sources.remarks, sources.others)
    files = {name: _sha256(content) for name, content in made.items()}
    by_name = dict(zip(sources.records, runs, strict=True))
    for name, run in by_name.items():
        files |= _of_run(name, run, tree)
    if SOURCES in tree.files:
        files[SOURCES] = ANY
        files |= {name: ANY for name in tree.files if OF_A_NIGHT.fullmatch(name)}
    doubts = against_journal(directory, sources, page.verdict)
    return Remade(page, files, (*doubts, *_not_to_sign(by_name)))


def _of_run(name: str, run: Run, tree: Tree) -> dict[str, str]:
    """Record and evidence of a run; if it has a directory of its own, what is there too."""
    evidence = {f"{EVIDENCE}/{ref.file}": ref.file[:64] for ref in run.refs()}
    files = {name: run.sha256} | evidence
    parent, _, file = name.rpartition("/")
    if parent and file == LOG:
        _, made = publish.rendered([run])
        own = evidence | {made_name: _sha256(content) for made_name, content in made.items()}
        own |= dict.fromkeys((MANIFEST, SIGNATURES), ANY)
        wanted = evidence.keys() | {one for one in own if f"{parent}/{one}" in tree.files}
        files |= {f"{parent}/{one}": own[one] for one in wanted}
    return files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _not_to_sign(runs: Mapping[str, Run]) -> Iterator[str]:
    """A line for each record that is not complete, unless one that is continues it, itself or over others."""
    before = {run.id: run.start.continues for run in runs.values() if run.start}
    waiting, continued = [run.id for run in runs.values() if not run.notes], set[str]()
    while waiting:
        one = before.get(waiting.pop())
        if one and one not in continued:
            continued.add(one)
            waiting.append(one)
    for name, run in runs.items():
        if run.id not in continued:
            yield from (f"{name}: {note}" for note in run.notes)
    if not runs:
        yield "it is about no run"


def differences(remade: Remade, tree: Tree, directory: Path) -> Iterator[str]:
    """A line for everything in the directory that is not what the records give."""
    yield from (f"{name} is {kind}" for name, kind in tree.odd.items())
    yield from remade.wrong
    other: dict[Path, list[str]] = {}
    for name in sorted(remade.files.keys() | tree.files.keys()):
        expected, found, path = remade.files.get(name), tree.files.get(name), directory / name
        if expected is None:
            yield f"{name} is no part of the report"
        elif found is None:
            yield f"{name} is missing"
        elif expected not in (ANY, found.sha256) and path.name in publish.WRITTEN:
            other.setdefault(path.parent, []).append(name)
        elif expected not in (ANY, found.sha256):
            yield f"{name} was changed"
    for parent, names in other.items():
        again = f"`mpbench report {parent}` makes it again, then look at it"
        if os.path.lexists(parent / MANIFEST):
            again = f"it has a {MANIFEST}: more signatures need the page and the version of the first one"
        yield f"{', '.join(names)}: {_how_made(parent)}; {again}"
    parents = {parent.as_posix() for name in remade.files for parent in PurePosixPath(name).parents}
    allowed = parents | {EVIDENCE} | {f"{parent}/{EVIDENCE}" for parent in parents}
    yield from (f"{name}/ is no part of the report" for name in tree.directories if name not in allowed)


def _how_made(directory: Path) -> str:
    """Why a page and its exports are not what this version makes of the record."""
    try:
        found = _MADE_BY.search(read_bounded(directory / publish.INDEX, follow=False)[:4096])
    except UsageError:
        found = None
    if found and found[1].decode() == made_by():
        return f"not what {made_by()} makes from the record"
    return f"made by {found[1].decode() if found else 'an unknown version'}, this is {made_by()}"
