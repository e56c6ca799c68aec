# SPDX-License-Identifier: MIT
"""Random bit flips of a signed image: each deployed on the board and compared with the twin."""

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from attrs import define, field

from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.files import AppendFile, Lines, read_lines
from mpbench.core.json_reader import parse_json
from mpbench.core.lines import MapLine
from mpbench.core.step import Step
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.run import not_sent
from mpbench.image.random_faults import Flip, Ranges, draw, flipped, in_words, minimal
from mpbench.twin.flip_map import Answer, Span, expectations

REPORT_EVERY = 20
SEEDS_PER_SET = 10
"""Seeds tried at most for each new set of flips: an image of very few bytes has no more sets."""
DRAWS_PER_SEED = 50
"""Draws tried at most for one seed: flips that might stop the board's TEE are never sent."""

BUILDS = ("model", "serial", "kernel", "op-tee")
"""Provenance entries that an answer depends on: it is not reused for another board or build."""


BEGIN = b'{"key": '
"""Of each line of a corpus."""


@define
class Corpus:
    """Answers to flips that were as predicted, by key; kept in a JSON Lines file if a path is given."""

    path: Path | None
    known: dict[str, str] = field(factory=dict)

    @classmethod
    def open(cls, path: Path | None) -> "Corpus":
        """Read the file; an incomplete last line is ignored. UsageError if it is no corpus of flips."""
        corpus = cls(path)
        found = read_lines(path, UsageError) if path is not None and path.exists() else Lines(())
        if not (found.torn.startswith(BEGIN) or BEGIN.startswith(found.torn)):  # add() will remove it
            raise UsageError(f"{path}:{len(found.whole) + 1}: not a line of a corpus of flips")
        for number, line in enumerate(found.whole, 1):
            try:
                entry = parse_json(line)
                corpus.known[entry["key"]] = entry["answer"]
            except (ValueError, KeyError, TypeError):
                raise UsageError(f"{path}:{number}: not a line of a corpus of flips") from None
        return corpus

    def add(self, key: str, answer: str, **more: object) -> None:
        """Add an answer and append it to the file."""
        self.known[key] = answer
        if self.path is not None:
            with closing(AppendFile.resume(self.path)) as file:
                file.append({"key": key, "answer": answer, **more})


@define
class Flips:
    """Random flips of a signed image: `number` per core, from seeds that start with `seed`.

    report: called with a line of progress every REPORT_EVERY flips
    """

    bench: DeployBench
    number: int
    seed: str
    corpus: Corpus
    report: Callable[[str], None]
    _spans: dict[tuple[str, bytes], list[Span]] = field(factory=dict)

    def run(self, core: str, image: bytes, identity: str) -> Counter[str]:
        """Number of flips by the board's answer. BoardFailure names the smallest flips that differ."""
        counts, differing, marks = Counter[str](), [], list[tuple[int, bool]]()
        for n, (seed, flips) in enumerate(self.sets(core, image), 1):
            try:
                counts[self.answer(core, image, flips, identity, seed)] += 1
                marks += [(flip.at, True) for flip in flips]
            except BoardFailure as fault:
                marks += [(flip.at, False) for flip in flips]
                least = minimal(flips, lambda part: self.differs(core, image, part, identity))
                differing.append(f"seed {seed}: {in_words(least)}: {fault}")
            if n % REPORT_EVERY == 0 and self.number > REPORT_EVERY:
                self.report(f"{core}: {n} of {self.number} flips, {len(differing)} differ from the twin")
        ranges = tuple((s.start, s.end, in_answers(s.answers)) for s in self.spans(core, image))
        self.bench.add(MapLine(f"signed image of {core}", len(image), ranges, tuple(sorted(marks))))
        if differing:
            raise BoardFailure("; ".join(differing))
        return counts

    def spans(self, core: str, image: bytes) -> list[Span]:
        """The twin's expectation for every byte of an image; computed once per image."""
        key = (core, image)
        if key not in self._spans:
            self._spans[key] = expectations(image, self.bench.profile, self.bench.profile.core(core).id)
        return self._spans[key]

    def sets(self, core: str, image: bytes) -> Iterator[tuple[str, tuple[Flip, ...]]]:
        """At most `number` seeds with their flips, each set of flips once."""
        groups, seen = self.groups(core, image), set[tuple[Flip, ...]]()
        for n in itertools.count():
            seed = f"{self.seed}:{core}:{n}"
            if len(seen) >= self.number or n >= SEEDS_PER_SET * self.number:
                return
            flips = self.draw(core, image, groups, seed)
            if flips not in seen:
                seen.add(flips)
                yield seed, flips

    def groups(self, core: str, image: bytes) -> list[Ranges]:
        """Byte ranges of the twin's expectations, grouped by equal answers."""
        found: dict[object, list[tuple[int, int]]] = {}
        for span in self.spans(core, image):
            found.setdefault(span.answers, []).append((span.start, span.end))
        return list(found.values())

    def draw(self, core: str, image: bytes, groups: list[Ranges], seed: str) -> tuple[Flip, ...]:
        """First flips of a seed whose image may be sent. UsageError if none of DRAWS_PER_SEED is."""
        rng = random.Random(seed)
        for _ in range(DRAWS_PER_SEED):
            flips = draw(groups, rng)
            if not not_sent(self.bench.profile, core, flipped(image, flips)):
                return flips
        raise UsageError(f"seed {seed}: the twin predicts none of {DRAWS_PER_SEED} draws")

    def answer(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str, seed: str) -> str:
        """The board's answer, from the corpus if it is known. BoardFailure if it differs from the twin's."""
        key = self.key(core, flipped(image, flips))
        if key not in self.corpus.known:
            step = self.deploy(core, image, flips, identity, f"seed {seed}: {in_words(flips)}")
            step.check("errno", "state", "tee_code", "secure_log")
            self.corpus.add(key, answered(step), seed=seed, flips=[(f.at, f.bit) for f in flips])
        return self.corpus.known[key]

    def differs(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str) -> bool:
        """Whether the board's answer to a subset of flips differs from the twin's."""
        if not_sent(self.bench.profile, core, flipped(image, flips)):
            return False
        step = self.deploy(core, image, flips, identity, f"fewer: {in_words(flips)}")
        return step.comparison.verdict is Verdict.FAIL

    def deploy(self, core: str, image: bytes, flips: tuple[Flip, ...], identity: str, name: str) -> Step:
        """Deploy the flipped image; the core is offline afterwards."""
        step = self.bench.deploy(core, flipped(image, flips), identity, original=image, name=name)
        self.bench.leave_offline(core)
        return step

    def key(self, core: str, image: bytes) -> str:
        """Key in the corpus: a hash of the image, the core, the board and its builds."""
        entries = self.bench.about.provenance.entries
        context = [core, *(entries.get(name, "") for name in BUILDS)]
        return hashlib.sha256(image + "\0".join(context).encode()).hexdigest()


def in_answers(answers: Sequence[Answer]) -> str:
    """The twin's expected answers to flips of one byte as text, most frequent first."""
    return " or ".join(reason if code is None else f"{reason} ({code:#010x})" for reason, code in answers)


def answered(step: Step) -> str:
    """The board's answer to a deployment as text. UsageError if the step is no deployment."""
    facts = step.observed
    if not isinstance(facts, DeployFacts):
        raise UsageError(f"{step.name} is not a deployment")
    if facts.tee_code:
        return f"refused by the TEE, {facts.tee_code:#010x}"
    return "accepted" if facts.errno == "OK" else f"refused by Linux, {facts.errno}"
