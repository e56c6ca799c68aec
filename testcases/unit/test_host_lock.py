# SPDX-License-Identifier: MIT
"""One run per board on a host: the kernel's lock, by every spelling of the board's address."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench.harness import host_lock as locks
from mpbench.harness.host_lock import addresses, host_lock, names_of

HELD = """
import encodings.idna, os, sys
from types import SimpleNamespace
from mpbench.harness.host_lock import host_lock
os.setuid(int(sys.argv[2]))
service = type("NetworkService", (), {"address": sys.argv[1], "port": 22})()
held = host_lock(SimpleNamespace(resources=[service]))
print("held", flush=True)
sys.stdin.read()
"""


def resource(kind: str, **attributes: Any) -> Any:
    """A resource of labgrid's class `kind`."""
    return type(kind, (), attributes)()


def board(*resources: Any) -> Any:
    """A target with these resources."""
    return SimpleNamespace(resources=list(resources))


def board_at(address: str, port: int = 22) -> Any:
    """A target whose SSH server is there."""
    return board(resource("NetworkService", address=address, port=port))


def test_one_host_drives_a_board_once():
    """A second run is refused with process and user of the first; other boards are free."""
    first = host_lock(board_at("192.0.2.1"))
    other = host_lock(board_at("192.0.2.2"))
    assert first is not None
    assert other is not None
    with pytest.raises(
        InfrastructureError,
        match=rf"^another run uses the board at 192\.0\.2\.1:22: process {os.getpid()} of user \w+$",
    ):
        host_lock(board_at("192.0.2.1"))
    first.close()
    again = host_lock(board_at("192.0.2.1"))
    assert again is not None
    again.close()
    other.close()


@pytest.mark.parametrize(
    "spelling",
    [
        "localhost",
        "LocalHost.",
        "127.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0x7f.1",
        "0.0.0.0",
        "::",
        "127.0.1.1",
    ],
)
def test_spellings_of_an_address_are_one_board(spelling: str):
    """Names, short, hexadecimal and IPv6 forms of an address are the same lock."""
    first = host_lock(board_at("127.0.0.1", 2222))
    assert first is not None
    with pytest.raises(InfrastructureError, match="another run uses the board"):
        host_lock(board_at(spelling, 2222))
    first.close()


def test_this_hosts_own_address_is_a_spelling_too(monkeypatch):
    """Of an interface's address the kernel is its own peer; one of another host is not."""
    monkeypatch.setattr(locks, "_is_own", lambda found: str(found) == "192.0.2.5")
    assert addresses("192.0.2.5") == ["127.0.0.1"]
    assert addresses("192.0.2.6") == ["192.0.2.6"]


@pytest.mark.parametrize(("address", "own"), [("127.0.0.1", True), ("192.0.2.6", False)])
def test_an_own_address_is_told_by_the_kernel(address, own):
    """Nothing is sent for it."""
    assert locks._is_own(ipaddress.ip_address(address)) == own


def test_a_board_is_found_by_any_of_its_resources():
    """Target files that share the console or the power port are of one board, whatever their SSH address."""
    console = resource("NetworkSerialPort", host="192.0.2.9", port=4001)
    power = resource("NetworkPowerPort", host="http://user:word@192.0.2.8/x/{index}", index="3")
    first = host_lock(board(resource("NetworkService", address="192.0.2.1", port=22), console, power))
    assert first is not None
    for shared in (console, resource("NetworkPowerPort", host="http://192.0.2.8/y", index="3")):
        with pytest.raises(InfrastructureError, match="another run uses the board"):
            host_lock(board(resource("NetworkService", address="192.0.2.7", port=22), shared))
    free = host_lock(board(resource("NetworkPowerPort", host="http://192.0.2.8/x", index="4")))
    assert free is not None
    free.close()
    first.close()


def test_a_lock_that_was_not_got_leaves_nothing_held():
    """A run that is refused for its console does not keep the name of its SSH server."""
    console = resource("NetworkSerialPort", host="192.0.2.9", port=4001)
    first = host_lock(board(console))
    assert first is not None
    with pytest.raises(InfrastructureError):
        host_lock(board(resource("NetworkService", address="192.0.2.1", port=22), console))
    free = host_lock(board_at("192.0.2.1"))
    assert free is not None
    free.close()
    first.close()


def test_messages_have_no_password():
    """The address of a power port is shown without the user part of its URL."""
    power = resource("NetworkPowerPort", host="http://admin:wordword@192.0.2.8:81/x", index="3")
    assert [shown for _, shown in names_of(power)] == ["192.0.2.8:81 index 3"]


@pytest.mark.parametrize(
    ("kind", "attributes", "name"),
    [
        ("NetworkService", {"address": "192.0.2.1", "port": 22}, "NetworkService  192.0.2.1:22"),
        ("NetworkPowerPort", {"host": "https://192.0.2.1", "index": 1}, "NetworkPowerPort  192.0.2.1:443 index 1"),  # noqa: E501
        ("NetworkPowerPort", {"host": "192.0.2.1:81", "index": 1}, "NetworkPowerPort  192.0.2.1:81 index 1"),
        ("USBSerialPort", {"port": "/dev/null"}, "device 1:3"),
        ("RawSerialPort", {"port": "/no/such/device"}, "device /no/such/device"),
        ("USBSerialPort", {"port": None, "match": {"ID_SERIAL": "x", "@ID": "y"}}, "USB @ID=y, ID_SERIAL=x"),
    ],
)  # fmt: skip
def test_names_of_resources(kind, attributes, name):
    """Class, address, port and index; of a local serial port its device file."""
    assert [found for found, _ in names_of(resource(kind, **attributes))] == [name]


def test_addresses_behind_a_proxy_are_those_of_its_network(monkeypatch):
    """Two exporters may each call their own board localhost."""
    extra = {"proxy_required": True, "proxy": "exporter-1"}
    one = resource("NetworkService", address="localhost", port=22, extra=extra)
    assert [name for name, _ in names_of(one)] == ["NetworkService exporter-1 localhost:22"]
    monkeypatch.setenv("LG_PROXY", "gateway")
    assert [name for name, _ in names_of(board_at("board-1").resources[0])] == [
        "NetworkService gateway board-1:22"
    ]


def test_spellings_of_a_proxy_are_one(monkeypatch):
    """With a user, in other letters, by name or number."""
    names = set()
    for via in ("127.0.0.1", "LocalHost.", "ann@localhost", "::1"):
        monkeypatch.setenv("LG_PROXY", via)
        names |= {name for name, _ in names_of(board_at("board-1").resources[0])}
    assert names == {"NetworkService 127.0.0.1 board-1:22"}


def test_another_file_of_a_device_is_the_device(tmp_path):
    """A link of /dev/serial/by-id, and a second node of the same device."""
    files = [tmp_path / "link", tmp_path / "node"]
    files[0].symlink_to("/dev/null")
    try:
        os.mknod(files[1], 0o20600, os.makedev(1, 3))
    except PermissionError:
        files.pop()
    for file in files:
        assert [name for name, _ in names_of(resource("RawSerialPort", port=str(file)))] == ["device 1:3"]


def test_resources_of_several_boards_lock_none():
    """An exporter's address is shared by all of its boards; a target without resources has no lock."""
    assert host_lock(board(resource("NetworkMassStorage", host="exporter-1"))) is None
    assert host_lock(board()) is None
    assert host_lock(board(resource("NetworkSerialPort", host=None, port=None))) is None


def test_a_name_that_is_not_known_is_its_own_address():
    """Without an answer of the name service, equal names are still one board."""
    assert addresses("no-such-host.invalid") == ["no-such-host.invalid"]
    assert addresses("x" * 300) == ["x" * 300]


@pytest.mark.parametrize("runtime", ["", "set"])
def test_every_process_of_the_host_finds_the_lock(tmp_path, runtime):
    """With and without XDG_RUNTIME_DIR, in another directory; and the kernel frees it when that is killed."""
    variables = {k: v for k, v in os.environ.items() if k not in ("XDG_RUNTIME_DIR", "TMPDIR")}
    variables |= {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path)} if runtime else {}
    with held_by_another("192.0.2.3", env=variables) as process:
        with pytest.raises(InfrastructureError, match=rf"192\.0\.2\.3:22: process {process.pid} of user"):
            host_lock(board_at("192.0.2.3"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = host_lock(board_at("192.0.2.3"))
    assert found is not None
    found.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")
def test_another_users_run_is_found():
    """A process of another user holds the board: refused, with that user."""
    with held_by_another("192.0.2.4", user=65534) as process:
        with pytest.raises(InfrastructureError, match=f"process {process.pid} of user nobody$"):
            host_lock(board_at("192.0.2.4"))
        process.kill()


def held_by_another(address: str, user: int | None = None, **options: Any) -> "subprocess.Popen[str]":
    """Another process that has locked a board; it takes the user id when its modules are loaded."""
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, address, str(os.getuid() if user is None else user)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_users_without_a_name_are_numbers():
    """A user id that the host does not know."""
    assert locks._user(4_000_000_000) == "4000000000"


def test_a_holder_that_ends_meanwhile():
    """Its name was taken a moment ago, and is free now."""
    assert locks._holder("\0mpbench-board-none") == "a process that is ending"


def test_a_lock_that_cannot_be_made_is_the_labs_fault(monkeypatch):
    """Without a lock there is no run."""

    class Full(socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(socket, "socket", Full)
    with pytest.raises(
        InfrastructureError, match=r"cannot lock the board at 192\.0\.2\.1:22: Cannot allocate memory"
    ):
        host_lock(board_at("192.0.2.1"))
