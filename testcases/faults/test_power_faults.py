# SPDX-License-Identifier: MIT
"""Fault 26: a power switch that fails, is late, or reports a success that is none.

The result is an InfrastructureError that names the switch, in bounded time, or a board that was really
switched off and on; never a verdict, and no test runs on a board whose power state is unknown.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from labgrid import Environment
from labgrid.strategy import StrategyError

from mpbench.board.console import ConsoleRecorder
from mpbench.core.errors import InfrastructureError
from mpbench.core.shared_files import CHECKOUT
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.steps import quiet
from testcases.contract.servers import children

pytestmark = pytest.mark.slow

WAIT_S = 180.0
PATIENT_S = 120.0
SLACK_S = 30.0
"""Delay on a busy host between a deadline and the thread that waited for it, one SSH attempt included."""


class Relay(BaseHTTPRequestHandler):
    """HTTP server in the form of the board's own power port; the switch decides how it answers."""

    switch: "Switch"

    def do_PUT(self) -> None:
        """A power command."""
        wanted = self.rfile.read(int(self.headers["Content-Length"]))
        self.switch.next_answer()(self, wanted)

    def ok(self) -> None:
        """The answer of a working switch."""
        self.answer(200)

    def answer(self, code: int) -> None:
        """An answer without a body."""
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """No log."""


Answer = Callable[[Relay, bytes], None]


@define
class Switch:
    """A relay in front of the board's power port. answers: to the next commands, in order; then it works."""

    board: boards.StartedBoard
    answers: list[Answer] = field(factory=list)
    server: ThreadingHTTPServer = field(init=False)
    ended: threading.Event = field(factory=threading.Event)
    late: list[threading.Timer] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Relay,), {"switch": self}))
        self.server.daemon_threads = False  # close() waits for commands that are being executed

    @property
    def name(self) -> str:
        """Its name in error messages."""
        return f"127.0.0.1:{self.server.server_address[1]}"

    def next_answer(self) -> Answer:
        """Handler of the next command."""
        return self.answers.pop(0) if self.answers else obey

    def do(self, wanted: bytes) -> None:
        """Switch the board."""
        power(self.board, wanted == b"1")

    def stop_listening(self) -> None:
        """Close the listening socket."""
        self.server.shutdown()
        self.server.server_close()

    def close(self) -> None:
        """End all connections and late actions."""
        self.ended.set()
        self.stop_listening()
        for timer in self.late:
            timer.join()


def obey(relay: Relay, wanted: bytes) -> None:
    """Execute the command and answer."""
    relay.switch.do(wanted)
    relay.ok()


def lie(relay: Relay, _wanted: bytes) -> None:
    """Answer, but do not execute."""
    relay.ok()


def late(by_s: float) -> Answer:
    """Answer, and execute `by_s` seconds later."""

    def answer(relay: Relay, wanted: bytes) -> None:
        timer = threading.Timer(by_s, relay.switch.do, [wanted])
        relay.switch.late.append(timer)
        timer.start()
        relay.ok()

    return answer


def error(relay: Relay, _wanted: bytes) -> None:
    """Answer HTTP 500."""
    relay.answer(500)


def drop(relay: Relay, _wanted: bytes) -> None:
    """Reset the connection."""
    relay.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    relay.connection.close()
    relay.close_connection = True


def cut(relay: Relay, _wanted: bytes) -> None:
    """Send a truncated answer."""
    relay.wfile.write(b"HTTP/1.1 2")


def babble(relay: Relay, _wanted: bytes) -> None:
    """Send an answer that is not HTTP."""
    relay.wfile.write(b"\x1b[2J\xff\0<b>relay</b>\r\n\r\n")


def mute(relay: Relay, _wanted: bytes) -> None:
    """Never answer."""
    relay.switch.ended.wait()


FAILURES = (error, drop, cut, babble)


def in_spite_of(failure: Answer, chance: random.Random) -> Answer:
    """A failure that executes its command, or does not."""
    acts = chance.random() < 0.5

    def answer(relay: Relay, wanted: bytes) -> None:
        if acts:
            relay.switch.do(wanted)
        failure(relay, wanted)

    return answer


# --- the board -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def board() -> Iterator[boards.StartedBoard]:
    """A virtual board for all tests here, powered through each test's own switch."""
    found = boards.start("mp25", "switched", quiet, lifeline=True)
    power(found, True)
    yield found
    boards.stop(found)


@pytest.fixture
def switch(board: boards.StartedBoard) -> Iterator[Switch]:
    """A working switch; the board is off before and afterwards."""
    power(board, False)
    made = Switch(board)
    thread = threading.Thread(target=made.server.serve_forever, name="switch", daemon=True)
    thread.start()
    yield made
    made.close()
    thread.join()
    power(board, False)


@pytest.fixture
def target_file(switch: Switch, tmp_path: Path) -> Path:
    """targets/virtual-mp25.yaml with this board and the switch."""
    text = (CHECKOUT / "targets/virtual-mp25.yaml").read_text()
    relay = f"http://{switch.name}/power/{{index}}"
    resource = f"      - NetworkPowerPort: {{name: relay, model: rest, host: '{relay}', index: '0'}}\n"
    for old, new in (
        ("          kind: mp25\n", f"          board_name: switched\n{resource}"),
        ("bindings: {port: power}", "bindings: {port: relay}"),
        ("STM32MPStrategy: {}", "STM32MPStrategy: {off_timeout_s: 10}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "switched.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def stm32mp(target_file: Path) -> Iterator[Any]:
    """The board's strategy, in status unknown."""
    target = Environment(str(target_file)).get_target("main")
    yield target.get_strategy()
    target.cleanup()
    for driver in target.drivers:
        if isinstance(driver, ConsoleRecorder):
            driver.discard()


def lab_fault(stm32mp: Any, deadline_s: float, *way: str) -> str:
    """Text of the InfrastructureError that ends these transitions: one line, in time, raised again later."""
    start = time.monotonic()
    faults = []
    for _ in range(2):
        with pytest.raises(StrategyError) as raised:
            go(stm32mp, *way)
        faults.append(raised.value.__cause__)
    assert time.monotonic() - start < deadline_s * 1.1 + SLACK_S
    assert isinstance(faults[0], InfrastructureError)
    assert faults[0] is faults[1]
    assert "\n" not in str(faults[0])
    return str(faults[0])


def go(stm32mp: Any, *way: str) -> None:
    """Transition to these states in order."""
    for status in way:
        stm32mp.transition(status)


def is_on(board: boards.StartedBoard) -> bool:
    """Whether the board's own power port reports on."""
    with urllib.request.urlopen(board.power_url.format(index=0), timeout=WAIT_S) as answer:
        return bool(answer.read() == b"1")


# --- states that a board may be in when it is switched -------------------------------------------------


def in_shell(strategy: Any) -> None:
    """Booted, with a session."""
    strategy.transition("shell")


def used_by_others(strategy: Any) -> None:
    """On, since a time that this run does not know: still booting."""
    strategy.target.activate(strategy.power)
    strategy.power.on()


def hung(strategy: Any) -> None:
    """Linux was up and hangs: no SSH, and silent consoles."""
    strategy.transition("shell")
    board = strategy.target.get_resource("VirtualBoard", name="board").board
    (qemu,) = children(board.pid)
    os.kill(qemu, signal.SIGSTOP)


STATES = (in_shell, used_by_others, hung)


# --- the switch fails ----------------------------------------------------------------------------------


def test_26_a_switch_that_fails(stm32mp: Any, switch: Switch, chance: random.Random) -> None:
    """A command that is refused, truncated or not answered is an InfrastructureError of the switch."""
    chance.choice([in_shell, used_by_others])(stm32mp)
    failure, word = chance.choice([*FAILURES, mute, None]), chance.choice(["off", "on"])
    go(stm32mp, *(["off"] if word == "on" else []))
    if failure is None:
        switch.stop_listening()
    else:
        switch.answers = [in_spite_of(failure, chance)]
    stm32mp.power_timeout_s = chance.uniform(0.3, 1.0) if failure is mute else WAIT_S
    deadline_s = stm32mp.power_timeout_s if failure is mute else 2.0
    message = lab_fault(stm32mp, deadline_s, "shell" if word == "on" else "off")
    assert switch.name in message
    assert f"`{word}`" in message
    assert (stm32mp.status.name == "off") == (word == "on")


# --- the switch is late --------------------------------------------------------------------------------


def test_26_a_switch_that_comes_late(stm32mp: Any, switch: Switch, chance: random.Random) -> None:
    """A late switch is detected: either the board has booted since, or the error names the switch."""
    in_state = chance.choice(STATES)
    in_state(stm32mp)
    before = getattr(stm32mp.session, "boot_id", None)
    switch.answers = [late(chance.uniform(0.1, 3.0)), chance.choice([obey, late(chance.uniform(0.1, 2.0))])]
    # A late `off` may switch off the board after its `on`: then it does not boot.
    doubtful = in_state in (hung, used_by_others)
    stm32mp.off_timeout_s = stm32mp.boot_timeout_s = 4.0 if doubtful else PATIENT_S
    start = time.monotonic()
    try:
        go(stm32mp, "off", "shell")
    except StrategyError:
        assert doubtful
        assert names(lab_fault(stm32mp, 1, "shell"), switch)
        return
    assert stm32mp.session.boot_id != before
    assert age_s(stm32mp) < time.monotonic() - start
    assert is_on(switch.board)


def names(message: str, switch: Switch) -> bool:
    """Whether it names the switch, or shows what a console printed after power on.

    On a busy host a board is on its way when the time is over, or what it printed before arrives late.
    """
    return switch.name in message or "; console ends with" in message or "; secure ends with" in message


def age_s(stm32mp: Any) -> float:
    """Uptime of Linux in seconds."""
    return float(stm32mp.session.read("/proc/uptime").split()[0])


# --- the switch lies -----------------------------------------------------------------------------------


def test_26_off_that_is_none(stm32mp: Any, switch: Switch, chance: random.Random) -> None:
    """A board that stays on although `off` was answered is detected, in every state.

    Except one that was switched on just before: its boot firmware is silent, and Linux may start after `on`.
    """
    in_state = chance.choice(STATES)
    in_state(stm32mp)
    switch.answers = [lie]
    stm32mp.off_timeout_s, stm32mp.boot_timeout_s = chance.uniform(0.5, 1.0), chance.uniform(2.0, 4.0)
    start = time.monotonic()
    if in_state is used_by_others:
        with contextlib.suppress(StrategyError):
            go(stm32mp, "off", "shell")
            assert age_s(stm32mp) < time.monotonic() - start
            return
    assert names(lab_fault(stm32mp, 8, "off", "shell"), switch)
    assert is_on(switch.board)


def test_26_on_that_is_none(stm32mp: Any, switch: Switch, chance: random.Random) -> None:
    """A board that stays off although `on` was answered is reported after the boot deadline."""
    go(stm32mp, *chance.choice([["off"], ["shell", "off"]]))
    switch.answers = [lie]
    stm32mp.boot_timeout_s = chance.uniform(0.3, 1.5)
    message = lab_fault(stm32mp, stm32mp.boot_timeout_s + 2, "shell")
    assert switch.name in message
    assert "all consoles were silent" in message
    assert not is_on(switch.board)


# --- what becomes of the tests -------------------------------------------------------------------------

TESTS = """
def test_before(bench): assert bench.read("/proc/version")
def test_cycle(bench): bench.power_cycle()
def test_after(bench): assert bench.read("/proc/version")
"""


def test_26_no_test_is_run_on_a_board_of_unknown_power(
    switch: Switch, target_file: Path, tmp_path: Path, chance: random.Random
) -> None:
    """The test that needed the switch is INFRA with its name; the later ones are BLOCKED by it, not run."""
    number = chance.randrange(4)  # off and on at the start of the run, off and on in the second test
    failure = chance.choice([*FAILURES, lie] if number % 2 == 0 else FAILURES)
    if failure is lie and number == 0:
        power(switch.board, True)
        until(lambda: answers_ssh(switch.board), "SSH of the board that was left on")
    switch.answers = [obey] * number + [failure]
    ends = verdicts_of(target_file, tmp_path)
    wanted = ["INFRA", "BLOCKED", "BLOCKED"] if number < 2 else ["PASS", "INFRA", "BLOCKED"]
    assert [end["verdict"] for end in ends] == wanted
    assert all(switch.name in end["reason"] for end in ends if end["verdict"] != "PASS")
    assert all(end["run"] for end in ends)
    assert all(end["board"] and end["boot"] for end in ends if number >= 2)


def verdicts_of(target_file: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """The test-end lines of TESTS in the record of a run on the target."""
    (tmp_path / "test_power.py").write_text(TESTS)
    reports = tmp_path / "reports"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--lg-env={target_file}"]
    done = subprocess.run(
        [*command, f"--bench-reports={reports}", f"--rootdir={tmp_path}", str(tmp_path / "test_power.py")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENT_S,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    (log,) = reports.glob("*/record.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["kind"] == "test-end"]


def answers_ssh(board: boards.StartedBoard) -> bool:
    """Whether the board's SSH server sends its greeting."""
    with contextlib.suppress(OSError), socket.create_connection((board.address, board.ports["ssh"]), 2) as s:
        return s.recv(4) == b"SSH-"
    return False


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {WAIT_S:g} s"
        time.sleep(0.05)
