# SPDX-License-Identifier: MIT
"""Faults between lab host and board; numbers as in the fault matrix.

Each time: no wrong answer, an InfrastructureError in one line by the deadline, nothing left behind.
"""

import contextlib
import logging
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attr
import paramiko
import pytest

from mpbench.board import host_keys
from mpbench.board.remoteproc import RemoteprocDriver
from mpbench.board.session import link
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.link import LinkLost, Unanswered
from mpbench.board.session.shell import CommandHangs
from mpbench.board.session.shell_protocol import Reply
from mpbench.commands import main
from mpbench.core.errors import InfrastructureError, InvalidRun
from testcases.contract import servers
from testcases.contract.conftest import Serve, active, session_on
from testcases.faults import proxy
from testcases.faults.conftest import BUSY_S

pytestmark = pytest.mark.slow  # real deadlines pass

FAULT_DEADLINE_S = 15.0


@contextlib.contextmanager
def through(server: servers.Server, **harms: proxy.Harm) -> Iterator[tuple[SessionDriver, proxy.Proxy]]:
    """A session (not yet active) that reaches its server through a proxy."""
    with proxy.proxy_to(server.port, **harms) as made:
        key = next(iter(host_keys.pinned(server.known_hosts, [host_keys.names_of("127.0.0.1", server.port)])))
        host_keys.pin(server.known_hosts, "127.0.0.1", made.address, key)
        driver = session_on(attr.evolve(server, port=made.address), command_timeout_s=FAULT_DEADLINE_S)
        try:
            yield driver, made
        finally:
            driver.target.cleanup()


def lab_fault_or(wanted: object, action: Callable[[], object]) -> bool:
    """Whether the action returned `wanted`; else it raised a one-line InfrastructureError in time."""
    begin = time.monotonic()
    fault = None
    try:
        got = action()
    except InfrastructureError as e:
        fault = str(e)
    assert time.monotonic() - begin < FAULT_DEADLINE_S * 1.1 + BUSY_S
    if fault is None:
        assert got == wanted
        return True
    assert "\n" not in fault
    return False


def echoed(session: SessionDriver, number: int) -> bytes:
    return session.execute(f"echo {number}").stdout


@pytest.mark.parametrize("harm", [proxy.flip_bits, proxy.lose_and_double])
def test_1_damaged_bytes_never_give_a_wrong_answer(serve: Serve, chance: random.Random, harm):
    """A connection that damages bytes ends; no reply differs from the board's output."""
    with through(serve(), down=harm(chance, chance.randrange(2000, 20000), 3000)) as (session, _):
        good = lab_fault_or(None, lambda: session.target.activate(session))
        number = 0
        while good:
            number += 1
            assert number < 5000, "no byte was damaged"
            good = lab_fault_or(b"%d\n" % number, partial(echoed, session, number))


def test_6_an_upload_cut_off_shows_no_part_of_a_file(serve: Serve, chance: random.Random, tmp_path: Path):
    """A connection reset in mid-upload leaves the old file, or the whole new one, and no temporary file."""
    server = serve(chance.choice(["openssh", "dropbear"]))
    directory = tmp_path / "firmware"
    directory.mkdir()
    (directory / "fw").write_bytes(b"old")
    data = chance.randbytes(300_000)
    with through(server, up=proxy.cut_after(chance.randrange(10_000, 330_000))) as (session, _):
        session.target.activate(session)
        uploaded = lab_fault_or(None, lambda: session.put_bytes(data, str(directory / "fw")))
    await_files(directory, {"fw"})
    found = (directory / "fw").read_bytes()
    assert found in (b"old", data)
    assert found == data or not uploaded


def await_files(directory: Path, wanted: set[str]) -> None:
    """Wait until the board has cleaned up, which it does when its side of the connection ends."""
    deadline = time.monotonic() + BUSY_S
    while {p.name for p in directory.iterdir()} != wanted:
        assert time.monotonic() < deadline, list(directory.iterdir())
        time.sleep(0.01)


def test_7_a_half_open_connection_is_noticed_within_15_s(
    serve: Serve, chance: random.Random, monkeypatch: pytest.MonkeyPatch
):
    """If the network becomes silent during a command, the link counts as lost within 15 s."""
    if chance.random() < 0.8:  # what is tried is the same with shorter times
        monkeypatch.setattr(link, "PING_EVERY_S", chance.uniform(0.05, 0.3))
        monkeypatch.setattr(link, "SILENT_AFTER_S", chance.uniform(0.5, 1.5))
    with through(serve(chance.choice(["openssh", "dropbear"]))) as (session, network):
        session.target.activate(session)
        session.execute("true")
        network.frozen.set()
        begin = time.monotonic()
        with pytest.raises(LinkLost, match="no answer to a keepalive"):
            session.execute("true", timeout_s=60)
        assert time.monotonic() - begin < 15 + BUSY_S
        network.frozen.clear()


def test_7_a_command_on_a_silent_network_keeps_its_deadline(serve: Serve, chance: random.Random):
    """A command's timeout below 15 s is kept on a silent network."""
    deadline_s = chance.uniform(0.1, 0.4)
    with through(serve()) as (session, network):
        session.target.activate(session)
        network.frozen.set()
        begin = time.monotonic()
        with pytest.raises(CommandHangs):
            session.execute("true", timeout_s=deadline_s)
        assert time.monotonic() - begin < deadline_s + BUSY_S
        network.frozen.clear()


def test_7_a_slow_network_is_only_slow(serve: Serve, chance: random.Random):
    """Delay alone changes no result."""
    with through(serve()) as (session, network):
        session.target.activate(session)
        network.delay_s = chance.uniform(0.01, 0.05)
        assert session.execute("echo slow").stdout == b"slow\n"


def test_8_a_lost_connection_is_not_redialled_in_silence(serve: Serve, chance: random.Random):
    """After the connection was cut, every call fails until reconnect(); the boot is unchanged."""
    server = serve(chance.choice(["openssh", "dropbear"]))
    told = []
    with active(session_on(server)) as session:
        session.on_reconnect(lambda: told.append(session.boot_id))
        session.execute("true")
        server.cut_connections()
        calls = [
            lambda: session.execute("true"),
            lambda: session.call("true", 5),
            lambda: session.read("/proc/version"),
            lambda: session.put_bytes(b"x", "/tmp/never"),
            lambda: session.spawn("true"),
        ]
        chance.shuffle(calls)
        for call in calls:
            with pytest.raises(InfrastructureError, match=r"connection lost|the shell ended|can't"):
                call()
        assert session.get_status() == 0
        assert session.reconnect(10, same_boot=True) is False
        assert told == [session.boot_id]
        assert session.execute("echo back").stdout == b"back\n"


def test_11_a_reboot_is_told_from_a_lost_connection(serve: Serve, chance: random.Random):
    """A new boot_id after reconnect() is InvalidRun with same_boot, else the returned value."""
    with active(session_on(serve(chance.choice(["openssh", "dropbear"])))) as session:
        session.boot_id = "of the boot before"
        assert session.reconnect(10) is True
        session.boot_id = "of the boot before"
        with pytest.raises(InvalidRun, match=r"reset: .*of the boot before"):
            session.reconnect(10, same_boot=True)


def test_8_a_server_that_stands_still_never_answers_for_another_command(serve: Serve, chance: random.Random):
    """With a stopped server commands are slow or end at the deadline; later replies are right."""
    server = serve(chance.choice(["openssh", "dropbear"]))
    deadline_s = chance.uniform(0.3, 0.6)
    still_s = chance.choice([chance.uniform(0.0, 0.2), deadline_s + chance.uniform(0.2, 0.5)])
    with active(session_on(server)) as session:
        session.execute("true")
        with standing_still(server, still_s):
            for number in range(chance.randint(1, 3)):
                with contextlib.suppress(InfrastructureError):
                    assert session.execute(f"echo {number}", deadline_s).stdout == b"%d\n" % number
        if lost(session):
            session.reconnect(2 * FAULT_DEADLINE_S)
        for number in range(100, 103):
            assert session.execute(f"echo {number}").stdout == b"%d\n" % number


def lost(session: SessionDriver) -> bool:
    """Whether the session reports that its connection has ended."""
    try:
        session.execute("true")
    except LinkLost:
        return True
    return False


@contextlib.contextmanager
def standing_still(server: servers.Server, time_s: float) -> Iterator[None]:
    """Stop the processes that serve connections; they continue after some time."""
    serving = servers.children(server.process.pid)
    assert serving

    def go_on() -> None:
        for pid in serving:
            os.kill(pid, signal.SIGCONT)

    for pid in serving:
        os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(time_s, go_on)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def nobody(_port: int) -> contextlib.AbstractContextManager[object]:
    """Connections are refused."""
    return contextlib.nullcontext()


def mute(port: int) -> contextlib.AbstractContextManager[object]:
    """Connections are accepted, but no greeting is sent."""
    return listener_at(port)


def listener_at(port: int) -> socket.socket:
    """A listener on the port of a server whose last process may still be ending."""
    deadline = time.monotonic() + FAULT_DEADLINE_S + BUSY_S
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < deadline, f"port {port} does not come free"
        time.sleep(0.02)


@contextlib.contextmanager
def babble(port: int) -> Iterator[None]:
    """Another service, such as a boot loader's console, listens on the port."""
    listener = listener_at(port)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    connection.sendall(b"Hit any key\r\n=> \0\xff" * 50)

    thread = threading.Thread(target=serve, name="babble")
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


MEANWHILE = (nobody, mute, babble)
"""What listens on the board's port while it is down."""


def test_8_reconnect_waits_for_a_booting_board(serve: Serve, chance: random.Random, tmp_path: Path):
    """reconnect() retries until the SSH server is up, whatever else answers before."""
    server, meanwhile, boot_s = serve(), chance.choice(MEANWHILE), chance.uniform(0.05, 0.6)
    with active(session_on(server)) as session, contextlib.ExitStack() as later:
        servers.stop(server.process)
        before = contextlib.ExitStack()
        before.enter_context(meanwhile(server.port))

        def boot() -> None:
            before.close()
            later.enter_context(servers.openssh(tmp_path, port=server.port))

        timer = threading.Timer(boot_s, boot)
        timer.start()
        try:
            session.reconnect(2 * FAULT_DEADLINE_S)
        finally:
            timer.join()
        assert session.execute("echo up").stdout == b"up\n"


def test_8_reconnect_gives_up_in_time(serve: Serve, chance: random.Random):
    """If the board never answers, reconnect() fails at the deadline with the last reason, in one line."""
    server, deadline_s = serve(chance.choice(["openssh", "dropbear"])), chance.uniform(0.2, 0.8)
    with active(session_on(server)) as session:
        servers.stop(server.process)
        with chance.choice(MEANWHILE)(server.port):
            begin = time.monotonic()
            with pytest.raises(InfrastructureError, match=r"cannot connect|SSH handshake failed") as raised:
                session.reconnect(deadline_s)
            assert time.monotonic() - begin < deadline_s * 1.1 + BUSY_S
        assert "\n" not in str(raised.value)
        with pytest.raises(InfrastructureError, match="not connected"):
            session.execute("true")


def test_9_one_channel_only_is_enough_and_said_once(
    serve: Serve, chance: random.Random, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """With MaxSessions 1 and no sftp, calls and uploads share one shell; one warning is logged."""
    server = serve("openssh", options="MaxSessions 1\n", sftp=False)
    data, driver = chance.randbytes(5000), session_on(server, connect_timeout_s=BUSY_S)
    with active(driver) as session, caplog.at_level(logging.WARNING):
        session.put_bytes(data, str(tmp_path / "f"))
        assert session.call("echo called", 5).stdout == b"called\n"
        assert session.get_bytes(str(tmp_path / "f")) == data
        with pytest.raises(InfrastructureError, match="refuses a channel"):
            session.spawn("true")
    assert [r.message for r in caplog.records if "only one channel" in r.message].__len__() == 1


def test_9_a_shell_that_hangs_is_not_taken_for_one_channel_too_many(serve: Serve, chance: random.Random):
    """The second try finds the only channel taken: what is raised is why the first one failed."""
    server = serve("openssh", options=f"MaxSessions 1\nForceCommand sleep {chance.randint(600, 700)}\n")
    with (
        pytest.raises(CommandHangs, match="timeout after"),
        active(session_on(server, connect_timeout_s=chance.uniform(1, 2))),
    ):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("size", [100_000, 2 << 20])
def test_13_a_full_disk_is_told_with_its_numbers(
    serve: Serve, chance: random.Random, small_disk: Path, size: int
):
    """An upload without space reports both sizes, and leaves only the old file."""
    server = serve(chance.choice(["openssh", "dropbear", "openssh-busybox"]))
    (small_disk / "fw").write_bytes(b"old")
    with active(session_on(server)) as session:
        data = chance.randbytes(size)
        with pytest.raises(InfrastructureError, match=rf"no space: {size} bytes to write, \d+ KiB free"):
            session.put_bytes(data, str(small_disk / "fw"))
        await_files(small_disk, {"fw"})
        session._one_channel = True
        with pytest.raises(InfrastructureError, match=r"no space: 100000 bytes to write, \d+ KiB free"):
            session.put_bytes(data[:100_000], str(small_disk / "fw"))
    assert (small_disk / "fw").read_bytes() == b"old"
    assert {p.name for p in small_disk.iterdir()} == {"fw"}


def test_14_a_read_only_file_system_is_told(serve: Serve, chance: random.Random, small_disk: Path):
    """Uploads to a read-only file system fail with EROFS; reads work."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with active(session_on(serve(chance.choice(["openssh", "dropbear", "openssh-busybox"])))) as session:
        session._one_channel = chance.choice([True, False])
        with pytest.raises(InfrastructureError, match="EROFS"):
            session.put_bytes(chance.randbytes(chance.randrange(10_000)), str(small_disk / "fw"))
        assert session.execute("echo on").stdout == b"on\n"


NEEDED = ("sha256sum", "cat", "mv", "head", "df", "sync", "setsid", "rm")


@pytest.mark.parametrize("missing", NEEDED)
def test_14_a_missing_tool_is_named_or_not_needed(serve: Serve, tmp_path: Path, missing: str):
    """Without one of the tools, operations work or fail completely with the tool's name."""
    works_without(serve, tmp_path, [missing])


def test_14_missing_tools_are_named_or_not_needed(serve: Serve, chance: random.Random, tmp_path: Path):
    """Without several tools, missing or not executable, operations work or fail with a tool's name."""
    works_without(serve, tmp_path, chance.sample(NEEDED, chance.randint(1, 4)), chance)


def works_without(
    serve: Serve, tmp_path: Path, missing: list[str], chance: random.Random | None = None
) -> None:
    """Commands work; files are read and written, or InfrastructureError names one of the missing tools."""
    tools = Path(servers.busybox_path(tmp_path)) if servers.BUSYBOX else pytest.skip("needs busybox")
    for tool in missing:
        spoil(tools / tool, chance)
    kind = chance.choice(["openssh", "dropbear"]) if chance else "openssh"
    data = chance.randbytes(chance.choice([0, 1, 4, 4096, 70_000])) if chance else b"data"
    with active(session_on(serve(kind, path=str(tools)))) as session:
        session._one_channel = bool(chance) and chance.random() < 0.3
        assert session.execute("echo works").stdout == b"works\n"
        assert session.execute("nothing-of-this-name").code == 127
        for action, wanted in (
            (lambda: session.put_bytes(data, str(tmp_path / "f")), None),
            (lambda: (tmp_path / "f").write_bytes(data), len(data)),
            (lambda: session.get_bytes(str(tmp_path / "f")), data),
            (lambda: session.read(str(tmp_path / "f")), data),
        ):
            with named("|".join(missing)):
                assert action() == wanted
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".mpbench") and "rm" not in missing] == []


def spoil(tool: Path, chance: random.Random | None) -> None:
    """Remove a tool; with `chance`: remove it, make it a dangling link, or not executable."""
    tool.unlink()
    left = chance.choice(["nothing", "link", "file"]) if chance else "nothing"
    if left == "link":
        tool.symlink_to("/nowhere/at/all")
    elif left == "file":
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o644)


@contextlib.contextmanager
def named(tools: str) -> Iterator[None]:
    """Either it works, or InfrastructureError names a missing tool; tools: their names separated by |."""
    try:
        yield
    except InfrastructureError as e:
        if not re.search(rf"({tools}): .*(not found|ermission denied)", str(e)):
            raise


def test_15_a_write_that_never_returns_keeps_its_deadline(
    serve: Serve, chance: random.Random, tmp_path: Path
):
    """A hanging sysfs write fails at its deadline; the session answers during and after it."""
    core = tmp_path / "class/remoteproc/remoteproc0"
    core.mkdir(parents=True)
    (core / "name").write_text("m33\n")
    os.mkfifo(core / "state")
    deadline_s = chance.uniform(0.2, 0.5)
    with active(session_on(serve(chance.choice(["openssh", "dropbear"])))) as session:
        driver = RemoteprocDriver(session.target, "remoteproc", sysfs=str(tmp_path))  # type: ignore[misc]  # labgrid's own two are not seen
        session.target.activate(driver)
        session.call("true", 5)
        answered = []
        beside = threading.Thread(target=lambda: answered.append(session.execute("echo beside").stdout))
        begin = time.monotonic()
        beside.start()
        with pytest.raises(InfrastructureError, match="timeout after"):
            driver.write("m33", "state", "start", deadline_s)
        assert time.monotonic() - begin < deadline_s + BUSY_S
        beside.join()
        assert answered == [b"beside\n"]
        assert after(session).stdout == b"after\n"


def after(session: SessionDriver) -> Reply:
    """Run a command after another was killed; in 1 of 800 runs the server ended the connection too."""
    try:
        return session.call("echo after", 5)
    except LinkLost:
        session.reconnect(10)
        return session.call("echo after", 5)


def activate(driver: SessionDriver) -> None:
    """Connect; clean up if that fails."""
    try:
        driver.target.activate(driver)
    finally:
        driver.target.cleanup()


# --- 36, 37: who is who --------------------------------------------------------------------------


def test_36_an_unknown_host_key_is_refused(serve: Serve, chance: random.Random, tmp_path: Path):
    """Without a pinned key there is no login; the error has the file and the command that pins it."""
    server = serve(chance.choice(["openssh", "dropbear"]))
    nowhere = tmp_path / "empty"
    with pytest.raises(InfrastructureError, match=rf"is not pinned.*{nowhere}.*mpbench enrol 127\.0\.0\.1"):
        activate(session_on(server, known_hosts=str(nowhere)))
    assert not nowhere.exists()


STRANGERS = (
    paramiko.ECDSAKey.generate,
    lambda: paramiko.ECDSAKey.generate(bits=384),
    lambda: paramiko.RSAKey.generate(2048),
)


def strangers(kind: str) -> tuple[Callable[[], paramiko.PKey], ...]:
    """Makers of keys that a server does not have, of kinds that it can be asked for.

    dropbear 2022.83 dies when asked for an RSA key that it advertises and does not have.
    """
    return STRANGERS if kind == "openssh" else STRANGERS[:2]


def test_36_a_changed_host_key_is_refused_until_enrolled(
    serve: Serve, chance: random.Random, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A key other than the pinned one is refused; after `enrol --replace` the login works."""
    kind = chance.choice(["openssh", "dropbear"])
    server = serve(kind)
    key = chance.choice(strangers(kind))()
    pins = tmp_path / "pins"
    host_keys.pin(pins, "127.0.0.1", server.port, key)
    host_keys.pin(pins, "other.example", 22, key)
    with pytest.raises(InfrastructureError, match=r"host key has changed.*--replace"):
        activate(session_on(server, known_hosts=str(pins)))
    enrol = ["enrol", "127.0.0.1", str(server.port), str(pins)]
    assert main.main(enrol) == 2
    assert "add --replace" in capsys.readouterr().err
    assert main.main([*enrol, "--replace"]) == 0
    assert main.main(enrol) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["pinned", "already"]
    with active(session_on(server, known_hosts=str(pins))) as session:
        assert session.execute("echo in").stdout == b"in\n"
    assert host_keys.pinned(pins, ["other.example"]) == [key]


def test_36_enrolment_of_a_silent_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Without a server: exit code 3, one line, no file."""
    words = ["enrol", "127.0.0.1", str(servers.free_port()), str(tmp_path / "pins")]
    assert main.main([*words, "--wait", "0"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "pins").exists()


def line(server: servers.Server) -> bytes:
    """The line that pins the server's key."""
    return server.known_hosts.read_bytes().strip()


def stranger_line(server: servers.Server, chance: random.Random) -> bytes:
    """A line that pins another key for the same address."""
    key = chance.choice(strangers(server.kind))()
    return f"[127.0.0.1]:{server.port} {key.get_name()} {key.get_base64()}".encode()


def somebody_else(server: servers.Server, chance: random.Random) -> bytes:
    """The server's key under other names."""
    key = line(server).partition(b" ")[2]
    return (
        chance.choice([b"127.0.0.1", b"[127.0.0.1]:1", b"127.*", b"[127.0.0.2]:%d" % server.port])
        + b" "
        + key
    )


def cut_short(server: servers.Server, chance: random.Random) -> bytes:
    """The right line, truncated."""
    whole = line(server)
    return whole[: chance.randrange(len(whole) - 4)]


def flipped(server: servers.Server, chance: random.Random) -> bytes:
    """The right line with flipped bits in its key."""
    spoilt = bytearray(line(server))
    begin = spoilt.rindex(b" ") + 1
    for at in chance.sample(range(begin + 4, len(spoilt) - 4), chance.randint(1, 3)):
        spoilt[at] ^= 1 << chance.randrange(5)
    return bytes(spoilt).replace(b"\n", b"x")


def revoked(server: servers.Server, chance: random.Random) -> bytes:
    """A marker before the right line gives it another meaning. Ref: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT"""
    return chance.choice([b"@revoked ", b"@cert-authority "]) + line(server)


def noise(_server: servers.Server, chance: random.Random) -> bytes:
    """Any bytes."""
    return chance.randbytes(chance.randrange(1, 400))


NO_PIN = (stranger_line, somebody_else, cut_short, flipped, revoked, noise)


def test_36_only_a_whole_line_with_the_boards_own_key_lets_it_in(
    serve: Serve, chance: random.Random, tmp_path: Path
):
    """A known_hosts file with damaged lines: without the right line the login fails, in one line.

    With it among lines of other hosts, the board is reached.
    """
    server = serve(chance.choice(["openssh", "dropbear"]))
    pins = tmp_path / "pins"
    lines = [chance.choice(NO_PIN)(server, chance) for _ in range(chance.randint(1, 4))]
    pins.write_bytes(b"\n".join(lines) + chance.choice([b"", b"\n", b"\r\n"]))
    with pytest.raises(InfrastructureError, match=r"host key|invalid known_hosts") as raised:
        activate(session_on(server, known_hosts=str(pins)))
    assert "\n" not in str(raised.value)
    assert str(pins) in str(raised.value)
    good = [b"# comment", b"", line(server), somebody_else(server, chance), b"too few"]
    chance.shuffle(good)
    pins.write_bytes(b"\n".join(good) + b"\n")
    with active(session_on(server, known_hosts=str(pins))) as session:
        assert session.execute("echo in").stdout == b"in\n"


def a_directory(path: Path) -> None:
    """A directory in the file's place."""
    path.mkdir(mode=0o700)


def a_pipe(path: Path) -> None:
    """A pipe without a writer, on which a read blocks."""
    os.mkfifo(path, 0o600)


def a_socket(path: Path) -> None:
    """A socket's name."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    path.chmod(0o600)


def a_loop(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


NO_FILE = (a_directory, a_pipe, a_socket, a_loop)


def test_36_an_unreadable_pin_file_is_told(serve: Serve, chance: random.Random, tmp_path: Path):
    """A path that is not a regular file is an error, not an empty list of keys, and does not block."""
    chance.choice(NO_FILE)(tmp_path / "pins")
    begin = time.monotonic()
    with pytest.raises(InfrastructureError, match="invalid known_hosts file") as raised:
        activate(session_on(serve(), known_hosts=str(tmp_path / "pins")))
    assert time.monotonic() - begin < FAULT_DEADLINE_S + BUSY_S
    assert "\n" not in str(raised.value)


def test_37_a_private_key_open_to_others_is_refused(serve: Serve, chance: random.Random, tmp_path: Path):
    """A key that others can access is not used; the error has the command that helps, and it does."""
    server = serve(chance.choice(["openssh", "dropbear"]))
    place = tmp_path / "keys"
    place.mkdir()
    key = place / "key"
    key.write_bytes(server.keyfile.read_bytes())
    place.chmod(chance.choice([0o700, 0o755, 0o777, 0o1777]))
    if os.getuid() == 0:
        os.chown(key, chance.choice([0, 1, 65534]), chance.choice([0, 1, 65534]))
    key.chmod(chance.randrange(8) << 6 | chance.randrange(1, 0o100) | chance.choice([0, 0o4000, 0o1000]))
    named = key if chance.random() < 0.5 else tmp_path / "link"
    if named != key:
        named.symlink_to(key)
    with pytest.raises(InfrastructureError, match=rf"lets others read it; run `chmod 600 {named}`"):
        activate(session_on(server, keyfile=str(named)))
    named.chmod(0o600)
    with active(session_on(server, keyfile=str(named))) as session:
        assert session.execute("echo in").stdout == b"in\n"


def test_37_what_is_no_key_is_told(serve: Serve, chance: random.Random, tmp_path: Path):
    """A missing file, no key or half a key is an InfrastructureError in one line, without waiting."""
    server, path = serve(), tmp_path / "key"
    whole = server.keyfile.read_bytes()
    contents = [b"", chance.randbytes(chance.randrange(1, 3000)), whole[: chance.randrange(len(whole) - 40)]]
    make = chance.choice([*NO_FILE, *(lambda path, data=data: path.write_bytes(data) for data in contents)])
    make(path)
    if not path.is_symlink() and path.is_file():
        path.chmod(0o600)
    begin = time.monotonic()
    with pytest.raises(InfrastructureError, match="private key") as raised:
        activate(session_on(server, keyfile=str(path)))
    assert time.monotonic() - begin < FAULT_DEADLINE_S + BUSY_S
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("content", "match"), [(None, "No such file"), (b"garbage", "invalid private key")])
def test_37_a_key_that_is_no_key_is_told(serve: Serve, tmp_path: Path, content: bytes | None, match: str):
    """A missing or broken private key is an InfrastructureError in one line."""
    path = tmp_path / "broken"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(InfrastructureError, match=match), active(session_on(serve(), keyfile=str(path))):
        pytest.fail("logged in")


def test_a_refused_login_and_a_closed_port_are_lab_faults(serve: Serve, tmp_path: Path):
    """A key that the board does not accept, and a closed port, are one-line errors."""
    server = serve()
    (tmp_path / "stranger").mkdir()
    stranger = servers.client_key(tmp_path / "stranger")
    for wrong, match in (({"keyfile": str(stranger)}, "login refused"), ({}, "cannot connect")):
        driver = session_on(server if wrong else attr.evolve(server, port=servers.free_port()), **wrong)
        with pytest.raises(InfrastructureError, match=match):
            activate(driver)


def test_the_login_goes_on_where_the_greeting_came(serve: Serve):
    """answers() keeps its connection for the login; one that has been reset meanwhile is not kept again."""
    with through(serve()) as (session, made):
        assert session.answers(5.0)
        session.target.activate(session)
        assert len(made.connections) == 2, "one of ours and one to the server"
        assert echoed(session, 1) == b"1\n"
        session.target.deactivate(session)
        assert session.answers(5.0)
        made.connections[2].shutdown(socket.SHUT_RDWR)
        with pytest.raises(Unanswered):
            session.target.activate(session)
        session.target.activate(session)
        assert echoed(session, 2) == b"2\n"


def test_a_server_that_never_greets_is_given_up(serve: Serve):
    """Bytes that are no SSH greeting, or no bytes, end at the connection timeout."""
    server = serve()
    with through(server, down=lambda _data, _at: b"") as (session, _):
        session.connect_timeout_s = 0.5
        assert session.answers(0.2) is False
        with pytest.raises(InfrastructureError, match="SSH handshake failed"):
            session.target.activate(session)
