# SPDX-License-Identifier: MIT
"""Faults of a serial line: a real shell on a terminal, damaged bytes; numbers as in the fault matrix."""

import contextlib
import os
import pty
import random
import re
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from attrs import define, field
from labgrid import Target
from labgrid.driver import SerialDriver, ShellDriver
from labgrid.resource import NetworkSerialPort

from mpbench.board.console import ConsoleRecorder
from mpbench.board.session.serial_shell import SerialShellDriver
from mpbench.core.errors import InfrastructureError
from testcases.faults import proxy
from testcases.faults.conftest import BUSY_S


@define
class Board:
    """A program on a terminal that is a raw TCP console; both directions may be damaged."""

    program: list[str]
    up: proxy.Harm = proxy.unharmed
    down: proxy.Harm = proxy.unharmed
    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    peer: socket.socket | None = None
    terminal: int = -1
    process: subprocess.Popen[bytes] | None = None
    _sending: threading.Lock = field(factory=threading.Lock)
    _ended: threading.Event = field(factory=threading.Event)
    _sent: int = 0

    def power_on(self) -> None:
        """Start the program when a client has connected to the console."""
        self.listener.settimeout(60)
        self.peer, _ = self.listener.accept()
        self.terminal, end = pty.openpty()
        environment = {"PS1": "board# ", "PATH": os.environ["PATH"], "LC_ALL": "C"}
        self.process = subprocess.Popen(self.program, stdin=end, stdout=end, stderr=end, env=environment)
        os.close(end)
        threading.Thread(target=self._forward, name="board", daemon=True).start()

    def say(self, data: bytes) -> None:
        """Send bytes between the program's, as the kernel's log does."""
        assert self.peer is not None
        with self._sending, contextlib.suppress(OSError):
            self.peer.sendall(data)

    def _forward(self) -> None:
        assert self.peer is not None
        received = 0
        with contextlib.suppress(OSError):
            sources: list[Any] = [self.peer, self.terminal]
            while not self._ended.is_set():
                ready, _, _ = select.select(sources, [], [], 0.05)
                if self.terminal in ready:
                    data = os.read(self.terminal, 4096)
                    self.say(self.down(data, self._sent))
                    self._sent += len(data)
                if self.peer in ready:
                    data = self.peer.recv(4096)
                    os.write(self.terminal, self.up(data, received))
                    received += len(data)

    def power_off(self) -> None:
        """End the program and its connections."""
        self._ended.set()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            os.close(self.terminal)
        self.listener.close()
        if self.peer is not None:
            self.peer.close()


@contextlib.contextmanager
def console_of(board: Board) -> Iterator[ConsoleRecorder]:
    """A recorder on the board's console; the board is on."""
    target = Target("faulty")
    NetworkSerialPort(target, "uart", "127.0.0.1", port=board.listener.getsockname()[1], protocol="raw")
    SerialDriver(target, "port")
    target.set_binding_map({"port": "port"})
    recorder = ConsoleRecorder(target, "console")  # type: ignore[call-arg]  # labgrid's own two are not seen
    try:
        target.activate(recorder)
        board.power_on()
        yield recorder
    finally:
        target.cleanup()
        recorder.discard()
        board.power_off()


@contextlib.contextmanager
def shell_on(board: Board, **attributes: Any) -> Iterator[SerialShellDriver]:
    """Checked frames over the board's console."""
    with console_of(board) as recorder:
        driver = SerialShellDriver(recorder.target, "shell", **attributes)  # type: ignore[arg-type]  # labgrid's own two are not seen
        recorder.target.activate(driver)
        yield driver


pytestmark = pytest.mark.slow  # real deadlines pass

SHELL = ["setsid", "-c", "sh", "-i"]


def test_a_healthy_line_works(chance: random.Random):
    """Without faults every command is answered at the first try, unchanged."""
    with shell_on(Board(SHELL), try_timeout_s=BUSY_S) as shell:
        number = chance.randrange(1000)
        assert shell.execute(f"printf '\\0\\377%s' {number}; exit 3", once=True).code == 3
        assert shell.execute(f"printf '\\0\\377%s' {number}").stdout == b"\0\xff%d" % number
        assert shell.run(f"echo {number}; echo b") == ([str(number), "b"], [], 0)
        assert shell.run_check("echo 'a  b'") == ["a  b"]
        with pytest.raises(InfrastructureError, match="at most 4000 bytes"):
            shell.execute("echo " + "x" * 5000)


@pytest.mark.parametrize("harm", [proxy.flip_bits, proxy.lose_and_double])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_1_garbled_bytes_are_resent_or_told(chance: random.Random, harm, direction: str):
    """With damage in either direction the answer is right, or an InfrastructureError."""
    board = Board(SHELL, **{direction: harm(chance, 200, chance.choice([300, 1500]))})
    with shell_on(board, try_timeout_s=0.4, tries=3) as shell:
        for number in range(6):
            with contextlib.suppress(InfrastructureError):
                assert shell.execute(f"echo $(({number} + 1000)); exit 4").stdout == b"%d\n" % (number + 1000)


def test_2_a_kernel_log_flood_inside_replies(chance: random.Random):
    """Kernel lines inside replies damage some; the commands are sent again until one arrives undamaged."""
    board = Board(SHELL)
    stop = threading.Event()

    def flood() -> None:
        while not stop.wait(chance.uniform(0.0, 0.02)):
            board.say(b"[   12.345678] remoteproc remoteproc0: crash detected in m33: type watchdog\r\n")

    with shell_on(board, try_timeout_s=0.5, tries=4) as shell:
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            for number in range(3):
                with contextlib.suppress(InfrastructureError):
                    assert shell.execute(f"echo {number}").stdout == b"%d\n" % number
        finally:
            stop.set()
            thread.join()
        assert shell.execute("echo quiet").stdout == b"quiet\n"
        assert shell.console.since(0).count(b"crash detected") > 0


def test_3_bytes_of_any_kind_and_no_line_end_are_kept(chance: random.Random):
    """Invalid UTF-8, NUL and a line of 1 MB are recorded unchanged, and expect() stays bounded."""
    data = chance.randbytes(1 << 20).replace(b"\n", b"")
    board = Board(["sleep", "60"])
    with console_of(board) as recorder:
        sender = threading.Thread(target=board.say, args=(data + b"end of it",))
        sender.start()
        index, _, _, _ = recorder.expect([pexpect.TIMEOUT, "end of it"], timeout=60)
        sender.join()
        assert index == 1
        assert recorder.since(0) == data + b"end of it"


def test_2_a_flood_of_ten_mebibytes_takes_linear_time(chance: random.Random):
    """Searching ten times the output takes about ten times as long, not a hundred times."""
    board = Board(["sleep", "60"])
    looked = []
    with console_of(board) as recorder:
        search = recorder._log.since

        def count(mark: int, until: int | None = None) -> bytes:
            data = search(mark, until)
            looked.append(len(data))
            return data

        recorder._log.since = count  # type: ignore[method-assign]
        size = chance.choice([5, 10]) << 20
        sender = threading.Thread(target=board.say, args=(b"x" * size + b"prompt# ",))
        sender.start()
        begin = time.monotonic()
        recorder.expect("prompt# ", timeout=60)
        sender.join()
        assert time.monotonic() - begin < 60 + BUSY_S
        assert recorder.mark() == size + len(b"prompt# ")


GETTY = """
stty -echo
printf 'noise\\n%s' "$(printf 'board login: ')"
{pause}
{respawn}
read -r name
printf 'Password: '
read -r word
[ "$name$word" = rootsecret ] || exit 1
stty echo
exec env PS1='root@board:~# ' PATH="{tools}:$PATH" sh -i
"""


def test_4_login_races_converge_or_are_told(chance: random.Random, tmp_path: Path):
    """With a respawned getty and late prompts, labgrid's ShellDriver logs in or times out."""
    (tmp_path / "dmesg").symlink_to("/bin/true")  # ShellDriver silences the kernel: not this machine's
    respawn = chance.choice(["", "printf '\\n\\nboard login: '"])
    script = GETTY.format(pause=f"sleep {chance.uniform(0, 0.3):.2f}", respawn=respawn, tools=tmp_path)
    board = Board(["setsid", "-c", "sh", "-c", script])
    with console_of(board) as recorder:
        shell = ShellDriver(
            recorder.target,
            "shell",
            prompt=r"root@board:~# ",
            login_prompt=r"board login: ",
            username="root",
            password="secret",
            login_timeout=60,
            await_login_timeout=1,
        )
        try:
            recorder.target.activate(shell)
        except pexpect.TIMEOUT:
            if not respawn:  # then there is nothing to be confused by
                raise
            return
        assert shell.run("echo $((40 + 2))") == (["42"], [], 0)


def test_5_eaten_first_characters_are_sent_again(chance: random.Random):
    """If the line loses its first bytes, the request is sent again and answered."""
    board = Board(SHELL, up=proxy.eat_first(chance.randrange(1, 400)))
    with shell_on(board, try_timeout_s=10.0) as shell:
        assert shell.execute("echo heard").stdout == b"heard\n"


def test_10_a_silent_console_is_given_up_in_time():
    """If the board hangs, the command fails after its tries, and the console's bytes are kept."""
    with shell_on(Board(["sleep", "60"]), try_timeout_s=0.2, tries=2) as shell:
        begin = time.monotonic()
        with pytest.raises(InfrastructureError, match="no undamaged reply in 2 tries"):
            shell.execute("true")
        assert time.monotonic() - begin < 0.4 + BUSY_S
        assert shell.console.wait_for(re.compile(rb"sha256sum"), 0, 1)
