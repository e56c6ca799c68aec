# SPDX-License-Identifier: MIT
"""What ST's OP-TEE keeps of a refused image: it is cured, reported, and charged to no later test."""

import re
import struct
from typing import Any

import pytest
from attrs import define, field

from mpbench.board.protocols import Board
from mpbench.core.errors import BoardFailure
from mpbench.core.step import Step
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.run import not_sent
from mpbench.image.faults import FAULTS, apply
from mpbench.image.sign import sign
from mpbench.layout import Tlv
from mpbench.twin.machine import Loader
from mpbench.twin.openstlinux_machine import loader_of
from mpbench.twin.profile import Profile
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.stand_in import StandIn
from testcases.unit import image_rig

DK = "st-4.0-r2-mp257f-dk"
IPC = 0x81200000
"""Memory that Linux may read, for the resource table."""


def firmware() -> bytes:
    table = resource_table()
    segments = [Segment(image_rig.BASE, image_rig.CODE, 0x60), Segment(IPC, table, len(table))]
    return Elf(segments, table, IPC).build()


GOOD = sign([firmware()], image_rig.key(), plat_tlvs={Tlv.BOOTADDR: image_rig.BASE.to_bytes(4, "little")})
PLAIN = sign([firmware()], image_rig.key())
TAMPERED = apply("payload-first", GOOD)
EARLY = apply("elf-phnum-zero", GOOD)
"""Refused before r2's TA cleans anything for the first time."""
UP = b"6,9,9,-;remoteproc remoteproc0: remote processor m33 is now up\n"


class Text(StandIn):
    """A log in memory."""

    proves_silence = True

    def __init__(self) -> None:
        self.data = b""

    def mark(self) -> int:
        return len(self.data)

    def since(self, mark: int) -> bytes:
        return self.data[mark:]

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, _deadline_s: float) -> bool:
        return pattern.search(self.data, mark) is not None


@define
class StBoard(StandIn):
    """A core that the twin of ST's TA, PTA and driver loads, as ST's Linux 6.6 does it: session, strategy.

    remains: what the TEE keeps survives a power cycle
    """

    profile: Profile
    remains: bool = False
    loader: Loader = field()
    running: bool = False
    firmware: bytes = b""
    kmsg: Text = field(factory=Text)
    secure: Text = field(factory=Text)
    powered: list[str] = field(factory=list)

    @loader.default
    def _loader(self) -> Loader:
        return loader_of(self.profile)

    @property
    def target(self) -> "StBoard":
        return self

    def activate(self, _driver: Any) -> None:
        pass

    def transition(self, status: str) -> None:
        self.powered.append(status)
        self.running = False
        if not self.remains:
            self.loader = loader_of(self.profile)

    def read(self, _path: str) -> bytes:
        return b"boot\n"

    def put_bytes(self, data: bytes, _path: str) -> None:
        self.firmware = data

    def firmware_path(self, name: str) -> str:
        return name

    def core_state(self, _core: str) -> str:
        return "running" if self.running else "offline"

    def trace(self, _core: str) -> bytes | None:
        return None

    def write(self, core: str, file: str, text: str, _deadline_s: float) -> str:
        if file == "firmware":
            return "OK"
        if text == "stop":
            assert self.loader.stop(core).accepted
            self.running = False
            return "OK"
        return self._start(core)

    def _start(self, core: str) -> str:
        for answer in (self.loader.load(core, self.firmware), self.loader.start(core)):
            if answer.code:
                for line in answer.console:
                    self.secure.data += b"E/TA:  load:1 %s\r\n" % line.encode()
                self.kmsg.data += b"3,9,9,-;rproc m33: invoke failed TEE err: %x, ret:0\n" % answer.code
                return "EIO"
        self.running = True
        self.kmsg.data += UP
        return "OK"


@define
class Record(StandIn):
    """The run's state: what it recorded."""

    steps: list[Step] = field(factory=list)

    def lock(self) -> None:
        pass

    def booted(self, boot: str) -> None:
        pass

    def step(self, _item: Any, step: Step) -> None:
        self.steps.append(step)


def bench_of(there: StBoard) -> tuple[DeployBench, Record]:
    board, record = Board(there, there, there.kmsg, there.secure, there.kmsg), Record()
    item: Any = None
    bench = DeployBench(board, there.profile, record, item, there, "boot")
    bench.plain = lambda _core: PLAIN
    return bench, record


LEFT = "refused for what an earlier one left in the TEE: "
ADDRESS = [f"{LEFT}the boot address", "start without"]


@pytest.mark.parametrize(
    ("release", "refused", "cure"),
    [
        ("4.0-r2", EARLY, ADDRESS),
        ("4.0-r1", TAMPERED, ADDRESS),
        ("3.19", TAMPERED, ADDRESS),
        ("4.0-r2", PLAIN, [f"{LEFT}the image"]),
    ],
)
def test_a_good_image_after_a_refused_one_runs(release: str, refused: bytes, cure: list[str]):
    """The refusal is predicted; what it leaves is undone before the next image, and reported as such."""
    there = StBoard(image_rig.board(f"st-{release}-mp257f-dk"))
    bench, record = bench_of(there)
    bench.deploy("m33", refused).check("errno", "state", "tee_code")
    bench.deploy("m33", GOOD).check("errno", "state", "tee_code")
    assert there.running
    assert there.powered == (["off", "shell"] if refused is PLAIN else [])
    names = [step.name for step in record.steps]
    assert (names[0], names[-1]) == ("deploy", "deploy")
    assert len(names) == 2 + len(cure)
    assert all(words in name for words, name in zip(cure, names[1:-1], strict=True))
    assert not any(step.comparison.differing for step in record.steps)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["4.0-r2", "4.0-r1", "3.19"])
def test_no_fault_is_charged_to_the_next_image(release: str):
    """After every named fault, as each release answers it, a good image is deployed as predicted."""
    there = StBoard(image_rig.board(f"st-{release}-mp257f-dk"))
    bench, record = bench_of(there)
    for name in FAULTS:
        faulty = apply(name, GOOD, image_rig.key())
        if not_sent(there.profile, "m33", faulty):
            continue
        bench.deploy("m33", faulty)
        if there.running:
            bench.stop("m33")
        bench.deploy("m33", GOOD).check("errno", "state", "tee_code")
        bench.stop("m33")
    assert not [step.name for step in record.steps if step.comparison.differs("tee_code")]


@define
class DeadTa(StBoard):
    """Its TA has panicked, and answers again after a power cycle."""

    def _start(self, core: str) -> str:
        if self.powered:
            return super()._start(core)
        self.kmsg.data += b"3,9,9,-;rproc m33: invoke failed TEE err: ffff3024, ret:0\n"
        return "EIO"


def test_an_application_that_an_earlier_image_has_stopped_is_started_again():
    """Its panic is no later test's affair."""
    there = DeadTa(image_rig.board(DK))
    bench, record = bench_of(there)
    bench.deploy("m33", GOOD).check("errno", "state", "tee_code")
    assert there.powered == ["off", "shell"]
    assert [step.name for step in record.steps] == [f"deploy: {LEFT}its application has panicked", "deploy"]


@define
class CountedAsStarted(StBoard):
    """A recovery has failed: Linux takes the core for started until the board is switched off."""

    quiet: bool = True

    def _start(self, core: str) -> str:
        if self.powered or not self.quiet:
            self.kmsg.data += b"6,8,8,-;remoteproc remoteproc0: powering up m33\n"
        return super()._start(core) if self.powered else "OK"


def test_a_core_that_linux_counts_as_started_is_switched_off_and_on():
    """A start that says OK and starts nothing is undone; what is deployed then is as predicted."""
    there = CountedAsStarted(image_rig.board(DK))
    bench, record = bench_of(there)
    bench.deploy("m33", GOOD).check("errno", "state", "tee_code")
    assert there.powered == ["off", "shell"]
    assert [step.name for step in record.steps] == [
        "deploy: not started: Linux counts the core as started since a recovery failed",
        "deploy",
    ]


def test_a_core_that_linux_has_started_and_is_offline_is_the_images_affair():
    """Linux has said that it starts it: nothing was left, and the test fails."""
    there = CountedAsStarted(image_rig.board(DK), quiet=False)
    bench, _ = bench_of(there)
    with pytest.raises(BoardFailure, match="state"):
        bench.deploy("m33", GOOD).check("errno", "state")
    assert there.powered == []


@pytest.mark.parametrize("fault", ["elf-phoff-outside", "section-name-outside"])
def test_an_image_that_might_stop_the_tee_is_never_sent(fault: str):
    """ST's parser reads outside of it: whether its application survives that depends on what is there."""
    there = StBoard(image_rig.board(DK))
    bench, record = bench_of(there)
    with pytest.raises(pytest.skip.Exception, match="this image is not sent, its answer is undefined"):
        bench.deploy("m33", apply(fault, GOOD, image_rig.key()))
    assert (there.firmware, record.steps) == (b"", [])


def with_reset_vector(address: int) -> bytes:
    """An image whose code is elsewhere."""
    table = resource_table()
    code = struct.pack("<2I", image_rig.BASE + 0x1000, address | 1) + image_rig.CODE[8:]
    segments = [Segment(image_rig.BASE, code), Segment(IPC, table)]
    tlv = {int(Tlv.BOOTADDR): image_rig.BASE.to_bytes(4, "little")}
    return sign([Elf(segments, table, IPC).build()], image_rig.key(), plat_tlvs=tlv)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (apply("segment-type", GOOD, image_rig.key()), "no code where the core takes its vectors"),
        (with_reset_vector(image_rig.BASE + 0x1000), "no code where the core continues after its reset"),
    ],
    ids=["vectors", "code"],
)
def test_an_image_without_code_is_never_sent_behind_a_firewall(image: bytes, why: str):
    """The core would leave its memory, and OP-TEE panic; where no firewall is, the image is sent."""
    there = StBoard(image_rig.board(DK))
    bench, record = bench_of(there)
    with pytest.raises(pytest.skip.Exception, match=why):
        bench.deploy("m33", image)
    assert (there.firmware, record.steps) == (b"", [])
    assert not_sent(image_rig.board(), "m33", image) == ""


def test_a_reset_vector_into_loaded_code_is_sent():
    """Or to an address that the core's memory does not have: it may be an alias of it."""
    for address in (image_rig.BASE + 8, image_rig.BASE - 0x8000_0000 + 8):
        assert not_sent(image_rig.board(DK), "m33", with_reset_vector(address)) == ""


def test_a_resource_table_in_closed_memory_is_never_sent():
    """Linux would read it where the firewall stops OP-TEE; upstream's boards have no such memory."""
    table = resource_table()
    elf = Elf([Segment(image_rig.BASE, image_rig.CODE + table)], table, image_rig.BASE + len(image_rig.CODE))
    image = sign([elf.build()], image_rig.key())
    there = StBoard(image_rig.board(DK))
    bench, _ = bench_of(there)
    with pytest.raises(pytest.skip.Exception, match="resource table is in cm33_cube_fw, closed to Linux"):
        bench.deploy("m33", image)
    assert there.firmware == b""


def test_a_refusal_that_was_predicted_leaves_nothing_to_cure():
    """It is that of the image itself, and repeated as it is."""
    bench, record = bench_of(StBoard(image_rig.board(DK)))
    for _ in range(2):
        bench.deploy("m33", TAMPERED).check("errno", "state", "tee_code")
    assert [step.name for step in record.steps] == ["deploy", "deploy"]


def test_an_address_that_no_image_resets_needs_a_power_cycle():
    """Without firmware that has no boot address the board is switched off and on."""
    there = StBoard(image_rig.board(DK))
    bench, _ = bench_of(there)
    bench.plain = None
    bench.deploy("m33", EARLY)
    bench.deploy("m33", GOOD).check("errno", "state")
    assert there.powered == ["off", "shell"]


def test_a_board_that_stays_as_it_is_is_a_fail():
    """What the cure does not cure is the board's answer."""
    there = StBoard(image_rig.board(DK), remains=True)
    bench, record = bench_of(there)
    bench.deploy("m33", PLAIN)
    step = bench.deploy("m33", GOOD)
    assert step.comparison.differs("tee_code")
    assert len(record.steps) == 3
