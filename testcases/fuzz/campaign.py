# SPDX-License-Identifier: MIT
"""python -m testcases.fuzz.campaign --cases 100000: random inputs through every command that reads them.

Each case is one changed example (mutate.py) of one kind (readers.py), from a seed of its own. It holds if the
command ends with exit code 0, 1, 2 or 3, with one line on standard error for 2 and 3, no traceback, no
control characters on the terminal, within 10 s and 256 MiB. `--only SEED` runs one case again.
"""

import argparse
import contextlib
import io
import logging
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.sanitize import one_line
from mpbench.core.shared_files import PACKAGE
from testcases.fuzz import readers
from testcases.fuzz.readers import Kind

CASE_S = 10
"""Of CPU: on a host that does nothing else, a command takes as long."""
MEMORY_BYTES = 256 << 20
HANG_S = 30 * CASE_S
"""A worker that has reported nothing for so long is stuck where no alarm reaches it, on a busy host too."""
MEMORY = Path("/dev/shm")
"""A file system without a disk: what is synced costs nothing there."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")


class TooLong(BaseException):
    """The case has had its time; no `except Exception` may catch it."""


@frozen
class Result:
    """What became of a case: exit code, or what it violated."""

    kind: str
    seed: int
    code: int | None
    wrong: str = ""

    @property
    def line(self) -> str:
        """It in words, for a violation."""
        return f"WRONG {self.kind} seed {self.seed}: {self.wrong}"


@define
class Tally:
    """Results of a campaign."""

    codes: Counter[tuple[str, int | None]] = field(factory=Counter)
    wrong: list[Result] = field(factory=list)

    def add(self, result: Result) -> None:
        """Count a result."""
        self.codes[result.kind, result.code] += 1
        if result.wrong:
            self.wrong.append(result)
            print(result.line, flush=True)

    @property
    def cases(self) -> int:
        """Number of all cases."""
        return sum(self.codes.values())


def kind_of(seed: int, kinds: Mapping[str, Kind]) -> Kind:
    """The kind that a seed is for, by weight."""
    names = list(kinds)
    return kinds[random.Random(f"kind {seed}").choices(names, [kinds[n].weight for n in names])[0]]


def run_case(kind: Kind, seed: int) -> Result:
    """One case, in the current directory."""
    rng = random.Random(f"{kind.name} {seed}")
    data = kind.change(rng.choice(kind.examples), kind.examples, rng)
    path = Path(kind.file)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.write_bytes(data)
    path.chmod(kind.mode)
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors=e) for e in ("strict", "backslashreplace"))
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, CASE_S)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = rng.choice(kind.commands)(rng)
        wrong = ""
    except (UsageError, InfrastructureError) as e:
        code, wrong = 2 if isinstance(e, UsageError) else 3, ""
        err.write(f"mpbench: {one_line(str(e))}\n")  # as the command line and the plug-in print it
    except SystemExit as e:
        code, wrong = int(e.code or 0), ""
    except TooLong:
        code, wrong = None, f"more than {CASE_S} s"
    except BaseException as e:  # what a user would see as a traceback
        code, wrong = None, f"{type(e).__name__}: {e!s:.200} at {_where(e)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Result(kind.name, seed, code, wrong or complaint(code, shown(out), shown(err)))


def shown(stream: io.TextIOWrapper) -> str:
    """What was printed to a stream."""
    stream.flush()
    stream.seek(0)
    return stream.read()


def complaint(code: int | None, out: str, err: str) -> str:
    """What is wrong with an exit code and what was printed, "" for nothing."""
    lines = [line for line in err.splitlines() if not line.startswith("mpbench: warning: ")]
    if code not in (0, 1, 2, 3):
        return f"exit code {code}"
    if code in (2, 3) and (len(lines) != 1 or not lines[0].strip()):
        return f"exit code {code} with {len(lines)} lines: {lines[:3]!r:.300}"
    if code in (0, 1) and lines:
        return f"exit code {code} with lines on standard error: {lines[:3]!r:.300}"
    if "Traceback" in err or "Traceback (most" in out:
        return "a traceback"
    if found := CONTROL.search(out + err):
        return f"prints {found[0]!r}"
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{used >> 20} MiB of memory" if used > MEMORY_BYTES else ""


def _where(error: BaseException) -> str:
    bench = PACKAGE.parent  # of both packages; the checkout may be called as one of them
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(bench)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _too_long(*_: object) -> None:
    raise TooLong


@contextlib.contextmanager
def desk() -> Iterator[Mapping[str, Kind]]:
    """A directory of its own as the current one, with what all cases need."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="mpbench-fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        os.chdir(name)
        try:
            readers.prepare(Path(name))
            yield readers.kinds()
        finally:
            os.chdir(before)


def work(seeds: range, to: Connection) -> None:
    """A worker: its cases one after the other, each reported. Its memory is limited by the kernel as well."""
    os.environ.update(MPBENCH_CONFIG=tempfile.gettempdir() + "/mpbench-fuzz-none", HOME="/nonexistent")
    logging.disable(logging.NOTSET)
    with desk() as kinds:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2 * MEMORY_BYTES, size + 2 * MEMORY_BYTES))
        to.send("ready")  # making keys is no part of a case
        for seed in seeds:
            to.send(run_case(kind_of(seed, kinds), seed))
    to.send(None)


def campaign(first: int, cases: int, jobs: int) -> Tally:
    """Run the cases in processes. A worker that hangs or dies is a violation, and is replaced."""
    tally, running = Tally(), dict[Any, tuple[Any, int, int, float]]()
    step = -(-cases // jobs)

    def start(begin: int, end: int) -> None:
        if begin < end:
            ours, theirs = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.get_context("fork").Process(
                target=work, args=(range(begin, end), theirs)
            )
            process.start()
            theirs.close()
            running[ours] = (process, begin, end, time.monotonic())

    for begin in range(first, first + cases, step):
        start(begin, min(begin + step, first + cases))
    while running:
        ready = wait(list(running), timeout=1.0)
        for to in list(running):
            process, at, end, since = running[to]
            result, ended = None, False
            if to in ready:
                try:
                    result = to.recv()
                    ended = result is None
                    if result == "ready":
                        running[to] = (process, at, end, time.monotonic())
                        continue
                except EOFError:
                    process.join()  # its exit code tells a signal from an exception
                    result = Result("?", at, None, f"the worker has died: {process.exitcode}")
            elif time.monotonic() - since > HANG_S:
                process.kill()
                result = Result("?", at, None, f"no answer for {HANG_S} s")
            if result is not None:
                tally.add(result)
                running[to] = (process, at + 1, end, time.monotonic())
            if ended or (result is not None and result.kind == "?"):
                process.join()
                del running[to]
                if not ended:
                    start(at + 1, end)
            if result is not None and tally.cases % 5000 == 0:
                print(f"{tally.cases} cases, {len(tally.wrong)} violations", flush=True)
    return tally


def main() -> int:
    """Exit code 1 with violations."""
    parser = argparse.ArgumentParser(prog="python -m testcases.fuzz.campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--only", metavar="SEED", type=int, help="run one case again; its input is kept in ./fuzz-case"
    )
    given = parser.parse_args()
    if given.only is not None:
        here = Path.cwd()
        with desk() as kinds:
            kind = kind_of(given.only, kinds)
            print(run_case(kind, given.only))
            shutil.copy(kind.file, here / "fuzz-case")
        return 0
    start = time.monotonic()
    tally = campaign(given.seed, given.cases, given.jobs)
    print("\n".join(summary(tally, time.monotonic() - start)))
    return int(bool(tally.wrong))


def summary(tally: Tally, seconds: float) -> list[str]:
    """Cases and exit codes by kind, violations with their seeds."""
    lines = []
    for kind in sorted({kind for kind, _ in tally.codes}):
        codes = {code: n for (k, code), n in tally.codes.items() if k == kind}
        shown = ", ".join(f"exit code {code}: {codes[code]}" for code in sorted(codes, key=str))
        lines.append(f"{kind:<11}{sum(codes.values()):>7}  {shown}")
    lines += [result.line for result in tally.wrong[:200]]
    return [*lines, f"{tally.cases} cases in {seconds:.0f} s, {len(tally.wrong)} violations"]


if __name__ == "__main__":
    sys.exit(main())
