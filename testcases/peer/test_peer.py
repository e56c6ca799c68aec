# SPDX-License-Identifier: MIT
"""The twin against OP-TEE's own TA: named faults, states, word sizes, heap, keys, and a short campaign."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from mpbench.image import faults
from mpbench.image.fields import fields
from mpbench.image.sign import sign
from mpbench.layout import TaCommand
from testcases.peer import cases
from testcases.peer.build import Flavour
from testcases.peer.campaign import FOUND, Explorer
from testcases.peer.conftest import CACHE, program
from testcases.peer.coverage import Branches, describe, never, whole
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.peer.store import Stored, decode, encode, found_with, load_corpus, save
from testcases.peer.worker import SMALL, Board, Command, Memory, Worker, encode_case, predict
from testcases.unit.image_rig import key

LOAD = int(TaCommand.LOAD_FW)
BASE = SMALL[0].regions[0].da
MODULUS = key().public_key().public_numbers().n


def agree(worker: Worker, flavour: Flavour, board: Board, *commands: Command) -> list[str]:
    """Asserts that twin and peer answer alike; the reasons."""
    worker.configure(board, flavour.word_bits)
    wanted, outcomes = predict(board.profile(flavour.word_bits), Memory(board), commands)
    answer = worker.run(encode_case(commands))
    assert wanted is None or answer == wanted, [(o.reason.name, o.detail) for o in outcomes]
    return [o.reason.name for o in outcomes]


def signed() -> bytes:
    """A firmware for the small board's first core, signed by us."""
    table = resource_table()
    segments = [Segment(BASE, b"code" * 20, 0x60), Segment(BASE + 0x100, table, len(table))]
    return sign([Elf(segments, table, BASE + 0x100).build()], key())


@pytest.mark.parametrize("name", sorted(faults.FAULTS))
def test_every_named_fault_gets_the_same_answer(worker, flavour, name):
    """Code, platform calls, console, resource table and memory, with a signature that is really checked."""
    board = Board(SMALL, verdict=None, modulus=MODULUS)
    agree(worker, flavour, board, (LOAD, 1, faults.apply(name, signed(), key())), (4, 1, b""), (2, 1, b""))


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_the_ta_takes_what_we_sign_and_refuses_another_key(worker, flavour, bits):
    """RSA of three sizes, verified by the peer's own arithmetic."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 (only this test makes keys)

    ours = rsa.generate_private_key(65537, bits)
    image = faults.resigned(sign([Elf([Segment(BASE, b"data", 4)]).build()], ours), ours)
    board = Board(SMALL, verdict=None, modulus=ours.public_key().public_numbers().n)
    assert agree(worker, flavour, board, (LOAD, 1, image)) == ["loaded"]
    other = Board(SMALL, verdict=None, modulus=MODULUS)
    assert agree(worker, flavour, other, (LOAD, 1, image)) == ["signature-invalid"]


def test_the_word_size_decides_about_absurd_numbers(worker, flavour):
    """Lengths whose rounding wraps, images of 4 GiB, a program header just before the image."""
    board, image = Board(SMALL), bytearray(signed())
    narrow = flavour.word_bits == 32
    found = fields(bytes(image))

    def with_field(name: str, value: int) -> Command:
        changed = bytearray(image)
        faults.put(changed, found[name], value)
        return LOAD, 1, bytes(changed)

    wrap = agree(worker, flavour, board, with_field("tlv.HASHTYPE.length", 0xFFFFFFFF))
    assert wrap == ["no-hashtable" if narrow else "loaded"]
    huge = agree(worker, flavour, board, with_field("tlv.IMGSIZE.value", 0xFFFFFFF8))
    assert huge == ["imgsize-zero" if narrow else "loaded"]
    sections = agree(worker, flavour, board, with_field("elf0.e_shoff", 0xFFFFFFF8))
    assert sections == ["sections-wrap" if narrow else "elf-sections-outside"]
    near = agree(worker, flavour, board, with_field("elf0.e_phoff", 0xFFFFFFF0))
    assert near == ["phdr-outside" if narrow else "reads-outside"]


@pytest.mark.parametrize("segments", [20, 24, 25, 26, 27, 28, 32])
def test_the_heap_holds_as_many_segments_as_op_tees_own_allocator(worker, flavour, segments):
    """The default heap of 4 KiB, allocated by OP-TEE's bget."""
    many = Elf([Segment(BASE + 16 * i, b"data", 4) for i in range(segments)]).build()
    (reason,) = agree(worker, flavour, Board(SMALL, heap_bytes=4096), (LOAD, 1, sign([many], key())))
    assert reason in {"loaded", "heap"}
    assert segments not in {20, 24} or reason == "loaded"
    assert segments not in {28, 32} or reason == "heap"


@pytest.mark.parametrize("stored", cases.corners(), ids=lambda s: s.kind[1])
def test_corners_get_the_same_answer(worker, flavour, stored):
    """Overflows, places that chance hardly ever finds, headers cut by the file's end."""
    agree(worker, flavour, stored.board, *stored.commands)


def test_a_wild_read_kills_the_ta_and_the_worker_goes_on(worker, flavour):
    """AddressSanitizer or the guard pages see it; the next case runs on a fresh TA."""
    image = bytearray(signed())
    faults.put(image, fields(bytes(image))["elf0.e_phoff"], 0x00800000)
    assert agree(worker, flavour, Board(SMALL), (LOAD, 1, bytes(image))) == ["reads-outside"]
    assert agree(worker, flavour, Board(SMALL), (LOAD, 1, signed())) == ["loaded"]


@pytest.mark.slow
@pytest.mark.parametrize("pta_state", ["per-core", "shared"])
def test_two_cores_walk_through_all_states_alike(worker, flavour, pta_state):
    """Hypothesis orders the commands; after each one the whole history is compared."""
    board, bases = Board(SMALL, pta_state), [cases.random_base(random.Random(i)) for i in range(12)]

    class Cores(RuleBasedStateMachine):
        """Histories of commands on two cores that exist and one that doesn't."""

        def __init__(self) -> None:
            super().__init__()
            self.history: list[Command] = []

        @rule(core=st.sampled_from((1, 1, 2, 7)), base=st.sampled_from(bases), seed=st.integers(0, 999))
        def load(self, core: int, base: cases.Base, seed: int) -> None:
            """LOAD_FW with none to three faults."""
            rng = random.Random(seed)
            self.history.append((LOAD, core, cases.with_faults(base, rng, seed % 4)))

        @rule(core=st.sampled_from((1, 2)))
        def load_sound(self, core: int) -> None:
            """LOAD_FW of a firmware for that core."""
            da = SMALL[core - 1].regions[0].da
            self.history.append((LOAD, core, sign([Elf([Segment(da, b"data", 8)]).build()], key())))

        @rule(core=st.sampled_from((1, 1, 2, 7)), command=st.sampled_from((2, 3, 4, 5, 6)))
        def command(self, core: int, command: int) -> None:
            """Any other command."""
            self.history.append((command, core, b""))

        def teardown(self) -> None:
            agree(worker, flavour, board, *self.history)

    run_state_machine_as_test(
        Cores,
        settings=settings(
            max_examples=150, stateful_step_count=12, deadline=None, database=None,
            phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.slow
def test_a_short_campaign_finds_no_disagreement(flavour):
    """Twelve boards with 96 cases each, from a fixed seed."""
    explorer = Explorer({flavour.name: program(flavour)}, 20260101, [])
    for _ in range(12):
        assert explorer.batch().disagreements == 0
    explorer.close()
    assert len({mark for kind in explorer.seen for mark in kind[1:]}) > 50


@pytest.mark.parametrize("path", found_with(FOUND, "upstream") or [None], ids=str)
def test_old_disagreements_stay_settled(worker, flavour, path):
    """Every case a campaign ever wrote to found/ is replayed."""
    if path is None:
        assert found_with(FOUND, "upstream") == []
        return
    stored = decode(json.loads(Path(path).read_text()))
    agree(worker, flavour, stored.board, *stored.commands)


def test_a_disagreement_is_made_small_and_kept(flavour, tmp_path, monkeypatch):
    """With a twin that lies about one reason the case shrinks to one load of mostly zeros."""
    explorer = Explorer({flavour.name: program(flavour)}, 1, [])
    monkeypatch.setattr("testcases.peer.worker.encode_call", lambda _call: b"a lie")
    stored = Stored(("x",), Board(SMALL), ((LOAD, 1, signed()), (2, 1, b""), (3, 1, b"")))
    small = explorer.shrink(stored, flavour)
    explorer.close()
    assert len(small.commands) == 1
    assert sum(map(bool, small.commands[0][2])) < sum(map(bool, signed()))
    assert decode(encode(small)) == small
    save(small, tmp_path)
    assert load_corpus(tmp_path) == [small]


def test_an_image_without_fields_can_get_faults():
    """Even an empty image of the corpus is a base for new cases."""
    rng = random.Random(1)
    for image in (b"", b"abc"):
        base = cases.base_of(image, rng)
        assert len(base.targets) == 256
        for number in range(4):
            cases.with_faults(base, rng, number)


def test_an_unreached_branch_is_named_once_with_its_reason():
    """Only what no build took counts; an unexplained line is reported as missing from the corpus."""
    wide = Branches("a.c in 64 bits", 4, 2, ((7, "assert(pa);"), (9, "if (x)"), (11, "if (wrap)")))
    narrow = Branches("a.c in 32 bits", 4, 3, ((7, "assert(pa);"), (9, "if (x)")))
    assert never([[wide], [narrow]]) == [
        "  in no build, a.c:7: assert(pa);  [no core has memory at address 0]",
        "  in no build, a.c:9: if (x)  [not reached by this corpus]",
    ]


@pytest.mark.slow
def test_the_coverage_of_a_corpus_is_counted(tmp_path, optee):
    """With corner cases and one sound image: some branches of both C files and of the twin, not all."""
    assert optee
    save(Stored(("x",), Board(SMALL), ((LOAD, 1, signed()), (2, 1, b""))), tmp_path / "corpus")
    lines = whole(CACHE, tmp_path / "corpus")
    shares = [float(line.rsplit("(", 1)[1].split()[0]) for line in lines if line.endswith("%)")]
    assert sum(".c in " in line for line in lines) in {2, 4}
    assert all(10 < share <= 100 for share in shares)
    assert lines[-1].startswith("twin: ")


def test_uncovered_branches_are_named_with_their_line():
    """The report of a campaign says what it never reached."""
    assert describe([Branches("a.c", 4, 3, ((7, "if (x)"),))]) == [
        "a.c: 3 of 4 branches (75.0 %)",
        "  never taken, line 7: if (x)",
    ]
    assert Branches("b.c", 0, 0, ()).percent == 100
