# SPDX-License-Identifier: MIT
"""`make faults`: every test of the table in README.md, with seeds, several at once, and how long each took.

Each part is a pytest of its own: a file of testcases/faults, or the table's tests in a file elsewhere; board
cases run on a virtual board. Two boards fit on two cores.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from attrs import frozen

from testcases.unit.test_fault_table import FAULTS, NONE, TESTCASES, functions_of, rows

ROOT = TESTCASES.parent
NAMED = re.compile(r"`([\w/.]+)::(test_[\w*]+)`")
LONGEST_FIRST = ("test_lab_boards", "test_session_faults", "test_output_faults", "test_console_away")


@frozen
class Part:
    """Arguments of one pytest, and its name."""

    name: str
    arguments: tuple[str, ...]


@frozen
class Result:
    """Exit code, duration and last line of a part."""

    part: Part
    code: int
    took_s: float
    last: str

    def __str__(self) -> str:
        word = "ok " if self.code == 0 else f"rc{self.code}"
        return f"{self.took_s:7.0f} s  {word}  {self.part.name}: {self.last}"


def parts(target: str) -> list[Part]:
    """All fault files, those that take long first; then the table's tests elsewhere."""
    files = sorted(FAULTS.glob("test_*.py"), key=lambda f: (f.stem not in LONGEST_FIRST, f.stem))
    found = [Part(f.stem, (str(f.relative_to(ROOT)),)) for f in files]
    elsewhere: dict[str, set[str]] = {}
    for text in rows().values():
        for file, pattern in NAMED.findall(text):
            if not file.startswith("faults/"):
                names = fnmatch.filter(functions_of(TESTCASES / file), pattern)
                elsewhere.setdefault(file, set()).update(f"testcases/{file}::{name}" for name in names)
    for file, tests in sorted(elsewhere.items()):
        board = () if "/" in file else (f"--lg-env={target}",)
        found.append(Part(file, (*board, *sorted(tests))))
    return found


def run(part: Part, seeds: int, logs: Path) -> Result:
    """Run one part; what it prints is kept in a file."""
    log = logs / f"{part.name.replace('/', '-')}.log"
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *part.arguments]
    with log.open("wb") as file:
        variables = os.environ | {"MPBENCH_SEEDS": str(seeds)}
        done = subprocess.run(command, cwd=ROOT, env=variables, stdout=file, stderr=file, check=False)
    lines = log.read_text(errors="replace").splitlines()
    for line in lines:
        if done.returncode and line.startswith(("FAILED", "ERROR")):
            print(f"    {line}", flush=True)
    return Result(part, done.returncode, time.monotonic() - start, lines[-1] if lines else "no output")


def main() -> int:
    """Exit code 1 if a part failed."""
    parser = argparse.ArgumentParser(prog="testcases.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--target", default="targets/virtual-mp25.yaml")
    parser.add_argument("only", nargs="*", help="names of parts, e.g. test_panic")
    args = parser.parse_args()
    logs = Path(tempfile.mkdtemp(prefix="mpbench-faults-"))
    waiting = [part for part in parts(args.target) if not args.only or part.name in args.only]
    start, results = time.monotonic(), []
    with ThreadPoolExecutor(args.jobs) as pool:
        for ended in as_completed([pool.submit(run, part, args.seeds, logs) for part in waiting]):
            results.append(ended.result())
            print(results[-1], flush=True)
    failed = [result.part.name for result in results if result.code]
    untested = [str(number) for number, text in rows().items() if text == NONE]
    minutes = (time.monotonic() - start) / 60
    print(
        f"{len(rows())} faults, {args.seeds} seeds: {len(results)} parts in {minutes:.0f} min; logs in {logs}"
    )
    print(f"without a test: {', '.join(untested) or 'none'}; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
