# SPDX-License-Identifier: MIT
"""Nothing is done to a board that no longer belongs to this run."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from labgrid import Target
from labgrid.driver import SerialDriver
from labgrid.resource import NetworkSerialPort
from labgrid.strategy import StrategyError

from mpbench.board import ownership
from mpbench.board.console import ConsoleRecorder
from mpbench.board.strategy import STM32MPStrategy
from mpbench.core.errors import InfrastructureError
from testcases.contract.test_strategy import stm32mp

__all__ = ["stm32mp"]

WORDS = "lost the lock of place p"


class Lock:
    """The lock of a place that another user may release."""

    def __init__(self) -> None:
        self.lost = False

    def __call__(self) -> None:
        if self.lost:
            raise InfrastructureError(WORDS)


@pytest.fixture
def lost(stm32mp: STM32MPStrategy) -> Iterator[Target]:
    """A running board with a connected session, whose place another user has just released."""
    lock = Lock()
    stm32mp.transition("shell")
    ownership.guard(stm32mp.target, lock)
    assert stm32mp.session.execute("echo mine").stdout == b"mine\n"
    lock.lost = True
    yield stm32mp.target
    lock.lost = False  # so that the test can switch it off


ACTIONS: dict[str, Callable[[Target], object]] = {
    "execute": lambda t: t.get_driver("SessionDriver").execute("touch nothing"),
    "call": lambda t: t.get_driver("SessionDriver").call("touch nothing", 1),
    "spawn": lambda t: t.get_driver("SessionDriver").spawn("touch nothing"),
    "run": lambda t: t.get_driver("SessionDriver").run("touch nothing"),
    "read": lambda t: t.get_driver("SessionDriver").read("/proc/version"),
    "look": lambda t: t.get_driver("SessionDriver").look(["/proc/version"]),
    "upload": lambda t: t.get_driver("SessionDriver").put_bytes(b"x", "/tmp/nothing"),
    "download": lambda t: t.get_driver("SessionDriver").get_bytes("/proc/version"),
    "reconnect": lambda t: t.get_driver("SessionDriver").reconnect(1),
    "power on": lambda t: t.get_driver("PowerProtocol").on(),
    "power off": lambda t: t.get_driver("PowerProtocol").off(),
    "power cycle": lambda t: t.get_driver("PowerProtocol").cycle(),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_done_to_a_lost_board(lost: Target, action: str):
    """Commands, files and power: the next action fails with one line."""
    with pytest.raises(InfrastructureError, match=WORDS):
        ACTIONS[action](lost)


def test_a_strategy_drives_no_lost_board(lost: Target):
    """The strategy does not use the power port."""
    strategy: STM32MPStrategy = lost.get_driver("Strategy")
    with pytest.raises(StrategyError) as raised:
        strategy.transition("off")
    assert str(raised.value.__cause__) == WORDS
    assert strategy.power.board is not None


def test_nothing_is_written_to_a_lost_boards_console():
    """Recorder and serial driver refuse to write; the console is still recorded."""
    target, lock = Target("lost"), Lock()
    NetworkSerialPort(target, "uart", "127.0.0.1", 1, protocol="raw")
    serial = SerialDriver(target, "port")
    target.set_binding_map({"port": "port"})
    recorder = ConsoleRecorder(target, "console")  # type: ignore[call-arg]  # labgrid's own two are not seen
    ownership.guard(target, lock)
    lock.lost = True
    actions: list[Any] = [recorder.write, recorder.sendline, recorder.sendcontrol, serial.write]
    for action in actions:
        with pytest.raises(InfrastructureError, match=WORDS):
            action(b"reboot\n")
    assert recorder.since(0) == b""


def test_a_target_without_guard_is_not_checked(stm32mp: STM32MPStrategy):
    """A board without a guard is not checked."""
    stm32mp.transition("shell")
    assert stm32mp.session.execute("echo up").stdout == b"up\n"
