# SPDX-License-Identifier: MIT
"""What a virtual board offers to a lab: a power port, raw consoles, SSH, and nothing once it is down."""

import contextlib
import re
import select
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pexpect
import pytest
from labgrid import Environment
from labgrid.strategy.common import StrategyError

from mpbench.commands import main
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import CHECKOUT
from mpbench_virtual import boards
from mpbench_virtual.cli import is_on, power
from mpbench_virtual.models import KINDS
from mpbench_virtual.paths import run_dir
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import require_qemu

pytestmark = pytest.mark.slow

BOOT_S = 300.0
KERNEL_PA = 0x8400_0000
"""Where QEMU puts Linux. Ref: firmware/machine, stm32mp25_soc.h, STM32MP25_BL33"""


@pytest.fixture
def make_board(tmp_path, monkeypatch):
    """Starts boards, with state of their own, and ends them."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    up = []

    def start(name="board", **arguments):
        up.append(boards.start("mp25", name, quiet, lifeline=True, **arguments))
        return up[-1]

    yield start
    for board in up:
        boards.stop(board)


def read_until(connection, pattern, deadline_s=BOOT_S):
    """Everything that arrives on a connection up to the pattern, which has to come within `deadline_s`."""
    seen, until_s = b"", time.monotonic() + deadline_s
    while not re.search(pattern, seen):
        ready, _, _ = select.select([connection], [], [], max(0.0, until_s - time.monotonic()))
        assert ready, f"{pattern!r} did not come within {deadline_s} s; last came {seen[-200:]!r}"
        data = connection.recv(65536)
        assert data, f"closed after {seen[-200:]!r}"
        seen += data
    return seen


@pytest.fixture
def target(tmp_path, monkeypatch):
    """The target of a board that U-Boot starts, with a board of its own."""
    require_qemu(KINDS["mp15-debian-sd"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    target = Environment(str(CHECKOUT / "targets/virtual-mp15-debian-sd.yaml")).get_target("main")
    board = target.get_resource("VirtualBoard", name="board").board
    yield target
    target.cleanup()
    boards.stop(board)


def test_the_bootloader_is_entered_and_left(target):
    """U-Boot is stopped at its prompt, answers, and boots."""
    strategy = target.get_strategy()
    strategy.transition("bootloader")
    uboot = target.get_driver("UBootDriver")
    assert any("U-Boot 20" in line for line in uboot.run_check("version"))
    session = target.get_driver("SessionDriver", activate=False)
    assert not session.answers(0.2)
    strategy.transition("shell")
    assert session.run_check("echo up") == ["up"]
    strategy.transition("bootloader")  # from a running Linux
    assert not session.answers(0.2)


def test_a_bootloader_that_never_prompts_is_given_up(target):
    """Without the prompt by the deadline an InfrastructureError quotes the console, and doubts no switch."""
    strategy = target.get_strategy()
    strategy.uboot.prompt = "no such prompt"
    strategy.boot_timeout_s = 1.0
    with pytest.raises(StrategyError) as raised:
        strategy.transition("bootloader")
    assert isinstance(raised.value.__cause__, InfrastructureError)
    message = str(raised.value.__cause__)
    assert re.search("no U-Boot prompt 1 s after power on; .*console.* ends with", message)
    assert "switch the board on" not in message  # it printed: it has power


def put(board, value):
    """PUT to the board's power port; the HTTP error that it raises."""
    request = urllib.request.Request(board.power_url.format(index=0), data=value, method="PUT")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as error:
        return error.code, error.read().decode()


def test_power_on_boots_to_a_login_and_power_off_is_silence(make_board):
    """Switched on, both consoles speak; switched off, SSH is closed and the consoles stay connected."""
    board = make_board()
    assert not is_on(board)
    where = board.address
    with (
        socket.create_connection((where, board.ports["console"])) as console,
        socket.create_connection((where, board.ports["secure"])) as secure,
    ):
        power(board, True)
        assert is_on(board)
        read_until(console, rb"virtual-board login: ")
        assert b"OP-TEE version" in read_until(secure, rb"Asynchronous notifications are enabled")
        # Ref: Linux Documentation/arch/arm64/booting.rst, magic number
        assert boards.read_memory(board, KERNEL_PA, 64)[56:60] == b"ARM\x64"
        power(board, False)
        assert not is_on(board)
        with pytest.raises(InfrastructureError, match="its memory cannot be read"):
            boards.read_memory(board, KERNEL_PA, 16)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((where, board.ports["ssh"]))
        power(board, True)
        read_until(console, rb"login: ")


def test_two_boards_do_not_collide(make_board):
    """Two boards at once have addresses of their own, and both boot."""
    pair = [make_board("one"), make_board("two")]
    assert pair[0].address != pair[1].address
    with contextlib.ExitStack() as stack:
        where = [(board.address, board.ports["console"]) for board in pair]
        consoles = [stack.enter_context(socket.create_connection(w)) for w in where]
        for board in pair:
            power(board, True)
        for console in consoles:
            read_until(console, rb"login: ")


def test_a_name_that_is_taken_is_refused(make_board):
    """A second board with this name is a UsageError, which names the command that lists boards."""
    make_board("board")
    with pytest.raises(UsageError, match="'board' is up already; see mpbench virtual status"):
        make_board("board")


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "x" * 41])
def test_an_invalid_name_is_refused(make_board, name):
    """A board's name becomes a directory: what can't be one is refused with the bound."""
    with pytest.raises(UsageError, match="1 to 40 characters"):
        make_board(name)


def test_a_busy_port_is_named(make_board):
    """A port in use is an InfrastructureError with address and port; nothing is left."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(InfrastructureError, match=rf"127.0.0.1.*{port}"):
            make_board("busy", address="127.0.0.1", base_port=port - 1)
    assert list(boards.boards()) == []
    assert not (run_dir() / "busy").exists()


def test_a_busy_ssh_port_is_reported_at_power_on(make_board):
    """QEMU can't listen for SSH: the power port answers 500 with QEMU's own words, and the board is off."""
    board = make_board()
    with socket.socket() as holder:
        holder.bind((board.address, board.ports["ssh"]))
        holder.listen()
        code, text = put(board, b"1")
    assert code == 500
    assert "QEMU did not start" in text
    assert "host forwarding" in text
    assert not is_on(board)


def test_power_is_0_or_1(make_board):
    """Anything else is refused with what would be right, and changes nothing."""
    board = make_board()
    assert put(board, b"on") == (400, "power is 0 or 1, not b'on'")
    assert not is_on(board)


def test_an_unknown_kind_names_those_there_are():
    """A kind of board that does not exist is refused with the list of those that do."""
    with pytest.raises(UsageError, match=r"unknown kind of virtual board 'mp99'; known: mp15"):
        boards.start("mp99", "board", quiet, lifeline=True)


def test_find_names_the_boards_that_are_up(make_board):
    """An unknown name is refused with the names of the boards that are up."""
    make_board("here")
    with pytest.raises(UsageError, match="no virtual board 'there' is up; boards that are up: here"):
        boards.find("there")


def mpbench(*words, check=True):
    """Run the command line; what it printed."""
    command = [str(Path(sys.executable).with_name("mpbench")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_up_status_down_from_the_command_line(tmp_path, monkeypatch):
    """A board started by hand stays until it is taken down, and status shows where it listens."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    mpbench("virtual", "up", "desk", "--off")
    try:
        assert re.search(r"desk: off, process \d+", mpbench("virtual", "status").stdout)
        refused = mpbench("virtual", "console", "desk", check=False)
        assert refused.returncode == 2
        assert "needs a terminal" in refused.stderr
    finally:
        assert mpbench("virtual", "down", "desk").stdout == "desk is down\n"
    status = mpbench("virtual", "status").stdout
    assert status == "no virtual board is up; `mpbench virtual up NAME` starts one\n"
    assert mpbench("virtual", "down", "desk", check=False).returncode == 2


def test_a_board_that_cannot_be_switched_on_is_not_left(tmp_path, monkeypatch):
    """QEMU's words in one line, exit code 3, and no board is up."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        base = holder.getsockname()[1] - 22
        done = mpbench(
            "virtual", "up", "desk", "--address", "127.0.0.1", "--base-port", str(base), check=False
        )
    assert done.returncode == 3
    assert done.stderr.startswith("mpbench: infrastructure: virtual board desk: QEMU did not start: ")
    assert done.stderr.count("\n") == 1
    assert mpbench("virtual", "status").stdout.startswith("no virtual board is up")


def test_a_power_port_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capsys):
    """As that of a board whose process hangs."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    board = boards.StartedBoard("gone", "mp25", 1, "127.0.0.1", {"power": port}, tmp_path)
    monkeypatch.setattr(boards, "boards", lambda: iter([board]))
    assert main.main(["virtual", "status"]) == 3
    assert capsys.readouterr() == (
        "",
        "mpbench: infrastructure: virtual board gone: its power port: Connection refused\n",
    )


def shown(text):
    """Command lines by what they are for, as `up` and `status` print them."""
    return dict(re.findall(r"^  (\w[\w ]{1,9}\w) +(\S.*)$", text, re.MULTILINE))


def pasted(line, cwd):
    """What a shell makes of a line, with the programs of this environment not on its path."""
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, check=False, cwd=cwd, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_commands_that_up_prints_work_when_pasted(tmp_path, monkeypatch):
    """ssh, both consoles, the tests, the switch, and down, from a directory of the user's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "here").mkdir()
    lines = shown(mpbench("virtual", "up", "my desk").stdout)
    try:
        assert list(lines) == [
            *("raw TCP", "power port", "console", "secure", "ssh", "power off", "tests", "down")
        ]
        assert shown(mpbench("virtual", "status").stdout) == lines
        for uart in ("console", "secure"):
            with pexpect.spawn("sh", ["-c", lines[uart]], timeout=BOOT_S, cwd=tmp_path) as terminal:
                terminal.expect_exact(f"{uart} of my desk; Ctrl-] ends it\r\n")
                if uart == "console" and terminal.expect(["login: ", pexpect.TIMEOUT], timeout=60) != 0:
                    terminal.send(b"\r")  # Linux had come up before this console was there
                    terminal.expect("login: ")
                terminal.send(b"\x1d")
                terminal.expect(pexpect.EOF)
        assert pasted(f"{lines['ssh']} uname -n", tmp_path / "here") == "virtual-board\n"
        tests = pasted(f"{lines['tests']} -k test_identity_is_recorded", tmp_path / "here")
        assert "verdict PASS: 1 PASS" in tests
        assert re.search(r"report: \S*/here/reports/runs/\d{8}T\d{6}Z-my_desk/index.html", tests)
        pasted(lines["power off"], tmp_path)
        after = mpbench("virtual", "status").stdout
        assert after.startswith("my desk: off, process ")
        pasted(shown(after)["power on"], tmp_path)
        assert mpbench("virtual", "status").stdout.startswith("my desk: on, process ")
    finally:
        assert pasted(lines["down"], tmp_path) == "my desk is down\n"
