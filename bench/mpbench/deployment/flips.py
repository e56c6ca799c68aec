# SPDX-License-Identifier: MIT
"""Fixture `flips`: images with bits turned over at random, on the board, each compared with the twin."""

import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.step import Step
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.fixture import DeployBench
from mpbench.image.random_faults import Flip, Ranges, draw, flipped, in_words, minimal
from mpbench.twin.flip_map import Answer, Span, expectations
from mpbench.twin.loader import load

TELL_EVERY = 20
SEEDS = 10
"""Seeds tried for one set of flips that was not there before: an end for an image of very few bytes."""
NEVER_SENT = 50
"""Draws for one seed before it is given up: what the twin calls undefined is never sent to a board."""

BUILDS = ("model", "serial", "kernel", "op-tee")
"""What an answer depends on: another board or build, and it has to be asked again."""


@define
class Corpus:
    """Flips that were answered as predicted, by a key; a file that grows by a line for each, or none."""

    path: Path | None
    known: dict[str, str] = field(factory=dict)

    @classmethod
    def open(cls, path: Path | None) -> "Corpus":
        """Read the file; an incomplete last line, of a killed run, is cut off. UsageError: not such a file."""
        corpus = cls(path)
        lines = path.read_bytes().split(b"\n") if path is not None and path.exists() else [b""]
        for number, line in enumerate(lines[:-1], 1):
            try:
                entry = json.loads(line)
                corpus.known[entry["key"]] = entry["answer"]
            except (ValueError, KeyError, TypeError):
                raise UsageError(f"{path}:{number}: no line of a corpus of flips") from None
        if path is not None and lines[-1]:
            with path.open("rb+") as file:
                file.truncate(path.stat().st_size - len(lines[-1]))
        return corpus

    def add(self, key: str, answer: str, **more: object) -> None:
        """Remember an answer; it is in the file when this returns."""
        self.known[key] = answer
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, "answer": answer, **more}) + "\n")


@define
class Flips:
    """Random flips of a signed image: `number` per core, from seeds that begin with `seed`."""

    bench: DeployBench
    number: int
    seed: str
    corpus: Corpus
    tell: Callable[[str], None]
    _spans: dict[tuple[str, bytes], list[Span]] = field(factory=dict)

    def run(self, core: str, image: bytes, identity: str) -> Counter[str]:
        """How often the board gave which answer. BoardFailure names the smallest flips that differ."""
        counts, differing, marks = Counter[str](), [], list[tuple[int, bool]]()
        for n, (seed, flips) in enumerate(self.sets(core, image), 1):
            try:
                counts[self.answer(core, image, flips, identity, seed)] += 1
                marks += [(flip.at, True) for flip in flips]
            except BoardFailure as fault:
                marks += [(flip.at, False) for flip in flips]
                least = minimal(flips, lambda part: self.differs(core, image, part, identity))
                differing.append(f"seed {seed}: {in_words(least)}: {fault}")
            if n % TELL_EVERY == 0 and self.number > TELL_EVERY:
                self.tell(f"{core}: {n} of {self.number} flips, {len(differing)} differ from the twin")
        ranges = [(s.start, s.end, in_answers(s.answers)) for s in self.spans(core, image)]
        self.bench.image_map(f"signed image of {core}", len(image), ranges, sorted(marks))
        if differing:
            raise BoardFailure("; ".join(differing))
        return counts

    def spans(self, core: str, image: bytes) -> list[Span]:
        """The twin's map of an image; made once, as every byte is asked for."""
        key = (core, image)
        if key not in self._spans:
            self._spans[key] = expectations(image, self.bench.profile, self.bench.profile.core(core).id)
        return self._spans[key]

    def sets(self, core: str, image: bytes) -> Iterator[tuple[str, tuple[Flip, ...]]]:
        """Seeds and their flips, each set of flips once: few bytes are drawn often. As many as wanted."""
        groups, seen = self.groups(core, image), set[tuple[Flip, ...]]()
        for n in itertools.count():
            seed = f"{self.seed}:{core}:{n}"
            if len(seen) >= self.number or n >= SEEDS * self.number:
                return
            flips = self.draw(core, image, groups, seed)
            if flips not in seen:
                seen.add(flips)
                yield seed, flips

    def groups(self, core: str, image: bytes) -> list[Ranges]:
        """The byte ranges of the twin's expectation map, those with the same answers together."""
        found: dict[object, list[tuple[int, int]]] = {}
        for span in self.spans(core, image):
            found.setdefault(span.answers, []).append((span.start, span.end))
        return list(found.values())

    def draw(self, core: str, image: bytes, groups: list[Ranges], seed: str) -> tuple[Flip, ...]:
        """Flips of a seed: the first ones whose outcome is defined. UsageError if there are none."""
        rng = random.Random(seed)
        for _ in range(NEVER_SENT):
            flips = draw(groups, rng)
            if load(flipped(image, flips), self.bench.profile, core).code is not None:
                return flips
        raise UsageError(f"seed {seed}: {NEVER_SENT} draws, and the twin predicts none of them")

    def answer(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str, seed: str) -> str:
        """The board's answer, from the corpus if it is known. BoardFailure if it differs from the twin's."""
        spoiled = flipped(image, flips)
        key = self.key(core, spoiled)
        if key not in self.corpus.known:
            step = self.deploy(core, image, flips, identity, f"seed {seed}: {in_words(flips)}")
            step.check("errno", "state", "tee_code", "secure_log")
            self.corpus.add(key, answered(step), seed=seed, flips=[(f.at, f.bit) for f in flips])
        return self.corpus.known[key]

    def differs(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str) -> bool:
        """Whether the board's answer to fewer flips still differs from the twin's."""
        if load(flipped(image, flips), self.bench.profile, core).code is None:
            return False
        step = self.deploy(core, image, flips, identity, f"fewer: {in_words(flips)}")
        return step.comparison.verdict is Verdict.FAIL

    def deploy(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str, name: str) -> Step:
        """Deploy the flipped image; the core is offline afterwards."""
        step = self.bench.deploy(core, flipped(image, flips), identity, original=image, name=name)
        if self.bench.state(core) != "offline":
            self.bench.stop(core)
        return step

    def key(self, core: str, spoiled: bytes) -> str:
        """Name of a question: the image, the core, and whom it is asked."""
        entries = self.bench.about.provenance.entries
        asked = [core, *(entries.get(name, "") for name in BUILDS)]
        return hashlib.sha256(spoiled + "\0".join(asked).encode()).hexdigest()


def in_answers(answers: Sequence[Answer]) -> str:
    """What the twin expects of flips of one byte, most frequent first."""
    return " or ".join(reason if code is None else f"{reason} ({code:#010x})" for reason, code in answers)


def answered(step: Step) -> str:
    """What became of an image, in a word."""
    facts = step.observed
    if not isinstance(facts, DeployFacts):
        raise UsageError(f"{step.name} is no deployment")
    if facts.tee_code:
        return f"refused by the TEE, {facts.tee_code:#010x}"
    return "accepted" if facts.errno == "OK" else f"refused by Linux, {facts.errno}"


@pytest.fixture
def flips(bench: DeployBench, request: Any) -> Flips:
    """Random flips, as many as the run's options say."""
    options = request.config.option
    path = Path(options.bench_corpus) if options.bench_corpus else None
    tell = _teller(request.config.pluginmanager.getplugin("capturemanager"))
    return Flips(bench, options.bench_flips, options.bench_seed, Corpus.open(path), tell)


def _teller(capture: Any) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if capture is None:
            print(line, flush=True)
            return
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", end="", flush=True)

    return tell
