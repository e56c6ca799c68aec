# SPDX-License-Identifier: MIT
"""The twin of Linux' loader against Linux' own source: damaged ELF files, tables, a short campaign."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench import layout
from mpbench.twin.linux_elf import LinuxOutcome
from mpbench.twin.linux_table import OOPS
from testcases import tables
from testcases.peer import linux_cases
from testcases.peer.build import CannotBuild, Flavour
from testcases.peer.conftest import CACHE
from testcases.peer.linux_build import build, kernel, source
from testcases.peer.linux_campaign import FLAVOURS, FOUND, Explorer, main, save, stored
from testcases.peer.linux_cases import BOARDS, SRAM
from testcases.peer.linux_worker import GRANULE, IN_FRONT, LAST, STOP, encode_case, predict, same
from testcases.peer.worker import DIED, Worker
from testcases.tables import ANY, RPMSG

FULL, BARE, ALLOCATING = 0, 2, 5
"""Numbers of boards: with vrings and buffers, with SRAM only, one on which Linux can allocate memory."""


@pytest.fixture(scope="module", params=FLAVOURS, ids=lambda f: f.name)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both word sizes."""
    return request.param


@pytest.fixture(scope="module")
def program(flavour: Flavour) -> Path:
    """The worker of a flavour, or a skip."""
    try:
        return build(flavour, CACHE)
    except CannotBuild as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def worker(program: Path, flavour: Flavour) -> Iterator[Worker]:
    """A running worker of that word size."""
    with Worker(program, flavour.runner) as running:
        yield running


@pytest.fixture
def agree(worker: Worker, flavour: Flavour):
    """Asserts that twin and peer answer alike; the twin's outcome and the peer's answer."""

    def compare(image: bytes, board: int = FULL, flags: int = 0) -> tuple[LinuxOutcome, bytes]:
        with_board = BOARDS[board]
        worker.configure(with_board, flavour.word_bits)  # type: ignore[arg-type]
        side = with_board.side(kernel(source()), flavour.word_bits)
        wanted, found = predict(with_board, side, flags, image)
        answer = worker.run(encode_case(flags if wanted is not None else flags | LAST, image))
        assert wanted is None or same(wanted, answer, with_board), found
        return found, answer

    return compare


def elf(
    *entries: bytes, kind: int = 1, da: int = SRAM.da, data: bytes = b"code" * 8, memsz: int = 0x100
) -> bytes:
    """A firmware with a resource table in its only segment; the table is a section as well."""
    table = tables.table(*entries)
    return linux_cases.build(kind, [(da, data + table, memsz)], table, SRAM.da + len(data)).image


def put(image: bytes, at: int, form: str, value: int) -> bytes:
    """The image with a number written at a position."""
    changed = bytearray(image)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


@pytest.mark.parametrize("kind", [1, 2], ids=["elf32", "elf64"])
@pytest.mark.parametrize("board", range(len(BOARDS)))
@pytest.mark.parametrize(
    "entries",
    [
        (), (RPMSG,), (tables.trace(), RPMSG), (RPMSG, RPMSG), (tables.vdev([(ANY, 0, 16)] * 2), RPMSG),
        (tables.vdev([(0x1004_0000, 16, 16), (0x1004_1000, 16, 300)]),), (tables.vdev([(ANY, 16, 16)] * 3),),
        (tables.carveout(b"vdev0vring0", ANY, 16), RPMSG), (tables.carveout(b"mcuram2", ANY, 16),) * 2,
        (tables.carveout(b"vdev0buffer", ANY, 16),), (tables.carveout(b"shm", 0x2000_0000, 16),),
        (tables.devmem(0, 0, 16),), (tables.entry(128, 1),), (tables.entry(128, 1), tables.trace()),
        (tables.entry(77, 1),), (tables.trace(reserved=1),),
    ],
)  # fmt: skip
def test_tables_get_the_same_answer(agree, board, entries, kind):
    """What is returned, what is printed, and the table that is written back, on every board."""
    agree(elf(*entries, kind=kind), board)


def test_rpmsg_starts_with_notify_ids(agree):
    """The table in memory has the ids that Linux has given."""
    found, answer = agree(elf(RPMSG))
    assert (found.errno, found.lines) == ("OK", ())
    assert found.installed is not None
    assert answer[:4] == b"R\0\0\0"


@pytest.mark.parametrize("rings", [0, 1])
def test_a_vdev_of_fewer_than_two_vrings_is_a_null_pointer(agree, rings):
    """At the stop; or during the start if that fails later on."""
    one = tables.vdev([(ANY, 16, 16)] * rings)
    assert agree(elf(one))[0].errno == "OK"
    assert agree(elf(one), flags=STOP)[1] == DIED
    found, answer = agree(elf(one, tables.devmem(0, 0, 4)))
    assert (found.why, answer) == (OOPS, DIED)
    assert agree(elf(one, memsz=0x1000))[0].why == OOPS


def test_a_device_address_is_taken_modulo_4_gib(agree):
    """p_paddr of 64 bits is cut to 32: the segment lands in the SRAM."""
    found, _ = agree(elf(kind=2, da=SRAM.da + (1 << 32)))
    assert (found.errno, found.writes[0].pa) == ("OK", SRAM.pa)


def test_a_size_that_wraps_is_taken_in_32_bits(agree, flavour):
    """p_memsz of nearly 4 GiB: a 32-bit kernel writes on until it dies, a 64-bit one refuses."""
    found, answer = agree(elf(da=SRAM.da + 0x10, memsz=0xFFFF_FFF0))
    assert found.errno == ("EINVAL" if flavour.word_bits == 64 else None)
    assert (answer == DIED) == (flavour.word_bits == 32)


@pytest.mark.parametrize("extra", range(9))
def test_a_segment_that_starts_in_front_of_the_file_is_seen_in_whole_granules(agree, flavour, extra):
    """p_offset of -1: AddressSanitizer sees the byte before the file only if that starts a granule."""
    image = put(elf(kind=2), 64 + 8, "<Q", (1 << 64) - 1)
    assert len(image) % GRANULE == 0
    found, answer = agree(image + bytes(extra))
    assert found.why == IN_FRONT
    if flavour.word_bits == 64:
        assert (answer == DIED) == (extra % GRANULE == 0)


@pytest.mark.parametrize("extra", [0, 1, 8])
def test_names_in_front_of_the_file_are_seen_in_whole_granules(agree, flavour, extra):
    """sh_offset of the names is -1: the first byte of a name is the one before the file."""
    image = elf(kind=2)
    names = struct.unpack_from("<Q", image, 40)[0] + 3 * 64 + 24
    found, answer = agree(put(image, names, "<Q", (1 << 64) - 1) + bytes(extra))
    assert found.why == IN_FRONT
    if flavour.word_bits == 64:
        assert (answer == DIED) == (extra % GRANULE == 0)


DAMAGES = (
    *((lambda e, n=n: e[:n]) for n in (0, 20, 51, -40, 400)),
    lambda e: b"ST\x32M" + e[4:],
    *(
        (lambda e, at=at, form=form, value=value: put(e, at, form, value % (1 << 32) if value < 0 else value))
        for at, form, value in (
            *(
                (4, "B", 0),
                (4, "B", 200),
                (4, "B", 2),
                (5, "B", 2),
                (44, "<H", 0),
                (48, "<H", 99),
                (50, "<H", 99),
            ),
            *((68, "<I", 1 << 20), (72, "<I", 0), (64, "<I", 0x2000_0000), (32, "<I", -40), (28, "<I", -4)),
        )
    ),
    *(
        (lambda e, at=at, less=less: put(e, at, "<I", len(e) - less))
        for at in (28, 32, 56)
        for less in (-1, 0, 8, 24, 32, 40)
    ),
)
"""The ELF cut, with a wrong number in its head or a program header, or with an offset at the file's end."""


@pytest.mark.parametrize("number", range(len(DAMAGES)))
def test_damaged_elf_files_get_the_same_answer(agree, number):
    """Headers that are cut, wrong or lead out of the file, where AddressSanitizer sees what Linux reads."""
    agree(DAMAGES[number](elf(tables.trace())))


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_name_at_the_end_of_the_file_is_read_as_far_as_it_is_equal(agree, flavour, cut):
    """strcmp stops at the first difference: only an equal beginning leads out of the file."""
    image = elf(tables.trace())
    shoff = struct.unpack_from("<I", image, 32)[0]
    names = layout.RESOURCE_SECTION[:cut]
    moved = put(image, shoff + 3 * 40 + 16, "<I", len(image)) + names
    for row in range(4):
        moved = put(moved, shoff + row * 40, "<I", 0)
    found, answer = agree(moved)
    assert found.errno is None
    assert answer == DIED or flavour.word_bits == 32
    assert agree(put(moved, len(image), "B", ord("x")))[0].errno == "OK"


def test_the_kernels_differences_are_read_in_its_source():
    """6.12.107 has neither the bounds of sections nor the new walk; a newer tree may be named."""
    try:
        found = kernel(source())
    except CannotBuild as error:
        pytest.skip(str(error))
    assert found.probe.endswith("error {}")


@pytest.mark.parametrize("flags", [STOP, STOP | LAST])
def test_a_start_after_one_that_died_gets_its_own_answer(worker, flavour, flags):
    """The process lives on after a null pointer in 32 bits, or is replaced: neither shows."""
    board = BOARDS[FULL]
    side = board.side(kernel(source()), flavour.word_bits)
    dying, sound = elf(tables.vdev([(ANY, 16, 16)])), elf(tables.trace(), RPMSG)
    wanted, _ = predict(board, side, STOP, sound)
    worker.configure(board, flavour.word_bits)
    worker.send([encode_case(*case) for case in [(flags, dying), (STOP, sound)] * 5])
    assert worker.receive(10) == [DIED, wanted] * 5


def test_a_campaign_whose_worker_is_gone_says_so(tmp_path, capsys, monkeypatch):
    """It ends, with exit code 3, instead of waiting for the rest."""
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("testcases.peer.linux_campaign.programs_for", lambda _: {"asan64": program})
    try:
        assert main(["--comparisons", "100", "--seed", "1"]) == 3
    except CannotBuild as error:
        pytest.skip(str(error))
    assert "a worker is gone" in capsys.readouterr().out


@pytest.mark.slow
def test_a_short_campaign_finds_no_disagreement(program, flavour):
    """Four boards with 600 cases each, from a fixed seed."""
    explorer = Explorer({flavour.name: program}, 20261128)
    totals = [explorer.batch() for _ in range(4)]
    explorer.close()
    assert [one.disagreements for one in totals] == [0] * 4
    assert sum(one.comparisons + one.undetermined for one in totals) == 2400
    assert min(one.comparisons for one in totals) > 400
    assert len({name for one in totals for name in one.reasons}) > 15


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.json")) or [None], ids=str)
def test_old_disagreements_stay_settled(agree, flavour, path):
    """Every case a campaign ever wrote to found_linux/ is replayed."""
    if path is None:
        assert not FOUND.exists()
        return
    case = json.loads(Path(path).read_text(encoding="utf-8"))
    if case["flavour"] == flavour.name:
        agree(bytes.fromhex(case["image"]), case["board"], case["flags"])


def test_a_disagreement_is_kept(flavour, tmp_path, monkeypatch):
    """As a file that names the build, the board, the image and what the peer answered."""
    monkeypatch.setattr("testcases.peer.linux_campaign.FOUND", tmp_path / "found")
    path = save(stored(flavour, BARE, (STOP, b"\x7fELF"), DIED))
    assert json.loads(path.read_text()) == {
        "flavour": flavour.name, "board": BARE, "flags": 1, "image": "7f454c46", "answers": ["44000000"]
    }  # fmt: skip
