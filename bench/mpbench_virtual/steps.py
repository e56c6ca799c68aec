# SPDX-License-Identifier: MIT
"""Content-addressed build steps: the result of given inputs is built once and then taken from the cache."""

import hashlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from attrs import frozen

from mpbench.core.directories import cache_dir
from mpbench.core.files import lock, open_own, write_whole
from mpbench.core.shared_files import content_hash
from mpbench_virtual import fetch
from mpbench_virtual.progress import span
from mpbench_virtual.tools import require_space

BUILD_BYTES = 6 << 30
"""Sources, a kernel tree twice and its objects take 4 GiB."""

TICK_S = 1.0
"""How often a build reports what it does."""
clock_s = time.monotonic
"""The clock of builds; tests have their own."""
OBJECT = re.compile(rb"^  (?:CC|AS) ", re.MULTILINE)
"""What the Makefiles of Linux, U-Boot, TF-A and OP-TEE print for every object."""


class Report(Protocol):
    """Called by several threads with a step's name and state: `cached`, `building`, `built in 12 s`.

    passing: what is being done, every second; replaced by what comes next.
    """

    def __call__(self, step: str, what: str, passing: bool = False, /) -> None: ...


def quiet(*_: object) -> None:
    """A Report that is discarded."""


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
    objects: number of object files that it compiles, about; 0: not known.
    resumes: an interrupted `make` continues in `place.work`; others start again.
    """

    name: str
    inputs: Callable[[], Iterable[str]]
    make: Callable[[Place], None]
    needs: tuple[str, ...] = ()
    work: str = ""
    objects: int = 0
    resumes: bool = False

    @property
    def log(self) -> Path:
        """What its tools print in the latest build."""
        return cache_dir() / "logs" / f"{self.work or self.name}.log"


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


def hash_stamps(tree: Path) -> str:
    """SHA-256 over names, sizes and times of change of a tree's files, without its repository.

    For a tree of the user's own: reading all of Linux takes as long as a board takes to start.
    """
    digest = hashlib.sha256()
    for directory, names, files in os.walk(tree):
        names[:] = sorted(set(names) - {".git"})
        for file in sorted(files):
            path = Path(directory, file)
            found = path.lstat()
            stamp = f"{path.relative_to(tree)}\0{found.st_size}\0{found.st_mtime_ns}\0"
            digest.update(stamp.encode(errors="surrogateescape"))
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


def is_whole(out: Path) -> bool:
    """Whether a result is complete and as it was built, by its hash."""
    if not out.is_dir():
        return False
    try:
        known = _hash_file(out).read_text()
    except FileNotFoundError:  # built by an earlier version
        write_whole(_hash_file(out), content_hash(out).encode())
        return True
    except (OSError, ValueError):
        return False
    return known == content_hash(out)


def _hash_file(out: Path) -> Path:
    return out.with_name(f"{out.name}.hash")


def _remove_damaged(missing: Iterable[BuildStep], results: Mapping[str, Path], report: Report) -> None:
    """Remove results that were truncated or changed; another process may have built them again."""
    for step in missing:
        out = results[step.name]
        if out.exists() and not is_whole(out):
            report(step.name, "damaged in the cache: built again")
            shutil.rmtree(out, ignore_errors=True)
            _hash_file(out).unlink(missing_ok=True)


def build(steps: list[BuildStep], report: Report) -> dict[str, Path]:
    """Build what is not in the cache, independent steps in parallel; returns each step's result directory."""
    keys = _fetched(steps, report)
    results = {s.name: built(s.name, keys[s.name]) for s in steps}
    missing = [s for s in steps if not is_whole(results[s.name])]
    for step in steps:
        if step not in missing:
            report(step.name, "cached")
            os.utime(results[step.name])
    if missing:
        require_space(cache_dir(), BUILD_BYTES)
        with _build_lock(report):
            _remove_damaged(missing, results, report)
            _build_missing(missing, results, report)
    return results


def _fetched(steps: list[BuildStep], report: Report) -> dict[str, str]:
    """Content addresses of the steps; what they are made of is fetched for it, and that may take minutes."""
    started_s = clock_s()
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(keys_of, steps)
        while not wait([future], TICK_S).done:
            report("sources", f"fetching, {span(clock_s() - started_s)}", True)
    if fetch.FETCHED:
        report("sources", f"{len(fetch.FETCHED)} fetched in {span(clock_s() - started_s)}")
        fetch.FETCHED.clear()
    if future.exception() is not None:
        report("sources", "failed")
    if text := fetch.left_archive():
        print(f"warning: {text}", file=sys.stderr, flush=True)
    return future.result()


@frozen
class _Running:
    """A step that is being built."""

    step: BuildStep
    started_s: float

    def doing(self) -> str:
        """Objects done of all where it compiles, and the time."""
        text = span(clock_s() - self.started_s)
        try:
            done = len(OBJECT.findall(self.step.log.read_bytes()))
        except FileNotFoundError:  # not started yet
            done = 0
        if done:
            of_all = f" of about {self.step.objects}" if done <= self.step.objects else ""
            return f"{done}{of_all} objects, {text}"
        return text


def _build_missing(missing: list[BuildStep], results: Mapping[str, Path], report: Report) -> None:
    waiting = {s.name: s for s in missing}
    running: dict[Future[None], _Running] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=3) as pool:
        try:
            while waiting or running:
                for step in [s for s in waiting.values() if all(results[n].is_dir() for n in s.needs)]:
                    del waiting[step.name]
                    running[pool.submit(_make, step, results, report, stop)] = _Running(step, clock_s())
                done = wait(running, TICK_S, return_when=FIRST_COMPLETED).done
                if not done:
                    now = [(found.step.name, found.doing()) for found in running.values()]
                    report(*(now[0] if len(now) == 1 else ("building", "; ".join(map(": ".join, now)))), True)
                for future in done:
                    del running[future]
                    future.result()
        except BaseException as e:
            stop.set()
            if isinstance(e, KeyboardInterrupt):
                report("build", "interrupted; the next one continues with what is complete")
            raise


def _make(step: BuildStep, results: Mapping[str, Path], report: Report, stop: threading.Event) -> None:
    out = results[step.name]
    if out.is_dir() or stop.is_set():
        return
    work = cache_dir() / "work" / (step.work or step.name)
    fresh = out.with_name(out.name + ".partial")
    again = "" if not fresh.exists() else "; continues where it was interrupted" if step.resumes else " again"
    shutil.rmtree(fresh, ignore_errors=True)
    for directory in (work, fresh):
        directory.mkdir(parents=True, exist_ok=True)
    step.log.parent.mkdir(parents=True, exist_ok=True)
    step.log.write_bytes(b"")
    report(step.name, f"building{again}")
    started_s = clock_s()
    try:
        step.make(Place(fresh, work, step.log, results))
    except BaseException:
        report(step.name, "stopped" if stop.is_set() else "failed")
        raise
    write_whole(_hash_file(out), content_hash(fresh).encode())
    fresh.rename(out)
    report(step.name, f"built in {span(clock_s() - started_s)}")


@contextmanager
def _build_lock(report: Report) -> Iterator[None]:
    """One builder at a time; the others wait and then find the results in the cache."""
    with open_own(cache_dir() / "build.lock", shared=True) as file:
        if not lock(file, wait=False):
            report("build", "another build is running; waiting for it")
            started_s = clock_s()
            while not lock(file, wait=False):  # flock(2) has no deadline
                time.sleep(TICK_S)
                report("build", f"waiting for the other build, {span(clock_s() - started_s)}", True)
        yield
