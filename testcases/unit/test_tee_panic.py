# SPDX-License-Identifier: MIT
"""A panic of OP-TEE, and an access that its firewall refused, on the secure console."""

from typing import Any

import pytest

from mpbench.board.protocols import Board
from mpbench.board.tee_panic import tee_panic_in
from mpbench.core.errors import BoardFailure
from mpbench.deployment.fixture import DeployBench
from mpbench.twin.profile import load_profile
from testcases.stand_in import StandIn

WATCHDOG = (
    b"I/TA: loaded\r\n"
    b"E/TC:0 stm32_iac_itr:163 IAC exceptions [127:96]: 0x10\r\n"
    b"E/TC:0 stm32_iac_itr:167 IAC exception ID: 100\r\n"
    b"E/TC:0 Panic at core/drivers/firewall/stm32_iac.c:182 <stm32_iac_itr>\r\n"
)
MEMORY = (
    b"E/TC:1 stm32_iac_itr:167 IAC exception ID: 137\r\n"
    b"I/TC:  DUMPING DATA FOR RISAF4\r\n"
    b"I/TC:  Faulty address (IADDR0): 0x81200000\r\n"
    b"E/TC:1 SERC exception ID: 20\r\n"
    b"E/TC:1 Panic 'no way' at core/x.c:1 <x>\r\n"
)
DDR = (
    b"E/TC:0   tzc_it_handler:83 TZC permission failure\r\n"
    b"E/TC:0   dump_fail_filter:424 Permission violation on filter 0\r\n"
    b"E/TC:0   dump_fail_filter:429 Violation @0xde000000, non-secure privileged read, AXI ID 1\r\n"
    b"E/TC:0   Panic\r\n"
)


def test_a_refused_peripheral_is_named():
    """Number and name of the exception, and where OP-TEE stopped."""
    found = tee_panic_in(WATCHDOG)
    assert found.stopped
    assert found.text == (
        "OP-TEE panicked at core/drivers/firewall/stm32_iac.c:182: the firewall refused an access: "
        "IAC exception 100, IWDG3"
    )


def test_a_refused_memory_has_its_address():
    """Memory and address; a panic's own words; what the SERC reports is no refusal."""
    assert tee_panic_in(MEMORY).text == (
        "OP-TEE panicked at core/x.c:1 (no way): the firewall refused an access: IAC exception 137, "
        "memory behind RISAF4 (DDR) and RISAF4 at 0x81200000; "
        "an access to a peripheral in reset or without a clock: SERC exception 20, LPTIM4"
    )


def test_a_peripheral_without_a_clock_is_no_refusal():
    """OP-TEE built for diagnosis goes on after it as well."""
    found = tee_panic_in(b"E/TC:0 stm32_serc_handle_ilac:139 SERC exception ID: 31\r\n")
    assert (found.stopped, found.text) == (
        False,
        "an access to a peripheral in reset or without a clock: SERC exception 31, USART1",
    )


def test_a_refused_access_to_an_stm32mp1_s_ddr_has_its_address():
    """Address, access and master, as the TZC-400 has them; an OP-TEE without debugging says not where."""
    found = tee_panic_in(DDR)
    assert found.stopped
    assert found.text == (
        "OP-TEE panicked: the firewall refused an access: "
        "DDR (TZC400) at 0xde000000, non-secure privileged read, AXI ID 1"
    )
    assert not tee_panic_in(DDR.replace(b"Panic", b"Panicked")).stopped


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        *((1, "TIM2"), (35, "UART5"), (48, "I2C8"), (92, "RNG"), (102, "IWDG5"), (150, "see"), (151, "RTC")),
        *((128, "memory behind RISAB1 (SYSRAM, low half)"), (132, "memory behind RISAB5 (RETRAM)")),
    ],
)
def test_numbers_are_the_soc_s(numbers: int, name: str):
    """Ref: dt-bindings/firewall/stm32mp25-rifsc.h; another number is not guessed."""
    found = tee_panic_in(b"E/TC:0 IAC exception ID: %d\r\n" % numbers)
    assert f"IAC exception {numbers}, {name}" in found.text


def test_a_refused_access_without_a_panic_is_one_that_op_tee_survived():
    """OP-TEE built for diagnosis goes on."""
    found = tee_panic_in(WATCHDOG.split(b"E/TC:0 Panic")[0])
    assert (found.stopped, found.text) == (
        False,
        "the firewall refused an access: IAC exception 100, IWDG3",
    )


def test_other_lines_are_no_panic():
    """Nor is a panic of a trusted application."""
    assert tee_panic_in(b"E/TC:? 0 TA panicked with code 0xdeadbeef\r\nE/TC:0 not a panic\r\n") is None


class Lab(StandIn):
    """A board whose OP-TEE printed something since the test began, and its strategy."""

    def __init__(self, printed: bytes):
        self.printed = printed
        self.done: list[Any] = []
        self.session = self.secure = self.console = self.remoteproc = self.kmsg = self.target = self
        self.blocked = ""

    def arrived(self, position: int) -> bytes:
        return self.printed[position:]

    def since(self, _mark: int) -> bytes:
        return b""

    def record_consoles(self, evidence: Any) -> None:
        self.done.append([artefact.name for artefact in evidence.artefacts])

    def transition(self, status: str) -> None:
        self.done.append(status)

    def lock(self) -> None:
        pass

    def activate(self, _driver: Any) -> None:
        pass

    def read(self, _path: str) -> bytes:
        return b"b-2\n"

    def booted(self, boot: str) -> None:
        self.done.append(boot)


def bench_of(lab: Lab, started: str = "") -> DeployBench:
    board = Board(lab, lab, lab, lab, lab)
    return DeployBench(board, load_profile("virtual-mp25"), lab, lab, lab, "b-1", [], 0, 3, started)


def test_a_panic_is_told_from_a_dead_board():
    """FAIL with exception and firmware; the console is evidence; the board is switched off and on."""
    lab = Lab(b"old" + WATCHDOG)
    with pytest.raises(
        BoardFailure, match=r"IAC exception 100, IWDG3; started last in this test: alive m33 on m33$"
    ):
        bench_of(lab, "alive m33 on m33").settle()
    assert lab.done == [["secure-console"], "off", "shell", "b-2"]


def test_a_board_that_survived_is_not_switched():
    """Only reported: its OP-TEE answers."""
    lab = Lab(b"old" + WATCHDOG.split(b"E/TC:0 Panic")[0])
    with pytest.raises(BoardFailure, match=r"^the firewall refused an access: IAC exception 100, IWDG3$"):
        bench_of(lab).settle()
    assert lab.done == [["secure-console"]]


def test_what_was_printed_before_the_test_is_not_its_own():
    """The position of the console when the test began counts."""
    lab = Lab(WATCHDOG)
    bench = bench_of(lab)
    bench._secure_mark = len(WATCHDOG)
    bench._check_tee()
    assert lab.done == []
