# SPDX-License-Identifier: MIT
"""A desk's target file as it is: a serial port, an address, a power switch, one UART for Linux and OP-TEE.

The board is a virtual one; a pseudo terminal that carries all its UARTs replaces the ST-LINK.
"""

import contextlib
import os
import selectors
import shutil
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mpbench_virtual import boards, keys
from mpbench_virtual.steps import quiet
from testcases.contract import labs

pytestmark = pytest.mark.slow

TARGET = labs.CHECKOUT / "targets" / f"{labs.SOC.name}-desk.yaml"
CORE = next(iter(labs.KIND.cores))
FIRST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@contextlib.contextmanager
def serial_port(board: boards.StartedBoard) -> Iterator[str]:
    """Path of a tty with the output of the board's UARTs; its input goes to Linux."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, theirs)
        where = [(board.address, board.ports[name]) for name in ("console", "secure") if name in board.ports]
        uarts = [stack.enter_context(socket.create_connection(w)) for w in where]
        done, end = os.pipe()
        pump = threading.Thread(target=_pump, args=(ours, uarts, done))
        pump.start()
        yield os.ttyname(theirs)
        os.close(end)
        pump.join()
        os.close(done)
        os.close(ours)


def _pump(ours: int, uarts: list[socket.socket], done: int) -> None:
    """Carry bytes until the writing end of `done` is closed."""
    with selectors.DefaultSelector() as selector:
        sources: list[Any] = [ours, done, *uarts]
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == done:
                    return
                if key.fileobj == ours:
                    uarts[0].sendall(os.read(ours, 4096))
                else:
                    os.write(ours, os.read(key.fd, 65536))


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[boards.StartedBoard]:
    """A virtual board whose SSH server has port 22, as a real board's."""
    if os.geteuid() != 0 and int(FIRST_PORT.read_text()) > 1:
        pytest.skip("port 22 of a loopback address needs root")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    up = boards.start(labs.KIND.name, "desk", quiet, lifeline=True, base_port=0)
    yield up
    boards.stop(up)


def test_a_desk_file_runs_as_it_is(board: boards.StartedBoard, tmp_path: Path):
    """One UART for Linux and OP-TEE is enough: for doctor, for firmware, for a wrong signature's reason."""
    config = tmp_path / "config"
    config.mkdir(mode=0o700)
    shutil.copy(keys.ssh_key(), config / "ssh_key")
    shutil.copy(keys.signing_key(), config / "firmware_key.pem")
    desk = labs.Bench(TARGET, tmp_path, {"MPBENCH_CONFIG": str(config), "MPBENCH_PROFILE": labs.PROFILE})
    labs.boot(board)
    assert desk.mpbench("enrol", board.address).returncode == 0
    with serial_port(board) as port:
        switch = {"MODEL": "rest", "HOST": board.power_url, "INDEX": "0"}
        variables = {"LG_CONSOLE": port, "LG_ADDRESS": board.address}
        variables |= {f"LG_POWER_{name}": value for name, value in switch.items()}
        checked = desk.call(
            labs.RUN_S, str(labs.program("mpbench")), "doctor", "--lg-env", str(TARGET), **variables
        )
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
        assert "  ok    console: console\n" in checked.stdout  # one UART for both
        assert " lines of OP-TEE since power on\n" in checked.stdout
        done = desk.run(
            "testcases/test_identity.py",
            "testcases/test_deploy.py",
            "-k",
            f"identity or ((signed_firmware or wrong_key) and {CORE})",
            **variables,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    ends = desk.ends()
    assert {
        "test_identity_is_recorded",
        f"test_signed_firmware_runs[{CORE}]",
        f"test_wrong_key_is_refused[{CORE}]",
    } <= set(ends)
    assert {verdict for verdict, _ in ends.values()} == {"PASS"}
