# SPDX-License-Identifier: MIT
"""What ST's OP-TEE keeps of a refused image: it is cured, reported, and charged to no later test."""

import re
from typing import Any

import pytest
from attrs import define, field

from mpbench.board.protocols import Board
from mpbench.core.step import Step
from mpbench.deployment.fixture import DeployBench
from mpbench.image.faults import apply
from mpbench.image.sign import sign
from mpbench.layout import Tee, Tlv
from testcases.stand_in import StandIn
from testcases.unit import image_rig

BOOT = (0x80100000).to_bytes(4, "little")
GOOD = sign([image_rig.firmware()], image_rig.key(), plat_tlvs={Tlv.BOOTADDR: BOOT})
PLAIN = sign([image_rig.firmware()], image_rig.key())
TAMPERED = apply("payload-first", GOOD)
UP = b"6,9,9,-;remoteproc remoteproc0: remote processor m33 is now up\n"
KEPT = b"E/TC:0 stm32_rproc_set_boot_address:571 Firmware boot address already set\r\n"


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
    """A core behind ST's TA and driver, as far as refusals leave something: session, remoteproc, strategy.

    address: a boot address is set; loaded: an image was loaded and not started; keeps: what a refusal leaves;
    remains: also over a power cycle
    """

    keeps: str
    address: bool = False
    loaded: bool = False
    running: bool = False
    firmware: bytes = b""
    kmsg: Text = field(factory=Text)
    secure: Text = field(factory=Text)
    powered: list[str] = field(factory=list)
    blocked: str = ""
    remains: bool = False
    beats: int = 0

    @property
    def target(self) -> "StBoard":
        return self

    def activate(self, _driver: Any) -> None:
        pass

    def transition(self, status: str) -> None:
        self.powered.append(status)
        self.running = False
        if not self.remains:
            self.address = self.loaded = False

    def read(self, _path: str) -> bytes:
        return b"boot\n"

    def put_bytes(self, data: bytes, _path: str) -> None:
        self.firmware = data

    def firmware_path(self, name: str) -> str:
        return name

    def core_state(self, _core: str) -> str:
        return "running" if self.running else "offline"

    def trace(self, core: str) -> bytes | None:
        self.beats += 1
        return (
            f"mpbench alive {core} 1\nboot 00000001 beat {self.beats:08x}\n".encode()
            if self.running
            else None
        )

    def write(self, _core: str, file: str, text: str, _deadline_s: float) -> str:
        if file == "firmware":
            return "OK"
        if text == "stop":
            self.running = self.address = False
            return "OK"
        return self._start()

    def _start(self) -> str:
        if self.loaded:
            return self._refuse(Tee.BAD_STATE)
        if self.firmware != PLAIN:
            if self.address:
                self.secure.data += KEPT
                return self._refuse(Tee.GENERIC)
            self.address = True
        if self.firmware == TAMPERED:
            self.secure.data += b"E/TA:  load:1 Fails to load segment, res = 0x0xffff000f\r\n"
            self.address, self.loaded = self.keeps == "address", self.keeps == "loaded"
            return self._refuse(Tee.SECURITY)
        self.running = True
        self.kmsg.data += UP
        return "OK"

    def _refuse(self, code: int) -> str:
        self.kmsg.data += b"3,9,9,-;rproc m33: LOAD_FW invoke failed TEE err: 0x%08x, ret: 0\n" % code
        return "EIO"


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
    bench = DeployBench(board, image_rig.board("virtual-mp25"), record, item, there, "boot")
    bench.plain = lambda _core: PLAIN
    return bench, record


@pytest.mark.parametrize(
    ("keeps", "cure"),
    [
        ("address", ["refused, because the TEE keeps the boot address of an earlier one", "start without"]),
        ("loaded", ["refused, because the TEE keeps the image of an earlier one"]),
    ],
)
def test_a_good_image_after_a_refused_one_runs(keeps: str, cure: list[str]):
    """The refusal is predicted; what it leaves is undone before the next image, and reported as such."""
    there = StBoard(keeps)
    bench, record = bench_of(there)
    bench.deploy("m33", TAMPERED, "alive m33").check("errno", "state", "tee_code")
    bench.deploy("m33", GOOD, "alive m33").check("errno", "state", "tee_code")
    assert there.running
    assert there.powered == ([] if keeps == "address" else ["off", "shell"])
    names = [step.name for step in record.steps]
    assert (names[0], names[-1]) == ("deploy", "deploy")
    assert len(names) == 2 + len(cure)
    assert all(words in name for words, name in zip(cure, names[1:-1], strict=True))
    assert not any(step.comparison.differing for step in record.steps)


def test_a_refusal_that_was_predicted_leaves_nothing_to_cure():
    """It is that of the image itself, and repeated as it is."""
    bench, record = bench_of(StBoard("nothing"))
    for _ in range(2):
        bench.deploy("m33", TAMPERED, "alive m33").check("errno", "state", "tee_code")
    assert [step.name for step in record.steps] == ["deploy", "deploy"]


def test_an_address_that_no_image_resets_needs_a_power_cycle():
    """Without firmware that has no boot address the board is switched off and on."""
    there = StBoard("address", address=True)
    bench, _ = bench_of(there)
    bench.plain = None
    bench.deploy("m33", GOOD, "alive m33").check("errno", "state")
    assert there.powered == ["off", "shell"]


def test_a_board_that_stays_as_it_is_is_a_fail():
    """What the cure does not cure is the board's answer."""
    bench, record = bench_of(StBoard("loaded", loaded=True, remains=True))
    step = bench.deploy("m33", GOOD, "alive m33")
    assert step.comparison.differs("tee_code")
    assert len(record.steps) == 3
