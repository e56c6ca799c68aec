# SPDX-License-Identifier: MIT
"""Long campaign: the twin against OP-TEE's own TA, in 64 and in 32 bits, on random images and commands.

The TA is upstream's, or that of MPBENCH_OPTEE_SRC: upstream's or ST's.

    python -m testcases.peer.campaign --minutes 10 [--jobs 2] [--comparisons 10000000] [--corpus DIR]

One comparison is one command: TEE result, platform calls in order with their arguments and answers, lines
on the secure console, resource table, memory of all cores. The corpus keeps one case of every kind seen and
the totals, and the next campaign continues from there. A disagreement is made small and written to `found/`,
where the test suite replays it; exit code 1.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.twin.values import Outcome
from testcases.peer import cases, st_cases
from testcases.peer.build import ARM, ASAN, CannotBuild, Flavour, build, release, source
from testcases.peer.coverage import whole
from testcases.peer.store import Stored, default_folder, load_corpus, save
from testcases.peer.worker import BATCH_BYTES, Board, Command, Memory, Worker, encode_case, predict

FOUND = Path(__file__).parent / "found"
BATCH = 96
CASES_PER_BASE = 12
MAX_SHRINK_STEPS = 400


@define
class Totals:
    """What a campaign counts."""

    comparisons: int = 0
    images: int = 0
    cases: int = 0
    undefined: int = 0
    disagreements: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(factory=Counter)

    def add(self, other: "Totals") -> None:
        """Sum."""
        for name in ("comparisons", "images", "cases", "undefined", "disagreements"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.reasons.update(other.reasons)


class Explorer:
    """Batches of random cases through both workers, compared with the twin."""

    def __init__(
        self, programs: dict[str, Path], seed: int, known: Sequence[Stored], loader: str = "upstream"
    ) -> None:
        self.rng, self.loader = random.Random(seed), loader
        self.flavours = [f for f in (ASAN, ARM) if f.name in programs]
        self.workers = {f.name: Worker(programs[f.name], f.runner) for f in self.flavours}
        self.key = rsa.generate_private_key(65537, 2048)
        self.seen: set[tuple[str, ...]] = {
            (stored.kind[0], *pair) for stored in known for pair in itertools.pairwise(("", *stored.kind[2:]))
        }
        self.old = [image for stored in known for _, _, image in stored.commands if image]
        self.fresh: list[Stored] = []
        self.wrong: list[Stored] = []

    def batch(self) -> Totals:
        """One board, BATCH cases, every word size."""
        totals, board = Totals(), self.board(self.key.public_key().public_numbers().n)
        batch = list(itertools.islice(self.fill(board), BATCH))
        for flavour in self.flavours:
            worker = self.workers[flavour.name]
            worker.configure(board, flavour.word_bits)
            for part in parts(batch):
                expected = self.predictions(board, flavour, [commands for commands, _ in part])
                decided = [wanted is not None for wanted, _ in expected]  # else any answer will do
                worker.send(list(itertools.compress((encoded for _, encoded in part), decided)))
                received = iter(worker.receive(sum(decided)))
                answers = [next(received) if known else None for known in decided]
                self.compare(totals, (board, flavour), part, expected, answers)
        return totals

    def board(self, modulus: int) -> Board:
        """A board of the loader's kind."""
        if self.loader == "upstream":
            return cases.random_board(self.rng, modulus)
        return st_cases.random_board(self.rng, modulus, self.loader)

    def fill(self, board: Board) -> Iterator[tuple[list[Command], bytes]]:
        """Endless cases for a board."""
        while True:
            bases = [self.base(board) for _ in range(1 if self.loader == "upstream" else 3)]
            for _ in range(CASES_PER_BASE):
                commands = self.commands(bases, board)
                yield commands, encode_case(commands)

    def base(self, board: Board) -> cases.Base:
        """A new image, or one of the corpus."""
        key = self.key if board.verdict is None else None
        if self.old and key is None and self.rng.random() < 0.3:
            return cases.base_of(self.rng.choice(self.old), self.rng)
        if self.loader == "upstream":
            return cases.random_base(self.rng, key)
        return st_cases.random_base(self.rng, key, board)

    def commands(self, bases: Sequence[cases.Base], board: Board) -> list[Command]:
        """One case."""
        if self.loader == "upstream":
            return cases.random_commands(bases[0], self.rng)
        return st_cases.random_commands(bases, self.rng, board.cores[0].id)

    def predictions(self, board: Board, flavour: Flavour, batch: list[list[Command]]) -> list[Any]:
        """The twin's answers."""
        profile, memory = board.profile(flavour.word_bits), Memory(board)
        return [predict(profile, memory, commands) for commands in batch]

    def compare(
        self, totals: Totals, where: tuple[Board, Flavour], part: Any, expected: Any, answers: Any
    ) -> None:
        """Count, keep what is new, note what disagrees."""
        board, flavour = where
        for (commands, _), (wanted, outcomes), answer in zip(part, expected, answers, strict=True):
            names = marks(outcomes)[1:]
            totals.cases += 1
            totals.comparisons += len(outcomes)
            totals.images += sum(1 for c in commands[: len(outcomes)] if c[2])
            totals.undefined += outcomes[-1].code is None
            totals.reasons.update(o.reason.name for o in outcomes)
            kind = (flavour.name, board.pta_state, *names)
            new = {(flavour.name, *pair) for pair in itertools.pairwise(marks(outcomes))} - self.seen
            if new:
                self.seen |= new
                self.fresh.append(Stored(kind, board, tuple(commands)))
                self.old += [c[2] for c in commands if c[2]]
            if wanted is not None and wanted != answer:
                totals.disagreements += 1
                self.wrong.append(self.shrink(Stored(kind, board, tuple(commands)), flavour))

    def shrink(self, stored: Stored, flavour: Flavour) -> Stored:
        """A smaller case that still disagrees: fewer commands, then fewer bytes that aren't zero."""
        worker = self.workers[flavour.name]
        worker.configure(stored.board, flavour.word_bits)
        steps = 0
        improved = True
        while improved and steps < MAX_SHRINK_STEPS:
            improved = False
            for smaller in stored.smaller():
                steps += 1
                if disagrees(worker, smaller, flavour):
                    stored, improved = smaller, True
                    break
        return stored

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers.values():
            worker.close()


def marks(outcomes: Sequence[Outcome]) -> list[str]:
    """What makes a case worth keeping: reasons one after the other; heap shortages by allocation."""
    return ["", *(o.detail[:40] if o.reason.name == "heap" else o.reason.name for o in outcomes)]


def disagrees(worker: Worker, stored: Stored, flavour: Flavour) -> bool:
    """Whether twin and peer differ on a stored case; the worker knows the board."""
    wanted, _ = predict(stored.board.profile(flavour.word_bits), Memory(stored.board), stored.commands)
    answer = worker.run(encode_case(stored.commands))
    return wanted is not None and wanted != answer


def parts(batch: Sequence[tuple[list[Command], bytes]]) -> Iterator[list[tuple[list[Command], bytes]]]:
    """The batch in pieces that fit a pipe."""
    part: list[tuple[list[Command], bytes]] = []
    size = 0
    for item in batch:
        if part and size + len(item[1]) > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item[1])
    if part:
        yield part


# ------------------------------------------------------------------------------------ many processes


def explore(made: Callable[[], Explorer], until: float, queue: Any) -> None:
    """One process of the campaign: totals, new cases, disagreements about once a second."""
    explorer = made()
    totals, reported = Totals(), time.monotonic()
    while time.monotonic() < until and os.getppid() != 1:
        totals.add(explorer.batch())
        if time.monotonic() - reported > 1 or explorer.wrong:
            queue.put((totals, explorer.fresh, explorer.wrong))
            totals, explorer.fresh, explorer.wrong, reported = Totals(), [], [], time.monotonic()
    queue.put((totals, explorer.fresh, explorer.wrong))
    explorer.close()


def campaign(options: argparse.Namespace, programs: dict[str, Path], loader: str) -> Totals:
    """All processes until the budget is used; progress on standard output."""
    corpus: Path = options.corpus
    totals, known = resume(corpus)
    print(f"starting from {totals.comparisons:,} comparisons, {len(known)} cases in the corpus", flush=True)
    begin, before = time.monotonic(), totals.seconds
    until = begin + options.minutes * 60
    queue: Any = multiprocessing.Queue()
    seeds = [options.seed or int.from_bytes(os.urandom(6), "little") + i for i in range(options.jobs)]
    jobs = [
        multiprocessing.Process(
            target=explore, args=(partial(Explorer, programs, s, known, loader), until, queue)
        )
        for s in seeds
    ]
    for job in jobs:
        job.start()
    shown = begin
    while any(job.is_alive() for job in jobs) or not queue.empty():
        try:
            more, fresh, wrong = queue.get(timeout=1)
        except Empty:
            continue
        totals.add(more)
        totals.seconds = before + time.monotonic() - begin
        keep(corpus, fresh, wrong)
        if time.monotonic() - shown >= options.every:
            shown = time.monotonic()
            report(totals, shown - begin)
            remember(corpus, totals)
        if options.comparisons and totals.comparisons >= options.comparisons:
            for job in jobs:
                job.terminate()
            break
    for job in jobs:
        job.join()
    remember(corpus, totals)
    if any(job.exitcode not in (0, -signal.SIGTERM) for job in jobs):
        raise RuntimeError("a process of the campaign failed; its error stands above")
    return totals


def keep(corpus: Path, fresh: Sequence[Stored], wrong: Sequence[Stored]) -> None:
    """New kinds go into the corpus, disagreements beside the tests."""
    for stored in fresh:
        save(stored, corpus)
    for stored in wrong:
        print(f"DISAGREEMENT {stored.kind}: {save(stored, FOUND)}", flush=True)


def resume(corpus: Path) -> tuple[Totals, list[Stored]]:
    """Totals and cases of earlier campaigns."""
    totals = Totals()
    state = corpus / "totals.json"
    if state.exists():
        saved = json.loads(state.read_text())
        totals = Totals(**{**saved, "reasons": Counter(saved["reasons"])})
    return totals, load_corpus(corpus)


def remember(corpus: Path, totals: Totals) -> None:
    """Totals for the next campaign; written beside and renamed."""
    corpus.mkdir(parents=True, exist_ok=True)
    fresh = corpus / "totals.json.new"
    fresh.write_text(json.dumps({name: getattr(totals, name) for name in Totals.__annotations__}, indent=1))
    fresh.replace(corpus / "totals.json")


def report(totals: Totals, seconds: float) -> None:
    """One line of progress."""
    print(
        f"{seconds:7.0f} s  {totals.comparisons:>12,} comparisons  {totals.images:>11,} images  "
        f"{totals.undefined:>9,} undefined  {len(totals.reasons):>3} reasons  "
        f"{totals.disagreements} disagreements",
        flush=True,
    )


def programs_for(out: Path, tree: Path) -> dict[str, Path]:
    """Builds of both word sizes; what can't be built is said."""
    found = {}
    for flavour in (ASAN, ARM):
        try:
            found[flavour.name] = build(flavour, out, tree)
        except CannotBuild as error:
            print(f"without {flavour.name}: {error}", flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0: no disagreement, 1: some, 3: nothing could be built."""
    parser = argparse.ArgumentParser(
        prog="python -m testcases.peer.campaign", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=10, help="budget (default 10)")
    parser.add_argument(
        "--comparisons", type=int, default=0, help="stop at this total, earlier campaigns included"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="for a repeatable run; default: new each time")
    parser.add_argument("--every", type=float, default=10, help="seconds between lines of progress")
    parser.add_argument("--corpus", type=Path, help="default: one per loader, kept between campaigns")
    parser.add_argument("--build", type=Path, default=default_folder() / "build")
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="branches of upstream's C files and of the twin that the corpus reaches",
    )
    options = parser.parse_args(argv)
    try:
        tree = source()
    except CannotBuild as error:
        print(f"no peer: {error}", flush=True)
        return 3
    loader = release(tree)
    print(f"the TA of {tree}: {loader}", flush=True)
    options.corpus = options.corpus or default_folder() / (
        "corpus" if loader == "upstream" else f"corpus-{loader}"
    )
    programs = programs_for(options.build, tree)
    if not programs:
        return 3
    totals = campaign(options, programs, loader)
    report(totals, totals.seconds)
    for name, count in totals.reasons.most_common():
        print(f"  {count:>12,}  {name}")
    if options.coverage and loader == "upstream":
        print("\n".join(whole(options.build, options.corpus)))
    return 1 if totals.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
