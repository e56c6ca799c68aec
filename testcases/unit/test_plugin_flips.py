# SPDX-License-Identifier: MIT
"""Random flips on a played board: compared, minimised, remembered; nothing undefined is ever sent."""

import itertools

import pytest
from attrs import define, evolve, field, frozen
from image_rig import board, image

from mpbench.board.identification import About
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.evidence import Evidence
from mpbench.core.facts import Provenance
from mpbench.core.step import Step
from mpbench.deployment import run
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.flips import Corpus, Flips, answered
from mpbench.image.random_faults import Flip, flipped
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile


@frozen
class Asked:
    name: str
    flips: int


@define
class PlayedBench:
    """Answers as the twin does, but for images with `wrong` turned over."""

    profile: Profile = field(factory=board)
    wrong: Flip | None = None
    asked: list[Asked] = field(factory=list)
    sent: list[bytes] = field(factory=list)
    running: bool = False
    maps: list[tuple] = field(factory=list)
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

    def state(self, _core):
        return "running" if self.running else "offline"

    def stop(self, _core):
        self.running = False

    def image_map(self, *what):
        self.maps.append(what)


@pytest.fixture
def told():
    return []


def flips_of(bench, told, number=30, corpus=None):
    return Flips(bench, number, "7", corpus or Corpus(None), told.append)


def test_a_board_that_agrees_is_counted(told):
    """Every flip is deployed once under its seed, and every answer counted."""
    bench = PlayedBench()
    counts = flips_of(bench, told).run("m33", image(), "alive m33")
    assert counts.total() == 30 == len(bench.asked)
    assert len(counts) > 1
    assert bench.asked[3].name.startswith("seed 7:m33:3: byte ")
    assert not bench.running
    assert told == ["m33: 20 of 30 flips, 0 differ from the twin"]
    ((name, size, ranges, marks),) = bench.maps
    assert (name, size) == ("signed image of m33", len(image()))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size
    assert len(marks) >= 30
    assert all(good and 0 <= at < size for at, good in marks)


def test_nothing_undefined_is_sent(told):
    """What the twin can't predict never reaches a board."""
    bench = PlayedBench()
    flips_of(bench, told, 60).run("m33", image(), "alive m33")
    assert all(load(data, board(), "m33").code is not None for data in bench.sent)


def test_a_seed_of_which_nothing_is_defined_is_given_up(told, monkeypatch):
    """Instead of drawing for ever, it says which seed."""
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (Flip(19, 7),))
    with pytest.raises(UsageError, match="seed 7:m33:0: 50 draws"):
        flips_of(PlayedBench(), told).run("m33", image(), "alive m33")


def test_a_difference_is_made_small_and_the_rest_still_tried(told, monkeypatch):
    """Of three bits the guilty one is named, with its seed; all other flips are tried as well."""
    guilty = Flip(20 + 8, 0)
    drawn = itertools.cycle([(Flip(21, 1), guilty, Flip(40, 2)), (Flip(40, 2),)])
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: next(drawn))
    bench = PlayedBench(wrong=guilty)
    with pytest.raises(BoardFailure, match=r"seed 7:m33:0: byte 0x1c bit 0: .*errno was predicted"):
        flips_of(bench, told, 2).run("m33", image(), "alive m33")
    assert [a.flips for a in bench.asked] == [3, 1, 1, 1]


def test_the_same_flips_are_tried_once(told, monkeypatch):
    """A set of flips that two seeds draw counts once; where there are no others, it ends."""
    drawn = itertools.cycle([(Flip(40, 2),), (Flip(40, 2),), (Flip(41, 2),)])
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: next(drawn))
    bench = PlayedBench()
    assert flips_of(bench, told, 3).run("m33", image(), "alive m33").total() == 2
    assert [a.name.split(": ")[0] for a in bench.asked] == ["seed 7:m33:0", "seed 7:m33:2"]


def test_undefined_parts_are_not_sent_while_a_difference_is_made_small(told, monkeypatch):
    """A part of the flips may be undefined where the whole is not."""
    length, guilty = Flip(19, 7), Flip(40, 2)
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (guilty,))
    bench = PlayedBench(wrong=guilty)
    found = flips_of(bench, told)
    assert not found.differs("m33", image(), (length,), "alive m33")
    assert found.differs("m33", image(), (guilty,), "alive m33")
    assert len(bench.asked) == 1


def test_a_corpus_is_not_asked_again(tmp_path, told):
    """A second run on the same build deploys nothing, and counts the same."""
    path = tmp_path / "flips.jsonl"
    first = flips_of(PlayedBench(), told, 25, Corpus.open(path)).run("m33", image(), "alive m33")
    path.write_bytes(path.read_bytes() + b'{"key": "half a li')
    bench = PlayedBench()
    assert flips_of(bench, told, 25, Corpus.open(path)).run("m33", image(), "alive m33") == first
    assert bench.asked == []
    assert flips_of(bench, told, 26, Corpus.open(path)).run("m33", image(), "alive m33").total() == 26
    assert len(Corpus.open(path).known) == len(path.read_text().splitlines())


def test_another_build_is_asked_again(tmp_path, told):
    """An answer belongs to the kernel and the TEE that gave it."""
    corpus = Corpus.open(tmp_path / "flips.jsonl")
    flips_of(PlayedBench(), told, 5, corpus).run("m33", image(), "alive m33")
    other = PlayedBench(about=About(Provenance({"kernel": "Linux 6.13"}), True, Evidence()))
    flips_of(other, told, 5, corpus).run("m33", image(), "alive m33")
    assert len(other.asked) == 5


def test_a_difference_is_not_remembered(tmp_path, told, monkeypatch):
    """What differed is asked again by the next run."""
    path = tmp_path / "flips.jsonl"
    found = flips_of(PlayedBench(wrong=Flip(28, 0)), told, 1, Corpus.open(path))
    monkeypatch.setattr("mpbench.deployment.flips.draw", lambda *_: (Flip(28, 0),))
    with pytest.raises(BoardFailure):
        found.run("m33", image(), "alive m33")
    assert not path.exists()


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"other": 1}\n'])
def test_a_file_that_is_no_corpus_is_refused(tmp_path, text):
    """Its line is named, and nothing is appended to it."""
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"notes\.txt:1: no line of a corpus"):
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
def test_answers_in_words(facts, word):
    """Who refused, and with what."""
    step = Step("deploy", "m33", facts, facts, compare(facts, facts), Evidence(), 0)
    assert answered(step) == word
    assert flipped(b"a", []) == b"a"
