# SPDX-License-Identifier: MIT
"""A session over a serial console: a real shell on a terminal, a real SSH server, damaged bytes."""

import contextlib
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid.driver import ShellDriver
from labgrid.resource import NetworkService

from mpbench.board.session import console_session
from mpbench.board.session.console_session import PRINTK, ConsoleSessionDriver
from mpbench.core.errors import InfrastructureError
from testcases.contract import servers
from testcases.faults import proxy
from testcases.faults.conftest import BUSY_S
from testcases.faults.test_console_faults import SHELL, Board, console_of

pytestmark = pytest.mark.slow  # real deadlines pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    """The board's SSH server."""
    with servers.openssh(tmp_path) as found:
        yield found


@contextlib.contextmanager
def session_on(board: Board, server: servers.Server) -> Iterator[ConsoleSessionDriver]:
    """A session over the board's console, connected."""
    with console_of(board) as recorder:
        target = recorder.target
        ShellDriver(target, "shell", prompt="board# ", login_prompt=" login: ", username="root")
        NetworkService(target, "ssh", "board", server.username, port=server.port)
        files = {"keyfile": str(server.keyfile), "known_hosts": str(pins_of(server))}
        driver = ConsoleSessionDriver(target, "session", ssh_port=server.port, **files)
        target.activate(driver)
        yield driver


def pins_of(server: servers.Server) -> Path:
    """known_hosts with the server's key under the board's name."""
    pins = server.root / "board_hosts"
    pins.write_text(server.known_hosts.read_text().replace("127.0.0.1", "board"))
    return pins


def test_a_console_carries_a_session(server: servers.Server, chance: random.Random):
    """Commands, files and a command beside others go over it; the console records none of their bytes."""
    data, path = chance.randbytes(300_000), str(server.root / "file")
    with session_on(Board(SHELL), server) as session:
        console = session.shell.console
        start = console.mark()
        assert session.execute("printf '\\0\\377%s' x; echo y >&2; exit 3").stdout == b"\0\xffx"
        session.put_bytes(data, path)
        assert session.get_bytes(path) == data
        beside = session.spawn("echo started; cat")
        assert beside.read(BUSY_S) == b"started\n"
        assert session.execute("echo z").stdout == b"z\n"
        beside.close()
        assert console.mark() == start
        assert "over console console" in str(session.address())


def test_the_console_is_a_console_again(server: servers.Server):
    """After the session its shell runs commands, and a session can be connected again."""
    with session_on(Board(SHELL), server) as session:
        before = session.boot_id
        assert session.reconnect(BUSY_S, same_boot=True) is False
        assert session.boot_id == before
        session.target.deactivate(session)
        session.shell.console.settle(0.3, timeout=BUSY_S)
        assert session.shell.run("echo here") == (["here"], [], 0)


def test_the_kernel_is_silent_while_the_session_is_connected(
    server: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """On the kernel's own console its level is lowered, whoever logged in, and is afterwards as it was."""
    level, programs = tmp_path / "printk", tmp_path / "bin"
    level.write_text("7 4 1 7\n")
    programs.mkdir()
    for name, line in {"tty": "echo /dev/ttySTM0", "dmesg": f"echo $2 4 1 7 >{level}"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(console_session, "CONNECT", console_session.CONNECT.replace(PRINTK, str(level)))
    with session_on(Board(SHELL), server) as session:
        assert level.read_text() == "1 4 1 7\n"
        session.target.deactivate(session)
        session.shell.console.settle(0.3, timeout=BUSY_S)
        assert session.shell.run("echo here") == (["here"], [], 0)
        assert level.read_text() == "7 4 1 7\n"


def test_a_line_of_the_kernel_ends_the_session_only(server: servers.Server):
    """Foreign bytes are no reply: the session is lost, the rest is recorded, one call connects again."""
    board = Board(SHELL)
    with session_on(board, server) as session:
        board.say(b"\r\n[   12.345678] Unhandled fault: external abort\r\n" * 30)
        with pytest.raises(InfrastructureError):
            session.execute("echo a")
        start, until_s = session.shell.console.mark(), time.monotonic() + BUSY_S
        while not session.shell.console.wait_for(re.compile(b"Kernel panic"), start, 0.1):
            assert time.monotonic() < until_s
            board.say(b"Kernel panic\r\n")
        session.reconnect(BUSY_S, same_boot=True)
        assert session.execute("echo b").stdout == b"b\n"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_changed_bit_is_no_result(server: servers.Server, chance: random.Random, direction: str):
    """A file comes back as it was sent, or the session is lost."""
    board = Board(SHELL)
    setattr(board, direction, proxy.flip_bits(chance, 20_000, chance.choice([20_000, 100_000])))
    path = str(server.root / "file")
    with contextlib.suppress(InfrastructureError), session_on(board, server) as session:
        for _ in range(10):
            data = chance.randbytes(10_000)
            session.put_bytes(data, path)
            assert session.get_bytes(path) == data
