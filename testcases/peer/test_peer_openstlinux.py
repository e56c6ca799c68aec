# SPDX-License-Identifier: MIT
"""The twin against ST's own TA, PTA and driver, of any release: MPBENCH_OPTEE_SRC, a tree of the user's."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from mpbench.image import faults
from mpbench.image.sign import sign
from mpbench.layout import TEST_DECRYPTION_KEY, TaCommand, Tlv
from testcases.peer import st_cases
from testcases.peer.build import ARM, ASAN, FLAVOURS, CannotBuild, Flavour, build, release, source
from testcases.peer.campaign import FOUND, Explorer
from testcases.peer.conftest import CACHE
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.peer.store import decode, found_with
from testcases.peer.test_peer import MODULUS, agree
from testcases.peer.worker import Command, Worker
from testcases.unit import test_twin_openstlinux as twin
from testcases.unit.image_rig import key

LOAD, START, STOP = (int(c) for c in (TaCommand.LOAD_FW, TaCommand.START_FW, TaCommand.STOP_FW))
BOOT, IPC = 0x80100000, 0x81200000


@pytest.fixture(scope="session")
def tree() -> Path:
    """ST's sources; skipped without."""
    try:
        return source("st")
    except CannotBuild as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=[ASAN.name, ARM.name])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both word sizes."""
    return FLAVOURS[request.param]


@pytest.fixture(scope="module")
def program(tree: Path, flavour: Flavour) -> Path:
    """The worker of that word size."""
    try:
        return build(flavour, CACHE, tree)
    except CannotBuild as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def worker(program: Path, flavour: Flavour) -> Iterator[Worker]:
    """That worker, running."""
    with Worker(program, flavour.runner) as running:
        yield running


def signed() -> bytes:
    """A firmware for the small M33, signed by us, with BOOTADDR."""
    table = resource_table()
    segments = [Segment(BOOT, b"code" * 20, 0x60), Segment(IPC, table, len(table))]
    return sign(
        [Elf(segments, table, IPC).build()], key(), plat_tlvs={Tlv.BOOTADDR: BOOT.to_bytes(4, "little")}
    )


@pytest.mark.parametrize("name", sorted(faults.FAULTS))
def test_every_named_fault_and_what_it_leaves(worker, flavour, tree, name):
    """The answer, start, stop, and a sound image afterwards, which a boot address that stays would refuse."""
    board = evolve(st_cases.board_of(release(tree)), verdict=None, modulus=MODULUS)
    image = faults.apply(name, signed(), key())
    history: list[Command] = [(LOAD, 1, image), (4, 1, b""), (START, 1, b""), (STOP, 1, b"")]
    agree(worker, flavour, board, *history, (LOAD, 1, signed()), (START, 1, b""), (LOAD, 1, signed()))


@pytest.mark.parametrize("name", ["elf-phnum-0", *sorted(twin.IMAGES)])
def test_images_of_the_unit_tests_and_their_sequences(worker, flavour, tree, name):
    """Aliases, tables outside, two images, encryption, keys: on a board with the test key."""
    plain = evolve(st_cases.board_of(release(tree)), decryption_key=TEST_DECRYPTION_KEY.hex())
    key_hash = st_cases.hash_of(st_cases.ecc_key(1))
    image = twin.IMAGES[name]() if name in twin.IMAGES else twin.changed("elf0.e_phnum", 0)
    boards = [plain, evolve(plain, key_in_image=True, key_hash=key_hash)]
    for board in boards if plain.loader == "st-4.0-r2" else boards[:1]:
        history: list[Command] = [(LOAD, 1, image), (START, 1, b""), (LOAD, 1, signed()), (STOP, 1, b"")]
        agree(worker, flavour, board, *history, *history)


@pytest.mark.parametrize("path", found_with(FOUND, "st-"), ids=lambda path: path.stem)
def test_old_disagreements_stay_settled(worker, flavour, tree, path):
    """Cases that campaigns of any release wrote to found/, on this release."""
    stored = decode(json.loads(path.read_text()))
    cores = st_cases.board_of(release(tree), stored.board.cores[0].id)
    board = evolve(
        stored.board,
        cores=cores.cores,
        loader=cores.loader,
        dma_ranges=cores.dma_ranges,
        formats=cores.formats,
        key_in_image=stored.board.key_in_image and cores.loader == "st-4.0-r2",
    )
    agree(worker, flavour, board, *stored.commands)


@pytest.mark.slow
def test_a_short_campaign_finds_no_disagreement(program, flavour, tree):
    """Eight boards with 96 random sequences each, from a fixed seed."""
    explorer = Explorer({flavour.name: program}, 20260102, [], release(tree))
    for _ in range(8):
        assert explorer.batch().disagreements == 0
    explorer.close()
    assert len({mark for kind in explorer.seen for mark in kind[1:]}) > 50


def test_cases_are_made_for_every_release():
    """Boards, images and sequences without any tree: what a campaign would send is well-formed."""
    rng = random.Random(5)
    for loader in ("st-3.19", "st-4.0-r1", "st-4.0-r2"):
        for _ in range(20):
            board = st_cases.random_board(rng, MODULUS, loader)
            bases = [st_cases.random_base(rng, key() if board.verdict is None else None, board)]
            commands = st_cases.random_commands(bases, rng, board.cores[0].id)
            assert board.profile(64).loader == loader
            assert commands
