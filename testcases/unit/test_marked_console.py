# SPDX-License-Identifier: MIT
"""The secure console with markers: what each way of being away gives; on a board with all of it: fault 42."""

import re

import pytest

from mpbench.board import marked_console
from mpbench.board.byte_log import ByteLog
from mpbench.board.marked_console import MarkedConsole
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError
from testcases.stand_in import StandIn

LINE = b"E/TC:? 0 get_pager_stats:121 expect 3 output values as argument\r\n"
ANSWER = b"0 context errno=0\n0 session errno=0 ret=0 origin=4 id=2\n"


class Console(StandIn):
    """A board's session and the recorder of its secure console; `path` is what happens to the bytes."""

    def __init__(self) -> None:
        self.name, self.boot_id = "secure", "b-1"
        self.log = ByteLog("x")
        self.losses: list[tuple[int, str]] = []
        self.away = ""
        self.path = lambda data: data
        self.stats, self.reopened = True, 0
        self.files: list[str] = []
        self.commands: list[str] = []

    def print(self, data: bytes) -> None:
        self.log.append(self.path(data))

    def put_bytes(self, data: bytes, path: str) -> None:
        self.files.append(f"{path} {data!r} {self.boot_id}")

    def execute(self, command: str) -> Reply:
        self.commands.append(command)
        return Reply(0, b"", b"")

    def call(self, command: str, _timeout_s: float) -> Reply:
        count = int(re.findall(r"times,(\d+)", command)[0])
        if not self.stats:
            return Reply(0, ANSWER, b"")
        for _ in range(count):
            self.print(LINE)
        return Reply(0, ANSWER + b"0 invoke errno=0 ret=ffff0006 origin=4 ms=1\n" * count, b"")

    def mark(self) -> int:
        return self.log.mark()

    def since(self, mark: int, until: int | None = None) -> bytes:
        return self.log.since(mark, until)

    def find(self, pattern, mark: int, deadline_s: float):
        return self.log.find(pattern, mark, deadline_s)

    def reopen(self) -> None:
        self.reopened += 1
        self.losses.append((self.mark(), "a marker did not arrive"))


@pytest.fixture
def board(monkeypatch) -> Console:
    monkeypatch.setattr(marked_console, "MARKER_S", 0.05)
    return Console()


@pytest.fixture
def console(board) -> MarkedConsole:
    found = MarkedConsole(board, board, b"program")
    assert found.proves_silence
    return found


def test_a_step_has_what_was_printed_between_its_markers(board, console):
    """Lines before, after and the markers themselves are not in it; nothing is waited for."""
    board.print(b"before\n")
    mark = console.mark()
    board.print(b"E/TA:  f:1 reason\r\n")
    assert console.since(mark) == b"E/TA:  f:1 reason\r\n"
    assert console.wait_for(re.compile(b"reason"), mark, 60.0)
    assert not console.wait_for(re.compile(b"other"), mark, 60.0)
    assert console.since(console.mark()) == b""


def test_a_console_that_swallows_everything_is_away(board, console):
    """A marker that does not arrive is the lab's fault, and the console is connected anew."""
    mark = console.mark()
    board.path = lambda _data: b""
    with pytest.raises(
        InfrastructureError, match=r"^console secure: 1 of 1 markers did not arrive within 0\.05 s$"
    ):
        console.since(mark)
    assert board.reopened == 1
    board.path = lambda data: data
    with pytest.raises(
        InfrastructureError, match="the connection was lost during the step: a marker did not"
    ):
        console.since(mark)
    assert console.since(console.mark()) == b""


def test_a_console_that_loses_bytes_is_found_out(board, console):
    """A log that differs is doubted first: many markers have to arrive undamaged."""
    console.check_quality()
    count = iter(range(1000))
    board.path = lambda data: data.replace(b"expect", b"exect") if next(count) % 7 == 6 else data
    with pytest.raises(InfrastructureError, match="of 40 markers did not arrive"):
        console.check_quality()


def test_a_lost_connection_is_the_labs_fault(board, console):
    """While it is lost, and for the step in which it was."""
    mark = console.mark()
    board.losses.append((board.mark(), "connection reset"))
    with pytest.raises(InfrastructureError, match="lost during the step: connection reset"):
        console.since(mark)
    board.away = "connection refused"
    with pytest.raises(InfrastructureError, match="not connected: connection refused"):
        console.mark()
    board.away = ""
    assert console.since(console.mark()) == b""


def test_a_call_that_fails_prints_an_unknown_number_of_markers(board, console):
    """The TEE does not answer any more: the lab's fault, and no later marker is taken for an earlier one."""
    board.stats = False
    with pytest.raises(InfrastructureError, match="the call of the TEE that prints a marker failed"):
        console.mark()
    assert board.reopened == 1

    def hang(_command: str, _timeout_s: float) -> Reply:
        raise InfrastructureError("timeout")

    board.call = hang
    with pytest.raises(InfrastructureError, match=r"^timeout$"):
        console.mark()
    assert board.reopened == 2


@pytest.mark.parametrize("program", [b"", b"program"])
def test_a_board_without_markers_proves_no_silence(board, program):
    """No TEE client, or no statistics in OP-TEE: what was printed is read, losses are noticed."""
    board.stats = False
    console = MarkedConsole(board, board, program)
    assert not console.proves_silence
    mark = console.mark()
    board.print(b"line\n")
    assert console.since(mark) == b"line\n"
    assert console.wait_for(re.compile(b"line"), mark, 0)
    console.check_quality()
    board.losses.append((board.mark(), "reset"))
    with pytest.raises(InfrastructureError, match="lost during the step: reset"):
        console.since(mark)
    assert console.since(console.mark()) == b""


def test_the_program_is_uploaded_once_per_boot_and_removed(board, console):
    """A reboot empties /tmp."""
    console.mark()
    board.boot_id = "b-2"
    console.mark()
    assert board.files == [f"/tmp/mpbench-marker b'program' {boot}" for boot in ("b-1", "b-2")]
    console.close()
    console.close()
    assert board.commands[-1] == "rm -f /tmp/mpbench-marker"
    assert board.commands.count("rm -f /tmp/mpbench-marker") == 1
