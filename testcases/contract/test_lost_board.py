# SPDX-License-Identifier: MIT
"""A board that is not this run's any more: nothing is done to it, whoever asks for it."""

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
from testcases.contract.test_drivers import stm32mp

__all__ = ["stm32mp"]

WORDS = "the lock of place p is lost"


class Lock:
    """Of a place that somebody else may release."""

    def __init__(self) -> None:
        self.lost = False

    def __call__(self) -> None:
        if self.lost:
            raise InfrastructureError(WORDS)


@pytest.fixture
def lost(stm32mp: STM32MPStrategy) -> Iterator[Target]:
    """A board that is up, with a session that stands, and was released by somebody else a moment ago."""
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
    """Commands, files, power: the very next action is refused in one line."""
    with pytest.raises(InfrastructureError, match=WORDS):
        ACTIONS[action](lost)


def test_a_strategy_drives_no_lost_board(lost: Target):
    """Neither off nor on: the power port is not asked."""
    strategy: STM32MPStrategy = lost.get_driver("Strategy")
    with pytest.raises(StrategyError) as raised:
        strategy.transition("off")
    assert str(raised.value.__cause__) == WORDS
    assert strategy.power.board is not None


def test_nothing_is_written_to_a_lost_boards_console():
    """The recorder refuses, and so does the serial driver below it; what the board says is still read."""
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


def test_a_target_that_nobody_guards_is_as_it_was(stm32mp: STM32MPStrategy):
    """A board on the desk has no lock, and asks nobody."""
    stm32mp.transition("shell")
    assert stm32mp.session.execute("echo up").stdout == b"up\n"
