# SPDX-License-Identifier: MIT
"""`make test` and `make check`: runs every stage, whatever failed before, and prints one summary.

On two cores and more a second lane runs beside the board cases, which wait for a board most of the time. Its
output is kept and printed whole when a stage of it has ended.
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
from testcases.suite.stages import BESIDE, Result, Stage, checks, result_of, stages, summary

WAIT_S = 60.0
"""While only the second lane runs, a line is printed in this time."""
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
    _running: set["subprocess.Popen[bytes]"] = field(factory=set)
    _print: threading.Lock = field(factory=threading.Lock)
    _stopped: bool = False
    _fault: BaseException | None = None

    def run(self, wanted: Sequence[Stage], lanes: int) -> int:
        """All stages; 0 if all have passed, else 1."""
        self.out.mkdir(parents=True, exist_ok=True)
        beside = [stage for stage in wanted if stage.lane == BESIDE and lanes > 1]
        main = [stage for stage in wanted if stage not in beside]
        second = threading.Thread(target=self._beside, args=(beside,))
        try:
            self._all([stage for stage in main if stage.lane == "first"])
            second.start()
            self._all([stage for stage in main if stage.lane != "first"])
            self._wait(second)
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
        """The second lane; a mistake of ours in it ends the whole."""
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
            code = self._call(words, output)
        found = result_of(stage.name, code, time.monotonic() - began_s, junit)
        self.results[stage.name] = found
        self._say(f"{stage.name}: {found.word} in {span(found.seconds)}", log.read_bytes() if kept else b"")

    def _call(self, words: Sequence[str], output: object) -> int:
        streams = {"stdout": output, "stderr": subprocess.STDOUT} if output else {}
        process = subprocess.Popen(words, cwd=self.root, stdin=subprocess.DEVNULL, **streams)  # type: ignore[call-overload]
        self._running.add(process)
        try:
            return int(process.wait())
        finally:
            self._running.discard(process)

    def _wait(self, second: threading.Thread) -> None:
        while second.is_alive():
            second.join(WAIT_S)
            if second.is_alive():
                self._say("the second lane is still running")

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
            )  # a stage of the other lane may keep a line up to date
            print(f"{start}=== {span(self._time_s())}: {text}", flush=True)

    def _time_s(self) -> float:
        return time.monotonic() - self.start_s


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
    parser.add_argument("--lanes", type=int, default=min(2, os.cpu_count() or 1), help="default: %(default)s")
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
