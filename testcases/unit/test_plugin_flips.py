# SPDX-License-Identifier: MIT
"""Random flips on a simulated board: compared, minimised, kept; nothing undefined is ever sent."""

import itertools

import pytest
from attrs import define, evolve, field, frozen

from mpbench.board.identification import About
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.evidence import Evidence
from mpbench.core.facts import Provenance
from mpbench.core.lines import MapLine
from mpbench.core.step import Step
from mpbench.deployment import run
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.flips import Corpus, Flips, answered
from mpbench.image.random_faults import Flip, flipped
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile
from testcases.unit.image_rig import board, image


@frozen
class Asked:
    name: str
    flips: int


@define
class PlayedBench:
    """Answers as the twin predicts, except for images in which bit `wrong` is flipped."""

    profile: Profile = field(factory=board)
    wrong: Flip | None = None
    asked: list[Asked] = field(factory=list)
    sent: list[bytes] = field(factory=list)
    running: bool = False
    maps: list[MapLine] = field(factory=list)
    about: About = field(factory=lambda: About(Provenance({"kernel": "Linux 6.12"}), True, Evidence()))

    def deploy(self, core, data, identity, *, original, name):
        predicted = run.predict(self.profile, core, data, identity)
        at = self.wrong and data[self.wrong.at] ^ original[self.wrong.at]
        bad = bool(at and at >> self.wrong.bit & 1)
        observed = evolve(predicted, errno="EBUSY") if bad else predicted
        self.asked.append(Asked(name, sum((a ^ b).bit_count() for a, b in zip(data, original, strict=True))))
        self.sent.append(data)
        self.running = observed.state == "running"
        return Step(name, core, predicted, observed, compare(predicted, observed), Evidence(), 0)

    def leave_offline(self, _core):
        self.running = False

    def add(self, line):
        self.maps.append(line)


@pytest.fixture
def reported():
    return []


def flips_of(bench, reported, number=30, corpus=None):
    return Flips(bench, number, "7", corpus or Corpus(None), reported.append)


def test_a_board_that_agrees_is_counted(reported):
    """Every flip is deployed once under its seed, and every answer counted."""
    bench = PlayedBench()
    counts = flips_of(bench, reported).run("m33", image(), "alive m33")
    assert counts.total() == 30 == len(bench.asked)
    assert len(counts) > 1
    assert bench.asked[3].name.startswith("seed 7:m33:3: byte ")
    assert not bench.running
    assert reported == ["m33: 20 of 30 flips, 0 differ from the twin"]
    (line,) = bench.maps
    assert (line.name, line.size) == ("signed image of m33", len(image()))
    assert line.ranges[0][0] == 0
    assert line.ranges[-1][1] == line.size
    assert len(line.marks) >= 30
    assert all(good and 0 <= at < line.size for at, good in line.marks)


def test_nothing_undefined_is_sent(reported):
    """What the twin can't predict never reaches a board."""
    bench = PlayedBench()
    flips_of(bench, reported, 60).run("m33", image(), "alive m33")
    assert all(load(data, board(), "m33").code is not None for data in bench.sent)


def test_a_seed_of_which_nothing_is_defined_is_given_up(reported, monkeypatch):
    """The error names the seed; the number of draws is limited."""
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (Flip(19, 7),))
    with pytest.raises(UsageError, match="seed 7:m33:0: the twin predicts none of 50 draws"):
        flips_of(PlayedBench(), reported).run("m33", image(), "alive m33")


def test_a_difference_is_made_small_and_the_rest_still_tried(reported, monkeypatch):
    """Of three bits the one that matters is named, with its seed; all other flips are tried as well."""
    deciding = Flip(20 + 8, 0)
    drawn = itertools.cycle([(Flip(21, 1), deciding, Flip(40, 2)), (Flip(40, 2),)])
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: next(drawn))
    bench = PlayedBench(wrong=deciding)
    with pytest.raises(BoardFailure, match=r"seed 7:m33:0: byte 0x1c bit 0: .*errno was predicted"):
        flips_of(bench, reported, 2).run("m33", image(), "alive m33")
    assert [a.flips for a in bench.asked] == [3, 1, 1, 1]


def test_equal_flips_are_tried_once(reported, monkeypatch):
    """A set of flips that two seeds draw counts once; where there are no others, it ends."""
    drawn = itertools.cycle([(Flip(40, 2),), (Flip(40, 2),), (Flip(41, 2),)])
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: next(drawn))
    bench = PlayedBench()
    assert flips_of(bench, reported, 3).run("m33", image(), "alive m33").total() == 2
    assert [a.name.split(": ")[0] for a in bench.asked] == ["seed 7:m33:0", "seed 7:m33:2"]


def test_undefined_parts_are_not_sent_while_a_difference_is_made_small(reported, monkeypatch):
    """A part of the flips may be undefined where the whole is not."""
    length, deciding = Flip(19, 7), Flip(40, 2)
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (deciding,))
    bench = PlayedBench(wrong=deciding)
    found = flips_of(bench, reported)
    assert not found.differs("m33", image(), (length,), "alive m33")
    assert found.differs("m33", image(), (deciding,), "alive m33")
    assert len(bench.asked) == 1


def test_known_answers_are_not_tried_again(tmp_path, reported):
    """A second run on this build deploys nothing, and has equal counts."""
    path = tmp_path / "flips.jsonl"
    first = flips_of(PlayedBench(), reported, 25, Corpus.open(path)).run("m33", image(), "alive m33")
    path.write_bytes(path.read_bytes() + b'{"key": "half a li')
    bench = PlayedBench()
    assert flips_of(bench, reported, 25, Corpus.open(path)).run("m33", image(), "alive m33") == first
    assert bench.asked == []
    assert flips_of(bench, reported, 26, Corpus.open(path)).run("m33", image(), "alive m33").total() == 26
    assert len(Corpus.open(path).known) == len(path.read_text().splitlines())


def test_flips_are_tried_again_on_another_build(tmp_path, reported):
    """An answer belongs to the kernel and the TEE that gave it."""
    corpus = Corpus.open(tmp_path / "flips.jsonl")
    flips_of(PlayedBench(), reported, 5, corpus).run("m33", image(), "alive m33")
    other = PlayedBench(about=About(Provenance({"kernel": "Linux 6.13"}), True, Evidence()))
    flips_of(other, reported, 5, corpus).run("m33", image(), "alive m33")
    assert len(other.asked) == 5


def test_a_difference_is_not_kept_in_the_corpus(tmp_path, reported, monkeypatch):
    """The next run tries again what differed."""
    path = tmp_path / "flips.jsonl"
    found = flips_of(PlayedBench(wrong=Flip(28, 0)), reported, 1, Corpus.open(path))
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (Flip(28, 0),))
    with pytest.raises(BoardFailure):
        found.run("m33", image(), "alive m33")
    assert not path.exists()


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"other": 1}\n', "no line end"])
def test_a_file_that_is_no_corpus_is_refused(tmp_path, text):
    """Its line is named, and nothing is appended to it."""
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"notes\.txt:1: not a line of a corpus"):
        Corpus.open(path)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (DeployFacts("OK", "running", 0), "accepted"),
        (DeployFacts("EIO", "offline", 0xFFFF000F), "refused by the TEE, 0xffff000f"),
        (DeployFacts("EINVAL", "offline", 0), "refused by Linux, EINVAL"),
    ],
)
def test_answers_as_text(facts, word):
    """The answer names who refused, and the code."""
    step = Step("deploy", "m33", facts, facts, compare(facts, facts), Evidence(), 0)
    assert answered(step) == word
    assert flipped(b"a", []) == b"a"
