# SPDX-License-Identifier: MIT
"""From records to what people and servers read: offline, with no board, reproducible to the byte."""

import gc
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mpbench.core import files
from mpbench.core.errors import UsageError
from mpbench.core.files import os_errors, write_whole
from mpbench.core.record import EVIDENCE, LOG, Run, read
from mpbench.core.verdict import Judgement
from mpbench.report import exports, junit, page
from mpbench.report.manifest import MANIFEST, SIGNATURES
from mpbench.report.model import Page
from mpbench.report.sources import SOURCES, read_sources, write_sources
from mpbench.report.summarize import summarize
from mpbench.report.trend import Point

INDEX = "index.html"
JUNIT = "junit.xml"
CSV = "measurements.csv"
SUMMARY = "summary.json"
WRITTEN = (INDEX, JUNIT, CSV, SUMMARY)


@contextmanager
def _keeping() -> Iterator[None]:
    """Disable the cyclic garbage collector: there are no cycles, and 30,000 tests take 33 % less time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_keeping()
def write(
    directories: Sequence[Path], output: Path, history: Iterable[Point] = (), remarks: Iterable[str] = ()
) -> Path:
    """Report on the runs in `directories` below `output`; returns the page's path.

    history, remarks: see page.render. UsageError for an invalid record, InfrastructureError if the disk
    rejects the report.
    """
    write_runs([read(directory) for directory in directories], output, history, remarks)
    return output / INDEX


def write_again(directory: Path) -> Path:
    """Make the page about several runs again from what is in its directory; returns its path."""
    sources = read_sources(directory)
    runs = sources.runs(directory)
    check_output([run.directory for run in runs], directory)
    write_runs(runs, directory, sources.history, sources.remarks, sources.others)
    return directory / INDEX


@_keeping()
def write_runs(
    runs: Sequence[Run],
    output: Path,
    history: Iterable[Point] = (),
    remarks: Iterable[str] = (),
    others: Iterable[Judgement] = (),
) -> Page:
    """Report on runs that were read already; as write(), but returns what the page shows.

    others: what counts for the verdict beside the runs, as units without a run
    """
    history, remarks, others = list(history), list(remarks), list(others)
    shown, made = rendered(runs, history, remarks, others)
    with os_errors(f"cannot write the report to {output}"):
        for directory in (output, *(run.directory for run in runs)):
            files.remove_leftovers(directory)
            files.remove_leftovers(directory / EVIDENCE)
        for run in runs:
            _bring_evidence(run, output)
        write_sources(runs, output, history, remarks, others)
        for name, content in made.items():
            write_whole(output / name, content)
    return shown


def rendered(
    runs: Sequence[Run],
    history: Iterable[Point] = (),
    remarks: Iterable[str] = (),
    others: Iterable[Judgement] = (),
) -> tuple[Page, dict[str, bytes]]:
    """What the page shows, and the content of every file that is made of it, by name, the page last."""
    shown = summarize(runs, others)
    texts = {
        CSV: exports.measurements(shown),
        SUMMARY: exports.summary(shown),
        JUNIT: junit.render(shown),
        INDEX: page.render(shown, history, remarks),
    }
    return shown, {name: text.encode() for name, text in texts.items()}


def _bring_evidence(run: Run, output: Path) -> None:
    """Put the evidence beside the page; names are hashes, so several runs share one directory."""
    target = output / EVIDENCE
    target.mkdir(parents=True, exist_ok=True)
    source = run.directory / EVIDENCE
    if files.real_path(target) == files.real_path(source):
        return
    for name in sorted({ref.file for ref in run.refs()}):
        data = run.evidence(name)  # None: missing, changed or a link, as the page says
        if data is not None and not os.path.lexists(target / name):
            _put(source / name, data, target / name)


def _put(file: Path, data: bytes, to: Path) -> None:
    """The file under a second name where the disk can do that, else a copy: with its mode, in both cases."""
    try:
        os.link(file, to, follow_symlinks=False)
    except OSError:
        write_whole(to, data, mode=stat.S_IMODE(file.stat().st_mode))


def check_output(directories: Sequence[Path], output: Path) -> None:
    """UsageError unless the report on these runs can be written to `output` and replaces none of its inputs.

    Checked before anything is written.
    """
    if os.path.lexists(output) and not output.is_dir():
        raise UsageError(f"cannot write the report to {output}: it is no directory")
    if os.path.lexists(output / LOG) and not any(_same_directory(output, one) for one in directories):
        raise UsageError(f"cannot write the report to {output}: it is the directory of another run")
    for name in (MANIFEST, SIGNATURES):
        if os.path.lexists(output / name):
            raise UsageError(f"cannot write the report to {output}: it is signed, it has {name}; give -o DIR")
    evidence = output / EVIDENCE
    if evidence.is_symlink() or (evidence.exists() and not evidence.is_dir()):
        raise UsageError(f"cannot write the report to {output}: {evidence} is no directory")
    inputs = [directory / LOG for directory in directories]
    inputs += [file for directory in directories for file in (directory / EVIDENCE).glob("*")]
    for name in (*WRITTEN, SOURCES):
        files.check_output(output / name, inputs)


def _same_directory(a: Path, b: Path) -> bool:
    return b.is_dir() and a.samefile(b)
