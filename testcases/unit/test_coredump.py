# SPDX-License-Identifier: MIT
"""Core dumps: parsed, predicted, and collected from the board."""

import struct
from typing import Any

import pytest

from mpbench.board.coredump import LIST, Pending, await_dump, clear_all, pending, take
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.core.evidence import DUMP_SUMMARY
from mpbench.core.facts import Verdict
from mpbench.recovery.facts import DumpFacts
from mpbench.recovery.parse_coredump import EHDR, PHDR, segments
from mpbench.recovery.predict_coredump import dump
from mpbench.recovery.run import dumped
from mpbench.twin.loader import load
from testcases.stand_in import StandIn
from testcases.unit.image_rig import board, image, key

PROFILE = board().with_key(key().public_key())
CORE = PROFILE.core("m33")
TRACE = b"mpbench starve m33 1\nboot 00000002 beat 0000001f\nfails now\n\0"


def elf(*parts: tuple[int, bytes], **wrong: int) -> bytes:
    """A core dump as Linux 6.12 writes it."""
    head = EHDR.pack(
        b"\x7fELF", 1, 1, 1, 0, 0, 4, wrong.get("machine", 40), 1, 0, 52, 0, 0, 52, 32, len(parts), 0, 0, 0
    )
    offset, table = 52 + 32 * len(parts), b""
    for da, data in parts:
        table += PHDR.pack(1, offset, da, da, len(data), len(data) + wrong.get("more", 0), 7, 0)
        offset += len(data)
    return head + table + b"".join(data for _, data in parts)


def crashed(image_: bytes = b"") -> bytes:
    """The dump of a core that loaded `image_` and then wrote its trace."""
    image_ = image_ or image()
    memories = {r.da: bytearray(r.size) for r in CORE.regions}
    for write in load(image_, PROFILE, "m33").writes:
        region = next(r for r in CORE.regions if r.pa <= write.pa < r.pa + r.size)
        data = bytes(write.size) if write.offset is None else image_[write.offset : write.offset + write.size]
        memories[region.da][write.pa - region.pa : write.pa - region.pa + write.size] = data
    memories[CORE.regions[1].da][: len(TRACE)] = TRACE
    return elf(*((da, bytes(data)) for da, data in memories.items()))


def predicted(**kind: Any) -> DumpFacts:
    usual: dict[str, Any] = {"identity": "starve m33", "boot": 2}
    return dump(PROFILE, "m33", image(), **usual | kind)


def test_a_dump_is_compared_with_what_the_loader_wrote():
    """Segments, code, vector table, firmware and boot are predicted, observed and in the summary."""
    step = dumped("m33", predicted(), crashed(), 1)
    step.check("segments", "unchanged", "vectors", "identity", "boot")
    assert step.comparison.verdict is Verdict.PASS
    assert predicted().unchanged, "nothing of this image is constant, so nothing would be compared"
    words = step.evidence.get(DUMP_SUMMARY).decode()
    for part in ("0x80100000 .. 0x80900000", "starve m33", "life 2, beat 31", "fails now"):
        assert part in words


def test_changed_code_is_found():
    """One byte of the code that differs from the authenticated image is detected in the dump."""
    found = bytearray(crashed())
    place = predicted().unchanged.split(" ")[0].partition("+")[0]
    found[52 + 64 + int(place, 16) - CORE.regions[0].da] ^= 1
    with pytest.raises(BoardFailure, match=f"unchanged was predicted '{place}"):
        dumped("m33", predicted(), bytes(found), 1).check()


def test_a_dump_without_memory_or_trace_says_so():
    """A memory range that the dump lacks is reported as missing."""
    step: Any = dumped("m33", predicted(), elf((0x1000, bytes(16))), 1)
    assert "missing" in step.observed.unchanged
    assert step.observed.vectors.endswith("missing")
    assert (step.observed.identity, step.observed.boot) == ("", None)
    assert b"unknown: no trace buffer" in step.evidence.get(DUMP_SUMMARY)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a core dump of 0 bytes has no ELF header"),
        (elf((0, b"x"), machine=3), "not an ELF32 core dump of an Arm core"),
        (elf((0, b"x"))[:60], "core dump ends before its program header at 0x34"),
        (elf((0x80, b"x" * 8))[:-1], "segment at 0x80 has type 1, 0x8 of 0x8 bytes at offset 0x54"),
        (elf((0x80, b"x" * 8), more=1), "0x8 of 0x9 bytes"),
    ],
)
def test_a_broken_dump_is_the_boards_fault(data, words):
    """A truncated or inconsistent dump, or one of another machine, is an error that names the reason."""
    with pytest.raises(BoardFailure, match=words):
        segments(data)


def test_no_dump_is_predicted_for_what_would_not_run():
    """Predicting the dump of a refused image is a UsageError."""
    with pytest.raises(UsageError, match="m33 would not run this image"):
        dump(PROFILE, "m33", image()[:-1], identity="", boot=1)


def test_without_a_prediction_of_the_vectors_nobody_looks():
    """An empty prediction leaves the vector table undecided."""
    facts: Any = dumped("m33", DumpFacts(), crashed(), 1)
    assert facts.observed.vectors is None
    assert struct.calcsize("<2I") == 8
    assert compare(DumpFacts(), facts.observed).verdict is Verdict.INVALID


class Board(StandIn):
    """A session of a board with dumps in both places."""

    def __init__(self, listing: str = "", broken: bool = False) -> None:
        self.said: list[str] = []
        self.listing, self.broken = listing, broken

    def execute(self, command, _timeout_s=None):
        self.said.append(command)
        return Reply(0, self.listing.encode() if command == LIST else b"", b"")

    def get_bytes(self, path, _timeout_s):
        if self.broken:
            raise InfrastructureError(f"{path}: download damaged")
        return b"dump"


BOTH = "/sys/class/devcoredump/devcd3/data ../../remoteproc1\n/var/crash/a_m4-fw-error_b.dump -\n"


def test_dumps_are_found_in_both_places_and_cleared_each_in_its_way():
    """A dump of the kernel is removed by a write, a file of ST's udev rule is deleted."""
    both = Board(BOTH)
    assert pending(both) == [
        Pending("/sys/class/devcoredump/devcd3/data", "remoteproc1"),
        Pending("/var/crash/a_m4-fw-error_b.dump", ""),
    ]
    assert clear_all(both) == 2
    assert both.said[-2:] == [
        "echo 1 >/sys/class/devcoredump/devcd3/data",
        "rm -f /var/crash/a_m4-fw-error_b.dump",
    ]


def test_a_dump_of_another_core_is_not_taken():
    """Only a dump of the device, or one without a device, is returned; None without one in time."""
    board_ = Board(BOTH.splitlines()[0])
    assert await_dump(board_, "remoteproc0", 0) is None
    assert await_dump(board_, "remoteproc1", 0).device == "remoteproc1"


def test_a_dump_that_cannot_be_read_is_cleared_all_the_same():
    """A dump is removed even if its download fails: the kernel discards new ones while one is pending."""
    board_ = Board(BOTH, broken=True)
    with pytest.raises(InfrastructureError, match="damaged"):
        take(board_, pending(board_)[0])
    assert board_.said[-1] == "echo 1 >/sys/class/devcoredump/devcd3/data"
    assert take(Board(BOTH), pending(board_)[0]) == b"dump"
