# SPDX-License-Identifier: MIT
"""Long campaign: the twin of Linux' loader against Linux' own source, in 64 and in 32 bits.

    python -m testcases.peer.linux_campaign [--comparisons 1000000] [--jobs 2] [--seed N]

One comparison is one start: what rproc_fw_boot() returns, every error and warning, the boot address, all
memory with the table that Linux has written back; sometimes a stop. Starts whose answer the twin calls
undetermined are counted apart. A disagreement is written to `found_linux/`, where the test suite replays it;
exit code 1.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from mpbench.twin.linux_elf import LinuxOutcome
from testcases.peer import linux_cases
from testcases.peer.build import ARM, ASAN, CannotBuild, Flavour
from testcases.peer.linux_build import build, kernel, source
from testcases.peer.linux_worker import STOP, encode_case, predict, same
from testcases.peer.store import default_folder
from testcases.peer.worker import BATCH_BYTES, Worker

FOUND = Path(__file__).parent / "found_linux"
FLAVOURS = (ASAN, ARM)
BATCH = 600
CASES_PER_BASE = 10

Case = tuple[int, bytes]
"""Flags and image."""
Expected = tuple[bytes | None, LinuxOutcome]
"""What the worker must answer, None where any answer will do, and the twin's outcome."""


@define
class Totals:
    """What a campaign counts: starts compared, others, disagreements, all starts by their last line.

    lost: processes of the campaign that ended early
    """

    comparisons: int = 0
    undetermined: int = 0
    disagreements: int = 0
    lost: int = 0
    reasons: Counter[str] = field(factory=Counter)

    def add(self, other: "Totals") -> None:
        """Sum."""
        self.comparisons += other.comparisons
        self.undetermined += other.undetermined
        self.disagreements += other.disagreements
        self.reasons.update(other.reasons)


class Explorer:
    """Batches of random cases through the workers, compared with the twin."""

    def __init__(self, programs: dict[str, Path], seed: int) -> None:
        self.rng = random.Random(seed)
        self.kernel = kernel(source())
        self.flavours = [f for f in FLAVOURS if f.name in programs]
        self.workers = {f.name: Worker(programs[f.name], f.runner) for f in self.flavours}
        self.wrong: list[dict[str, Any]] = []

    def batch(self) -> Totals:
        """One board, BATCH cases, every word size."""
        totals, number = Totals(), self.rng.randrange(len(linux_cases.BOARDS))
        cases: list[Case] = []
        while len(cases) < BATCH:
            base = linux_cases.random_base(self.rng)
            cases += [
                (self.rng.getrandbits(1), linux_cases.random_image(base, self.rng))
                for _ in range(CASES_PER_BASE)
            ]
        expected = [self.send(flavour, number, cases) for flavour in self.flavours]
        for flavour, answers in zip(self.flavours, expected, strict=True):
            self.compare(totals, flavour, number, list(zip(cases, answers, strict=True)))
        return totals

    def send(self, flavour: Flavour, number: int, cases: Sequence[Case]) -> list[Expected]:
        """The twin's answers; a worker gets the cases that have one. Any would do for the others."""
        worker, board = self.workers[flavour.name], linux_cases.BOARDS[number]
        side = board.side(self.kernel, flavour.word_bits)
        expected = [predict(board, side, *case) for case in cases]
        frames = [
            encode_case(*case)
            for case, (wanted, _) in zip(cases, expected, strict=True)
            if wanted is not None
        ]
        assert sum(map(len, frames)) < BATCH_BYTES
        worker.configure(board, flavour.word_bits)  # type: ignore[arg-type]
        worker.send(frames)
        return expected

    def compare(
        self, totals: Totals, flavour: Flavour, number: int, batch: Sequence[tuple[Case, Expected]]
    ) -> None:
        """Count, and keep what disagrees."""
        worker, board = self.workers[flavour.name], linux_cases.BOARDS[number]
        answers = iter(worker.receive(sum(wanted is not None for _, (wanted, _) in batch)))
        for case, (wanted, found) in batch:
            totals.reasons[reason(found)] += 1
            if wanted is None:
                totals.undetermined += 1
                continue
            totals.comparisons += 1
            if not same(wanted, answer := next(answers), board):
                totals.disagreements += 1
                self.wrong.append(stored(flavour, number, case, answer, worker.run(encode_case(*case))))

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers.values():
            worker.close()


def reason(found: LinuxOutcome) -> str:
    """An outcome by what decided it, without its numbers."""
    line = found.why or (found.lines[-2:] or ("",))[0] if found.errno != "OK" else "OK"
    return " ".join(word for word in line.split() if not any(c.isdigit() for c in word))[:60]


def stored(flavour: Flavour, board: int, case: Case, *answers: bytes) -> dict[str, Any]:
    """A case as JSON has it, with the peer's answers: in the campaign, and when it was asked again."""
    flags, image = case
    given = [answer.hex() for answer in answers]
    return {
        "flavour": flavour.name, "board": board, "flags": flags & STOP, "image": image.hex(), "answers": given
    }  # fmt: skip


def explore(programs: dict[str, Path], seed: int, comparisons: int, queue: Any) -> None:
    """One process of the campaign: totals and disagreements, now and then; "" or why it ended early."""
    explorer, done, told = Explorer(programs, seed), Totals(), time.monotonic()
    left, why = comparisons, ""
    while left > 0 and os.getppid() != 1 and not why:
        try:
            one = explorer.batch()
        except (EOFError, OSError) as error:
            why, one = f"a worker is gone: {error}", Totals()
        left -= one.comparisons
        done.add(one)
        if time.monotonic() - told > 2 or left <= 0 or explorer.wrong or why:
            queue.put((done, explorer.wrong))
            done, explorer.wrong, told = Totals(), [], time.monotonic()
    queue.put(why)
    if not why:  # a worker that is gone cannot be closed, and ends with this process
        explorer.close()


def campaign(options: argparse.Namespace, programs: dict[str, Path]) -> Totals:
    """All processes until the comparisons are done; progress on standard output."""
    totals, shown = Totals(), time.monotonic()
    queue: Any = multiprocessing.Queue()
    seed = options.seed or int.from_bytes(os.urandom(6), "little")
    print(f"seed {seed}", flush=True)
    share = -(-options.comparisons // options.jobs)
    jobs = [
        multiprocessing.Process(target=explore, args=(programs, seed + i, share, queue))
        for i in range(options.jobs)
    ]
    for job in jobs:
        job.start()
    running = len(jobs)
    while running:
        got = queue.get()
        if isinstance(got, str):
            running -= 1
            totals.lost += 1 if got else 0
            print(got, end="\n" if got else "", flush=True)
            continue
        totals.add(got[0])
        for wrong in got[1]:
            print(f"DISAGREEMENT {save(wrong)}", flush=True)
        if time.monotonic() - shown > options.every:
            shown = time.monotonic()
            report(totals)
    for job in jobs:
        job.join()
    return totals


def save(wrong: dict[str, Any]) -> Path:
    """A disagreement beside the tests."""
    FOUND.mkdir(exist_ok=True)
    text = json.dumps(wrong)
    path = FOUND / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    path.write_text(text, encoding="utf-8")
    return path


def report(totals: Totals) -> None:
    """One line of progress."""
    counts = f"{totals.undetermined:,} undetermined  {totals.disagreements} disagreements"
    print(f"{totals.comparisons:>12,} comparisons  {counts}  {len(totals.reasons)} reasons", flush=True)


def programs_for(out: Path) -> dict[str, Path]:
    """Builds of both word sizes; what cannot be built is reported."""
    found = {}
    for flavour in FLAVOURS:
        try:
            found[flavour.name] = build(flavour, out)
        except CannotBuild as error:
            print(f"without {flavour.name}: {error}", flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0: no disagreement, 1: some, 3: nothing could be built, or a worker is gone."""
    parser = argparse.ArgumentParser(
        prog="python -m testcases.peer.linux_campaign", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--comparisons", type=int, default=1_000_000, help="how many (default 1000000)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="for a repeatable run; default: new each time")
    parser.add_argument("--every", type=float, default=10, help="seconds between lines of progress")
    parser.add_argument("--build", type=Path, default=default_folder() / "build")
    options = parser.parse_args(argv)
    programs = programs_for(options.build)
    if not programs:
        return 3
    totals = campaign(options, programs)
    for name, count in totals.reasons.most_common():
        print(f"  {count:>12,}  {name}")
    report(totals)
    return 1 if totals.disagreements else 3 if totals.lost else 0


if __name__ == "__main__":
    sys.exit(main())
