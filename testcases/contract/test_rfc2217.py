# SPDX-License-Identifier: MIT
"""A console over RFC 2217, labgrid's default protocol, from ser2net, which labgrid's own exporter starts."""

import os
import shutil
import socket
import subprocess
import tty
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import frozen

from testcases.contract.test_plugin import CHECKOUT, ENVIRONMENT, PLAYED, Place, key, place

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ser2net"), reason="ser2net is not installed (Debian: ser2net)"),
]

__all__ = ["key", "place"]

DEADLINE_S = 30.0
RECORDER = "class ConsoleRecorder(Driver):"


@frozen
class Uart:
    """A board's UART at a terminal server. line: the board's end; port: of the server."""

    line: int
    port: int


@pytest.fixture
def uart(tmp_path: Path) -> Iterator[Uart]:
    """ser2net with RFC 2217 on a pseudo terminal."""
    line, device = os.openpty()
    tty.setraw(device)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "ser2net.yaml"
    config.write_text(
        "connection: &uart\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev(nouucplock),{os.ttyname(device)},115200n81,local\n"
    )
    server = subprocess.Popen(["ser2net", "-d", "-u", "-c", config], stderr=subprocess.PIPE, text=True)
    with server:
        try:
            _until_it_listens(server, port)
            yield Uart(line, port)
        finally:
            server.terminate()
            for end in (line, device):
                os.close(end)


def _until_it_listens(server: subprocess.Popen, port: int) -> None:
    """No event says that it listens: its line in /proc/net/tcp, without a connection of ours."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    while wanted not in Path("/proc/net/tcp").read_text():
        assert server.poll() is None, server.stderr.read()


def test_a_run_records_a_console_over_rfc2217(place: Place, uart: Uart):
    """With labgrid's defaults, whose pyserial warns of deprecated calls: a warning is no fault of the lab."""
    played = PLAYED.replace('"RemoteprocDriver", "ConsoleRecorder")', '"RemoteprocDriver")')
    played = played[: played.index("@target_factory.reg_driver\n@attr.s(eq=False)\n" + RECORDER)] + (
        "class Status" + played.partition("class Status")[2]
    )
    (place.path / "played.py").write_text(played)
    port = f"{{NetworkSerialPort: {{host: 127.0.0.1, port: {uart.port}}}}}"
    environment = ENVIRONMENT.replace("resources: {}", f"resources: {port}")
    environment = environment.replace("      - ConsoleRecorder: {name: secure}\n", "")
    recorder = "ConsoleRecorder: {name: console, bindings: {port: uart}}"
    environment = environment.replace(
        "ConsoleRecorder: {name: console}", f"SerialDriver: {{name: uart}}\n      - {recorder}"
    )
    environment = environment.replace("imports: [played.py]", "imports: [mpbench.board, played.py]")
    (place.path / "played.yaml").write_text(environment)
    tests = f"""
import re
def test_console(bench):
    bench.board.console.sendline("root")
    assert bench.board.console.wait_for(re.compile(b"password: "), 0, {DEADLINE_S})
def test_two(bench): pass
"""
    with ThreadPoolExecutor() as pool:
        heard = pool.submit(_answer, uart.line)
        settings = ("-c", str(CHECKOUT / "pyproject.toml"))
        done = place.run(tests, "--lg-env=played.yaml", *settings, "test_played.py")
        assert done.returncode == 0, done.stdout + done.stderr
        assert heard.result() == b"root\n"
    assert [verdict for verdict, _ in place.ends().values()] == ["PASS", "PASS"]
    assert "DeprecationWarning: setDaemon() is deprecated" in done.stdout, "labgrid's pyserial warns"


def _answer(line: int) -> bytes:
    """The board: it asks for a password after the first line."""
    heard = os.read(line, 100)
    os.write(line, b"password: ")
    return heard
