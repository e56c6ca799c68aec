# SPDX-License-Identifier: MIT
"""The byte log, the console recorder on a socket, and the kernel log's record filter."""

import errno
import os
import random
import re
import socket
import threading
from collections.abc import Iterator

import pexpect
import pytest
from labgrid import Target
from labgrid.driver import SerialDriver
from labgrid.resource import NetworkSerialPort

from mpbench.board import byte_log
from mpbench.board import console as console_module
from mpbench.board.byte_log import ByteLog
from mpbench.board.console import ConsoleRecorder
from mpbench.board.kernel_log import RecordFilter
from mpbench.core.errors import InfrastructureError, UsageError


def test_positions_and_pieces():
    """since() gives exactly the bytes between two positions."""
    log = ByteLog("test")
    log.append(b"abc")
    mark = log.mark()
    log.append(b"\0\xff" * 100000)
    assert log.since(0, mark) == b"abc"
    assert log.since(mark) == b"\0\xff" * 100000


def test_find_looks_once_without_time():
    """With a deadline of 0 s, find() searches once and does not wait."""
    log = ByteLog("test")
    log.append(b"hello world")
    found = log.find(re.compile(rb"wor(.)"), 3, 0.0)
    assert found is not None
    assert (found.start, found.end, found.match[1]) == (6, 10, b"l")
    assert log.find(re.compile(rb"wor"), 7, 0.0) is None


def test_a_waiter_wakes_on_news():
    """A wait ends when matching bytes arrive, and ignores bytes before its mark."""
    log = ByteLog("test")
    log.append(b"ready\n")
    mark = log.mark()

    def arrive() -> None:
        for part in (b"re", b"ady\n"):
            log.append(part)

    threading.Timer(0.05, arrive).start()
    found = log.find(re.compile(rb"ready\n"), mark, 5.0)
    assert found is not None
    assert found.start == mark


def test_searching_takes_a_quarter_of_the_time_at_most():
    """While bytes keep arriving, a search waits three times as long as the previous one took."""
    now_s, paused_s = 0.0, 0.0

    def pause(time_s: float) -> None:
        nonlocal now_s, paused_s
        now_s += time_s
        paused_s += time_s

    log = ByteLog("test", lambda: now_s, pause)

    def look(data: bytes) -> None:
        nonlocal now_s
        now_s += len(data) * 1e-6
        log.append(b"x" * 10000)

    assert log.search(look, 0, 5.0) is None
    assert log.mark() > 10000
    assert paused_s >= 0.66 * now_s


def test_a_full_disk_is_a_lab_fault_for_readers(monkeypatch: pytest.MonkeyPatch):
    """If the host cannot store bytes, readers get an InfrastructureError."""
    log = ByteLog("console x")

    def full(descriptor: int, data: memoryview, at: int) -> int:
        raise OSError(errno.ENOSPC, f"No space left on device for {len(data)} bytes at {at} of {descriptor}")

    monkeypatch.setattr(os, "pwrite", full)
    log.append(b"lost")
    with pytest.raises(InfrastructureError, match="console x: cannot be stored on this host: No space"):
        log.since(0)


def test_a_flood_takes_a_bounded_file_and_is_reported(monkeypatch: pytest.MonkeyPatch):
    """The last MOST_BYTES are kept, whole and at their positions; asking for older ones is INFRA."""
    monkeypatch.setattr(byte_log, "MOST_BYTES", 3 << 20)
    log, chance = ByteLog("console x"), random.Random(28)
    data = b"".join(chance.randbytes(chance.randrange(1, 1 << 21)) for _ in range(12))
    while log.mark() < len(data):
        log.append(data[log.mark() : log.mark() + chance.randrange(1, 1 << 21)])
        start = max(log.kept, log.mark() - chance.randrange(3 << 20))
        assert log.since(start) == data[start : log.mark()]
    assert os.fstat(log._descriptor).st_size == 3 << 20
    assert log.kept == len(data) - (3 << 20)
    found = log.find(re.compile(re.escape(data[-9:])), log.kept, 0.0)
    assert found is not None
    assert found.end == len(data)
    with pytest.raises(InfrastructureError) as refused:
        log.since(5)
    assert str(refused.value) == f"console x: of {len(data) - 5} bytes only the last 3 MiB were kept"


def test_a_nearly_full_disk_is_not_filled(monkeypatch: pytest.MonkeyPatch):
    """Without FREE_BYTES on the disk of temporary files the last MiB is kept, and the message says why."""
    monkeypatch.setattr(byte_log, "FREE_BYTES", 1 << 80)
    log = ByteLog("kernel log")
    log.append(bytes(1 << 20) + b"one more")
    assert os.fstat(log._descriptor).st_size == 1 << 20
    assert log.since(8) == bytes((1 << 20) - 8) + b"one more"
    with pytest.raises(
        InfrastructureError, match="1 MiB were kept, since the disk of temporary files is nearly"
    ):
        log.since(7)


# --- ConsoleRecorder ----------------------------------------------------------------------------


class Uart:
    """The board's end of a raw TCP console."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.peer: socket.socket | None = None

    def accept(self) -> None:
        self.listener.settimeout(5)
        self.peer, _ = self.listener.accept()

    def send(self, data: bytes) -> None:
        assert self.peer is not None
        self.peer.sendall(data)

    def close(self) -> None:
        self.listener.close()
        if self.peer is not None:
            self.peer.close()


@pytest.fixture
def uart() -> Iterator[Uart]:
    """A raw TCP console without a client."""
    end = Uart()
    yield end
    end.close()


@pytest.fixture
def recorder(uart: Uart) -> Iterator[ConsoleRecorder]:
    """A ConsoleRecorder on labgrid's own SerialDriver."""
    target = Target("console-test")
    NetworkSerialPort(target, "uart", "127.0.0.1", port=uart.port, protocol="raw")
    SerialDriver(target, "port")
    target.set_binding_map({"port": "port"})
    driver = ConsoleRecorder(target, "console")  # type: ignore[call-arg]  # labgrid's own two are not seen
    target.activate(driver)
    uart.accept()
    yield driver
    target.cleanup()


def test_expect_behaves_as_in_labgrid(uart: Uart, recorder: ConsoleRecorder):
    """expect() returns index, bytes before, match and matched bytes; the rest stays for the next call."""
    uart.send(b"boot\r\nlogin: rest=> ")
    index, before, match, after = recorder.expect([pexpect.TIMEOUT, "=> ", r"log(\w+): "], timeout=5)
    assert (index, before, match[1], after) == (2, b"boot\r\n", b"in", b"login: ")
    assert recorder.expect("=> ", timeout=5)[1] == b"rest"


def test_expect_times_out_in_both_ways(uart: Uart, recorder: ConsoleRecorder):
    """TIMEOUT in the list is a match, otherwise an exception with the last bytes; no bytes are lost."""
    uart.send(b"half a pro")
    assert recorder.wait_for(re.compile(b"pro"), 0, 5)
    index, before, match, _ = recorder.expect(["prompt", pexpect.TIMEOUT], timeout=0.05)
    assert (index, before, match) == (1, b"half a pro", pexpect.TIMEOUT)
    with pytest.raises(pexpect.TIMEOUT, match="half a pro"):
        recorder.expect("prompt", timeout=0.05)
    uart.send(b"mpt")
    assert recorder.expect("prompt", timeout=5)[1] == b"half a "


def test_everything_is_recorded(uart: Uart, recorder: ConsoleRecorder):
    """All bytes are recorded, whether or not read() and expect() are used."""
    data = bytes(range(256)) * 50
    uart.send(data)
    assert recorder.find(re.compile(re.escape(data[-256:])), len(data) - 256, 5) is not None
    assert recorder.read(timeout=1, max_size=3) == data[:3]
    recorder.forget()
    with pytest.raises(pexpect.TIMEOUT):
        recorder.read(timeout=0.01)
    assert recorder.since(0) == data
    assert (recorder.losses, recorder.away) == ([], "")


def test_sending(uart: Uart, recorder: ConsoleRecorder):
    """Lines and control characters are sent unchanged."""
    assert uart.peer is not None
    recorder.sendline("reset")
    recorder.sendcontrol("c")
    wanted = b"reset\n\x03"
    got = b""
    uart.peer.settimeout(5)
    while len(got) < len(wanted):
        got += uart.peer.recv(100)
    assert got == wanted
    with pytest.raises(UsageError, match="letter"):
        recorder.sendcontrol("1")


def test_settle(uart: Uart, recorder: ConsoleRecorder):
    """settle() returns True when the console was quiet, False if it never is."""
    uart.send(b"last words")
    assert recorder.settle(0.05, timeout=5)
    stop = threading.Event()

    def chatter() -> None:
        while not stop.wait(0.01):
            uart.send(b".")

    thread = threading.Thread(target=chatter)
    thread.start()
    assert not recorder.settle(0.5, timeout=0.1)
    stop.set()
    thread.join()


def test_a_lost_console_is_opened_again_and_the_gap_is_marked(
    uart: Uart, recorder: ConsoleRecorder, monkeypatch: pytest.MonkeyPatch
):
    """When the UART's connection is lost and comes back, recording continues and the gap is marked."""
    monkeypatch.setattr(console_module, "REOPEN_EVERY_S", 0.01)
    uart.send(b"before")
    assert recorder.wait_for(re.compile(b"before"), 0, 5)
    assert uart.peer is not None
    uart.peer.close()
    uart.accept()
    while recorder.away:  # pyserial drops what comes before open() has returned
        threading.Event().wait(0.001)
    uart.send(b"after")
    assert recorder.wait_for(re.compile(b"after"), 0, 5)
    assert recorder.losses == [(6, "the other end closed the connection")]
    assert recorder.away == ""
    assert recorder.since(0) == b"beforeafter"


def test_a_console_is_connected_anew_on_request(uart: Uart, recorder: ConsoleRecorder):
    """What the old connection still carries is dropped, and the loss is recorded with its reason."""
    old = uart.peer
    assert old is not None
    waiting = threading.Thread(target=recorder.reopen)
    waiting.start()
    uart.accept()
    waiting.join()
    assert uart.peer is not old
    old.close()
    assert recorder.losses == [(0, "a marker did not arrive")]
    assert recorder.away == ""
    uart.send(b"new")
    assert recorder.wait_for(re.compile(b"new"), 0, 5)


def test_a_dead_terminal_server_is_probed_by_the_kernel(uart: Uart, recorder: ConsoleRecorder):  # noqa: ARG001
    """The connection has keepalive probes: a peer without power would be as silent as a quiet one."""
    connection = recorder.port.serial._socket
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5


def test_writing_to_a_lost_console_is_a_lab_fault(
    uart: Uart, recorder: ConsoleRecorder, monkeypatch: pytest.MonkeyPatch
):
    """Writing to a lost console is an InfrastructureError of one line."""
    monkeypatch.setattr(console_module, "REOPEN_EVERY_S", 0.01)
    uart.close()
    assert uart.peer is not None
    uart.peer.close()
    recorder.write(b"the first one may get as far as the network")
    with pytest.raises(InfrastructureError, match="console console: write failed"):
        keep_writing(recorder)
    while recorder.port.status:  # until the recorder has closed the lost port
        threading.Event().wait(0.01)


def keep_writing(recorder: ConsoleRecorder) -> None:
    for _ in range(1000):
        recorder.write(b"x" * 1000)


def test_only_one_client_at_a_time(uart: Uart, recorder: ConsoleRecorder):
    """A second client of the console deactivates the first, as on labgrid's SerialDriver."""
    assert uart.peer is not None
    deactivated: list[str] = []
    recorder.clients.update({"shell", "uboot"})
    recorder.target.deactivate = deactivated.append
    recorder.resolve_conflicts("uboot")
    recorder.clients.clear()
    del recorder.target.deactivate
    assert deactivated == ["shell"]


# --- kernel log ---------------------------------------------------------------------------------


def test_records_pass_once_and_gaps_are_counted():
    """Duplicates after a restart are dropped with their continuation lines; missing numbers are counted."""
    records = RecordFilter()
    first = b"6,10,100,-;one\n SUBSYSTEM=x\n6,11,101,-;two\n"
    assert records.feed(first) == (first, 0)
    assert records.feed(first + b"6,12,10") == (b"", 0)
    assert records.feed(b"2,-;three\n") == (b"6,12,102,-;three\n", 0)
    assert records.feed(b"6,15,103,-,caller=T1;six\n") == (b"6,15,103,-,caller=T1;six\n", 2)


def test_the_first_record_may_have_any_number():
    """Records that were overwritten before the run are not counted as missing."""
    assert RecordFilter().feed(b"6,500,1,-;x\n") == (b"6,500,1,-;x\n", 0)


def test_a_line_without_end_is_cut_and_the_next_is_whole():
    """Of an endless line 64 KiB are kept in memory and in the log, and the cut is marked."""
    records = RecordFilter()
    assert records.feed(b"6,1,100,-;start " + b"x" * 100) == (b"", 0)
    for _ in range(100):
        assert records.feed(b"y" * 65536) == (b"", 0)
        assert len(records._rest) == 65537
    kept, missing = records.feed(b"tail\n6,2,101,-;two\n")
    assert missing == 0
    line, rest = kept.split(b"\n", 1)
    assert line.startswith(b"6,1,100,-;start x")
    assert (len(line), line[-18:]) == (65536 + 17, b"y [cut by mpbench]")
    assert rest == b"6,2,101,-;two\n"
