# SPDX-License-Identifier: MIT
"""Content-addressed build steps: the result of given inputs is built once and then taken from the cache."""

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from mpbench.core.directories import cache_dir
from mpbench.core.files import lock
from mpbench_virtual.tools import require_space

BUILD_BYTES = 6 << 30
"""Sources, a kernel tree twice and its objects take 4 GiB."""

Report = Callable[[str, str], None]
"""Called with a step's name and its state: `cached`, `building`, `built in 12 s`, `failed`."""


@frozen
class Place:
    """What a step writes: `out` (result), `work` (kept between builds), `log`; what it reads: `needs`."""

    out: Path
    work: Path
    log: Path
    needs: Mapping[str, Path]


@frozen
class BuildStep:
    """One part of a board.

    inputs: returns texts; their hash, with the keys of `needs`, is the content address of the result.
    make:   fills `place.out`; may keep intermediate files in `place.work` for the next build.
    needs:  names of the steps that must be complete first.
    work:   name of the directory `place.work`, for steps of one name that must not share it.
    """

    name: str
    inputs: Callable[[], Iterable[str]]
    make: Callable[[Place], None]
    needs: tuple[str, ...] = ()
    work: str = ""


# application.py and xtest.py are inputs of what they build: this name changes with their next rebuild.
Step = BuildStep


def hash_files(*roots: Path) -> str:
    """SHA-256 over names and contents of files and directories, in sorted order, without build output."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(p for p in (root.rglob("*") if root.is_dir() else [root]) if p.is_file()):
            if "build" in path.relative_to(root.parent).parts or path.suffix == ".pyc":
                continue
            digest.update(f"{path.relative_to(root.parent)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def keys_of(steps: Iterable[BuildStep]) -> dict[str, str]:
    """Content address of each step; a step follows those it needs."""
    keys: dict[str, str] = {}
    for step in steps:
        parts = [step.name, *step.inputs(), *(keys[n] for n in step.needs)]
        keys[step.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    return keys


def built(name: str, key: str) -> Path:
    """Directory of the result of a step; exists once the step is complete."""
    return cache_dir() / "built" / f"{name}-{key}"


def build(steps: list[BuildStep], report: Report) -> dict[str, Path]:
    """Build what is not in the cache, independent steps in parallel; returns each step's result directory."""
    keys = keys_of(steps)
    results = {s.name: built(s.name, keys[s.name]) for s in steps}
    missing = [s for s in steps if not results[s.name].is_dir()]
    for step in steps:
        if step not in missing:
            report(step.name, "cached")
            os.utime(results[step.name])
    if missing:
        require_space(cache_dir(), BUILD_BYTES)
        with _build_lock(report):
            _build_missing(missing, results, report)
    return results


def _build_missing(missing: list[BuildStep], results: Mapping[str, Path], report: Report) -> None:
    waiting = {s.name: s for s in missing}
    running: dict[Future[None], str] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=3) as pool:
        try:
            while waiting or running:
                for step in [s for s in waiting.values() if all(results[n].is_dir() for n in s.needs)]:
                    del waiting[step.name]
                    running[pool.submit(_make, step, results, report, stop)] = step.name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    future.result()
        except BaseException:
            stop.set()
            raise


def _make(step: BuildStep, results: Mapping[str, Path], report: Report, stop: threading.Event) -> None:
    out = results[step.name]
    if out.is_dir() or stop.is_set():
        return
    work = cache_dir() / "work" / (step.work or step.name)
    fresh = out.with_name(out.name + ".partial")
    shutil.rmtree(fresh, ignore_errors=True)
    for directory in (work, fresh):
        directory.mkdir(parents=True, exist_ok=True)
    log = cache_dir() / "logs" / f"{step.work or step.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    report(step.name, "building")
    started = time.monotonic()
    try:
        step.make(Place(fresh, work, log, results))
    except BaseException:
        report(step.name, "failed")
        raise
    fresh.rename(out)
    report(step.name, f"built in {time.monotonic() - started:.0f} s")


@contextmanager
def _build_lock(report: Report) -> Iterator[None]:
    """One builder at a time; the others wait and then find the results in the cache."""
    with (cache_dir() / "build.lock").open("w") as file:
        if not lock(file, wait=False):
            report("build", "another build is running; waiting for it")
            lock(file)
        yield
