# SPDX-License-Identifier: MIT
"""QEMU's monitor: answers, errors, and a QEMU that starts but does not answer."""

import socket
import sys
import threading

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench_virtual import qemu


def started(directory, code, *words):
    """A program that stands for QEMU; its arguments end with those of the monitor."""
    return qemu.Qemu([sys.executable, "-c", code, *words], directory)


@pytest.mark.parametrize(("words", "reason"), [([""], "no answer to cont within 0.5 s"), (["busy"], "busy")])
def test_a_mute_monitor_is_named(tmp_path, monkeypatch, words, reason):
    """A QEMU whose monitor does not answer is killed; the error has its last output, else the command."""
    monkeypatch.setattr(qemu, "ANSWER_S", 0.5)
    code = "import sys, threading; print(sys.argv[1], file=sys.stderr, flush=True); threading.Event().wait()"
    with pytest.raises(InfrastructureError, match=f"QEMU did not start: {reason}"):
        started(tmp_path, code, *words)


def test_a_qemu_that_ends_is_named_at_once(tmp_path):
    """Its last words are the error's: the monitor was there before it, and is closed as it ends."""
    with pytest.raises(InfrastructureError, match="QEMU did not start: no such machine"):
        started(tmp_path, "import sys; sys.exit('no such machine')")


GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n{"return": {}}\n'
VERSION = b'{"return": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "%s"}}\n'


@pytest.fixture
def monitor(tmp_path):
    """`monitor(data)` → the socket of a monitor that sends `data` to one client and closes."""
    threads = []

    def start(data: bytes):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "qmp.sock"))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with listener, connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return tmp_path / "qmp.sock"

    yield start
    for thread in threads:
        thread.join(5)


@pytest.mark.parametrize(
    ("package", "version"),
    [(b"", "7.2.22"), (b"Debian 1:7.2", "7.2.22 (Debian 1:7.2)")],
)
def test_the_version_of_a_running_qemu(monitor, package, version):
    """Number and package of QEMU; events before the answer are skipped."""
    event = b'{"event": "RESUME", "timestamp": {}}\n'
    assert qemu.version(monitor(GREETING + event + VERSION % package)) == version


def test_an_event_is_no_answer_to_the_first_command(monitor):
    """As when the board resets at that moment."""
    event = b'{"event": "RESET", "timestamp": {}}\n'
    greeting, capable = GREETING.splitlines(keepends=True)
    assert qemu.version(monitor(greeting + event + capable + VERSION % b"")) == "7.2.22"


def test_an_error_of_the_monitor_is_named(monitor):
    """QEMU's own description of an error is the message."""
    answer = b'{"error": {"class": "GenericError", "desc": "no such path"}}\n'
    with pytest.raises(InfrastructureError, match=r"^QMP: no such path$"):
        qemu.qmp(monitor(GREETING + answer), "qom-list", path="/x")


@pytest.mark.parametrize("data", [b"", GREETING, GREETING + b'{"ret', b'{"hello": 1}\n', b"\xff\n"])
def test_a_monitor_that_closes_is_named(monitor, data):
    """A monitor that closes early, sends half a line or is no monitor ends the command at once."""
    with pytest.raises(ConnectionError, match="QEMU's monitor failed during query-version: "):
        qemu.version(monitor(data))


def test_a_missing_monitor_is_an_error_of_the_system(tmp_path):
    """Without a QEMU there is no socket to connect to."""
    with pytest.raises(FileNotFoundError):
        qemu.version(tmp_path / "qmp.sock")
