# SPDX-License-Identifier: MIT
"""STM32MPStrategy on a real SSH server and an artificial power port."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attr
import pytest
from labgrid import Target
from labgrid.driver import Driver
from labgrid.protocol import PowerProtocol
from labgrid.resource import NetworkPowerPort
from labgrid.strategy import StrategyError

from mpbench.board import power, strategy
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.link import Unanswered
from mpbench.board.session.shell import CommandHangs, FramedShell
from mpbench.board.strategy import Status, STM32MPStrategy
from mpbench.core.errors import InfrastructureError
from testcases.contract import servers
from testcases.contract.conftest import Serve, session_on


@attr.s(eq=False)
class ServerPower(Driver, PowerProtocol):
    """A power port whose board is an SSH server on loopback."""

    root: Path = attr.ib()
    port: int = attr.ib()
    works: bool = attr.ib(default=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.board: Any = None

    def on(self) -> None:
        if self.board is None:
            self.board = servers.openssh(self.root, port=self.port)
            self.server = self.board.__enter__()

    def off(self) -> None:
        if self.works and self.board is not None:
            servers.stop(self.server.process)
            self.board = None

    def cycle(self) -> None:
        self.off()
        self.on()


@pytest.fixture
def stm32mp(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[STM32MPStrategy]:
    """A strategy whose board has a new boot_id after each boot, and an uptime of 0."""
    (tmp_path / "uptime").write_text("0.00 0.00\n")
    monkeypatch.setattr(strategy, "UPTIME", str(tmp_path / "uptime"))
    server = serve("openssh")
    servers.stop(server.process)
    target: Target = session_on(server).target
    power = ServerPower(target, "power", root=tmp_path, port=server.port)  # type: ignore[misc, arg-type]  # labgrid's own two are not seen
    made = STM32MPStrategy(target, "strategy", boot_timeout_s=60, off_timeout_s=0.3)  # type: ignore[misc]  # labgrid's own two are not seen
    boots = iter(range(100))
    hello = FramedShell.hello
    monkeypatch.setattr(FramedShell, "hello", lambda shell, t: hello(shell, t) and f"boot {next(boots)}")
    yield made
    power.works = True
    power.off()
    target.cleanup()


def test_off_and_shell(stm32mp: STM32MPStrategy):
    """The board is switched on, off and on again; each boot has another boot_id."""
    session: SessionDriver = stm32mp.session
    stm32mp.transition("shell")
    assert stm32mp.status is Status.shell
    first = session.boot_id
    assert session.execute("echo up").stdout == b"up\n"
    stm32mp.transition("shell")
    assert session.boot_id == first
    stm32mp.transition(Status.off)
    assert not session.answers(0.1)
    stm32mp.transition("shell")
    assert session.boot_id != first


def test_a_power_port_that_misreports_is_detected(stm32mp: STM32MPStrategy):
    """If SSH answers after power off, the strategy is broken and keeps the first cause."""
    stm32mp.transition("shell")
    stm32mp.power.works = False
    for _ in range(2):
        with pytest.raises(StrategyError) as raised:
            stm32mp.transition("off")
        assert "SSH still answers" in str(raised.value.__cause__)


def test_the_same_boot_after_a_power_cycle_is_detected(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch
):
    """A power cycle must change boot_id."""
    monkeypatch.setattr(FramedShell, "hello", lambda _shell, _timeout: "always the same")
    stm32mp.transition("shell")
    stm32mp.transition("off")
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert "boot_id is always the same as before" in str(raised.value.__cause__)


def test_an_uptime_longer_than_the_power_on_time_is_detected(stm32mp: STM32MPStrategy, tmp_path: Path):
    """An uptime longer than the time since power on means that the board was not switched off."""
    (tmp_path / "uptime").write_text("4711.05 9000.00\n")
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert re.match(
        r"Linux has been running for 4711\.05 s, \d+\.\d\d s after power on: "
        r"power switch \(ServerPower\) did not switch the board off$",
        str(raised.value.__cause__),
    )


def test_an_unreadable_uptime_is_an_error(stm32mp: STM32MPStrategy, tmp_path: Path):
    """An unreadable uptime is an error: a power cycle cannot be verified without it."""
    (tmp_path / "uptime").unlink()
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert re.search("cannot read .*uptime: ENOENT$", str(raised.value.__cause__))


@pytest.mark.parametrize(
    ("error", "words"),
    [(AssertionError("index 9"), "index 9"), (OSError(), "OSError"), (ConnectionError("a\nb"), "a b")],
)
def test_whatever_a_power_port_raises_is_its_fault(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
):
    """Every exception of labgrid's backends is a one-line InfrastructureError that names the switch."""

    def fail(_power: ServerPower) -> None:
        raise error

    monkeypatch.setattr(ServerPower, "off", fail)
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("off")
    assert isinstance(raised.value.__cause__, InfrastructureError)
    assert str(raised.value.__cause__) == f"power switch (ServerPower): power command `off` failed: {words}"
    monkeypatch.undo()


def test_a_switch_is_named_by_its_address_without_the_password():
    """A power switch is named by class, address and index, without the user part of its URL."""
    port = NetworkPowerPort(Target("t"), "p", "rest", "http://user:secret@relay:8080/r/{index}", index="3")
    named = power.name_of(type("NetworkPowerDriver", (), {"port": port})())
    assert named == "power switch (NetworkPowerDriver, http://***@relay:8080/r/{index}, index 3)"
    port.host = "relay.lab"
    assert "relay.lab, index 3" in power.name_of(type("Any", (), {"port": port})())


def test_an_error_of_a_switch_shows_no_password():
    """labgrid's errors may contain the switch's URL or password: both are hidden, in the traceback too."""

    class Switch:
        target, port = Target("t"), NetworkPowerPort(Target("t"), "p", "rest", "http://u:c4n4ry@relay/r", "0")

        def off(self) -> None:
            raise ConnectionError(f"GET {self.port.host}: login 'c4n4ry' refused")

    with pytest.raises(InfrastructureError) as raised:
        power.switch(Switch(), "off", 5)
    switch = "power switch (Switch, http://***@relay/r, index 0)"
    refused = "GET http://***@relay/r: login '***' refused"
    assert str(raised.value) == f"{switch}: power command `off` failed: {refused}"
    assert raised.value.__suppress_context__


def test_a_board_that_never_answers_is_given_up(stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch):
    """Without SSH after boot_timeout_s the strategy fails with an InfrastructureError as cause."""
    monkeypatch.setattr(ServerPower, "on", lambda _power: None)
    stm32mp.boot_timeout_s = 2.0
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert isinstance(raised.value.__cause__, InfrastructureError)
    assert "no SSH server answers 2 s after power on" in str(raised.value.__cause__)


def test_a_server_that_is_slow_to_greet_is_met(stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch):
    """Each try has a tenth of the wait so far, to the deadline: greetings take seconds on a busy host."""
    now_s, greets_after_s = 0.0, 4.0

    def answers(_session: SessionDriver, timeout_s: float) -> bool:
        nonlocal now_s
        now_s += min(timeout_s, greets_after_s)
        return timeout_s >= greets_after_s

    monkeypatch.setattr(strategy, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(SessionDriver, "answers", answers)
    stm32mp.boot_timeout_s = 120.0
    stm32mp.transition("shell")
    assert 40.0 < now_s < 60.0
    stm32mp.transition("off")
    now_s, greets_after_s = 0.0, 1000.0
    with pytest.raises(StrategyError):
        stm32mp.transition("shell")
    assert 120.0 < now_s < 120.5


@pytest.mark.parametrize("fault", [Unanswered, CommandHangs])
def test_a_board_that_is_busy_with_booting_is_tried_again(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch, fault: type[InfrastructureError]
):
    """If the server greets and then stalls, the login is repeated until boot_timeout_s."""
    hello, greets, stalls, now_s = FramedShell.hello, SessionDriver.answers, iter([True, True, False]), 0.0

    def stalling(shell: FramedShell, timeout_s: float) -> str:
        nonlocal now_s
        if next(stalls, True):
            now_s += 15.0
            raise fault("busy")
        return hello(shell, timeout_s)

    monkeypatch.setattr(strategy, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(SessionDriver, "answers", lambda session, _timeout_s: greets(session, 30.0))
    monkeypatch.setattr(FramedShell, "hello", stalling)
    stm32mp.transition("shell")
    assert stm32mp.session.boot_id == "boot 0"
    stm32mp.transition("off")
    now_s = 0.0
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert "busy" in str(raised.value.__cause__)
    assert now_s > 60.0


@pytest.mark.parametrize("status", ["unknown", "bootloader"])
def test_unreachable_states_are_refused(stm32mp: STM32MPStrategy, status: str):
    """`unknown` cannot be reached, nor the boot loader without a UBootDriver."""
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition(status)
    assert "cannot" in str(raised.value.__cause__)


def test_force_assumes_the_state_and_connects(stm32mp: STM32MPStrategy):
    """--lg-initial-state shell connects to a board that is up already; off touches nothing."""
    stm32mp.force("off")
    assert stm32mp.status is Status.off
    stm32mp.power.on()
    stm32mp.force("shell")
    assert stm32mp.session.execute("echo up").stdout == b"up\n"
    with pytest.raises(StrategyError):
        stm32mp.force("unknown")


def test_force_needs_no_new_boot(stm32mp: STM32MPStrategy):
    """force() does not check for a new boot, even if this strategy switched the board on before."""
    stm32mp.transition("shell")
    before = stm32mp.session.boot_id
    stm32mp.force("shell")
    assert (stm32mp.status, stm32mp.session.boot_id) == (Status.shell, before)
