# SPDX-License-Identifier: MIT
"""`make test` and `make check`: runs every stage, whatever failed before, and prints one summary.

On two cores and more several lanes run side by side, since tests wait for boards and programs for much of the
time. The first lane's output is printed as it comes, that of the others whole when a stage has ended.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from mpbench_virtual.progress import span
from testcases.suite.stages import LANES, Result, Stage, checks, result_of, stages, summary

WAIT_S = 60.0
"""While the first lane waits for the others, a line is printed in this time."""
INTERRUPTED = 130
MAX_WORDS = 12
"""Of a longer command that many words are printed."""


@define
class Suite:
    """Runs stages in `root`; files about them are in `out`."""

    root: Path
    out: Path
    start_s: float = field(factory=time.monotonic)
    results: dict[str, Result] = field(factory=dict)
    _running: dict["subprocess.Popen[bytes]", str] = field(factory=dict)
    _print: threading.Lock = field(factory=threading.Lock)
    _stopped: bool = False
    _fault: BaseException | None = None

    def run(self, wanted: Sequence[Stage], lanes: int) -> int:
        """All stages, those of lanes beyond `lanes` in the last one; 0 if all have passed, else 1."""
        self.out.mkdir(parents=True, exist_ok=True)
        first, *rest = ([one for one in wanted if min(one.lane, lanes - 1) == n] for n in range(lanes))
        others = [threading.Thread(target=self._beside, args=(rows,)) for rows in rest]
        try:
            for other in others:
                other.start()
            self._all(first)
            self._wait(others)
            if self._fault:
                raise self._fault
        except BaseException:
            self._end()
            raise
        for line in summary([self.results[stage.name] for stage in wanted], self._time_s()):
            print(line, flush=True)
        return int(any(one.code for one in self.results.values()))

    def _all(self, wanted: Sequence[Stage], kept: bool = False) -> None:
        for stage in wanted:
            if not self._stopped:
                self._one(stage, kept)

    def _beside(self, wanted: Sequence[Stage]) -> None:
        """Another lane; a mistake of ours in it ends the whole."""
        try:
            self._all(wanted, kept=True)
        except BaseException as fault:
            self._fault = fault

    def _one(self, stage: Stage, kept: bool) -> None:
        """kept: its output goes to a file first."""
        junit = self.out / f"{stage.name.replace(' ', '-')}.xml" if stage.pytest else None
        if junit:
            junit.unlink(missing_ok=True)
        words = words_of(stage, junit, kept)
        shown = [*stage.command[:MAX_WORDS], *(["..."] if len(stage.command) > MAX_WORDS else [])]
        typed = " ".join(["pytest", *shown] if stage.pytest else shown)
        self._say(f"{stage.name}: {typed}" + (" (beside; its output follows)" if kept else ""))
        log, began_s = self.out / f"{stage.name.replace(' ', '-')}.log", time.monotonic()
        with log.open("wb") if kept else contextlib.nullcontext() as output:
            code = self._call(stage.name, words, output)
        found = result_of(stage.name, code, time.monotonic() - began_s, junit)
        self.results[stage.name] = found
        self._say(f"{stage.name}: {found.word} in {span(found.seconds)}", log.read_bytes() if kept else b"")

    def _call(self, name: str, words: Sequence[str], output: object) -> int:
        streams = {"stdout": output, "stderr": subprocess.STDOUT} if output else {}
        process = subprocess.Popen(  # type: ignore[call-overload]
            words, cwd=self.root, env=_environment(), stdin=subprocess.DEVNULL, **streams
        )
        self._running[process] = name
        try:
            return int(process.wait())
        finally:
            self._running.pop(process)

    def _wait(self, others: Sequence[threading.Thread]) -> None:
        for other in others:
            while other.is_alive():
                other.join(WAIT_S)
                if other.is_alive():
                    self._say(f"still running: {', '.join(sorted(self._running.values()))}")

    def _end(self) -> None:
        """Ends what runs, and waits for it: it has boards to leave as they should be."""
        self._stopped = True
        for process in list(self._running):
            process.terminate()
        for process in list(self._running):
            process.wait()

    def _say(self, text: str, before: bytes = b"") -> None:
        with self._print:
            sys.stdout.flush()
            sys.stdout.buffer.write(before)
            start = (
                "\n" if sys.stdout.isatty() else ""
            )  # a stage of the first lane may keep a line up to date
            print(f"{start}=== {span(self._time_s())}: {text}", flush=True)

    def _time_s(self) -> float:
        return time.monotonic() - self.start_s


def _environment() -> dict[str, str]:
    """Bytecode is written: tests start a thousand Pythons, each of which would compile the bench again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def words_of(stage: Stage, junit: Path | None, kept: bool) -> list[str]:
    """The command of a stage; two pytests of one root would write the same cache."""
    if junit is None:
        return [str(Path(sys.executable).with_name(stage.command[0])), *stage.command[1:]]
    cache = ["-p", "no:cacheprovider"] if kept else []
    return [sys.executable, "-m", "pytest", f"--junit-xml={junit}", *cache, *stage.command]


def main() -> int:
    """The stages of `test` or of `check`."""
    parser = argparse.ArgumentParser(prog="python -m testcases.suite", description=main.__doc__)
    parser.add_argument("what", choices=("check", "test"))
    parser.add_argument("--lg-env", default="targets/virtual-mp25.yaml", metavar="FILE")
    lanes = LANES if (os.cpu_count() or 1) > 1 else 1
    parser.add_argument("--lanes", type=int, default=lanes, choices=range(1, LANES + 1))
    args = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    wanted = checks() if args.what == "check" else stages(args.lg_env)
    try:
        return Suite(root, root / "build" / "suite").run(wanted, args.lanes)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
