# SPDX-License-Identifier: MIT
"""The file of pinned host keys: read as OpenSSH reads it, and written without losing anything."""

import base64
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import paramiko
import pytest

from mpbench.board import enrol, host_keys
from mpbench.board.host_keys import KnownHost, names_of, pin, pinned
from mpbench.core.errors import InfrastructureError, UsageError

OLD, NEW, OTHER = (paramiko.ECDSAKey.generate() for _ in range(3))
SK = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA"


def text(key: paramiko.PKey) -> str:
    """Kind and key as a line has them."""
    return f"{key.get_name()} {key.get_base64()}"


HASHED = paramiko.HostKeys.hash_host("192.0.2.1")
KEPT = [
    "# the lab's boards",
    "",
    f"@cert-authority *.lab {text(OTHER)} a comment with spaces",
    f"@revoked * {text(OTHER)}",
    f"board-2,192.0.2.2 {text(OLD)} installed in May",
    f"board-3 {SK}",
    f"[192.0.2.1]:2222 {text(OLD)}",
    "too few",
    "192.0.2.9 ssh-rsa not!base64",
    "\udcff\udcfe bytes that are no text",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a bit of everything, and three lines of the board 192.0.2.1."""
    path = tmp_path / "known_hosts"
    mine = [f"{HASHED} {text(OLD)}", f"192.0.2.1 {SK}", f"192.0.2.1 {text(OTHER)}"]
    path.write_bytes("\n".join([*KEPT, *mine, ""]).encode("utf-8", "surrogateescape"))
    return path


def lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8", "surrogateescape").splitlines()


def test_a_pin_replaces_the_boards_lines_only(file):
    """Comments, markers, unknown kinds of keys, damaged lines, other hosts and ports stay byte by byte."""
    pin(file, "192.0.2.1", 22, NEW)
    assert lines(file) == [*KEPT, f"192.0.2.1 {text(NEW)}"]
    assert pinned(file, ["192.0.2.1"]) == [NEW]
    pin(file, "192.0.2.1", 2222, NEW)
    assert pinned(file, [names_of("192.0.2.1", 2222)]) == [NEW]


def test_a_line_of_several_names_keeps_the_others(tmp_path):
    """One name is removed; a pattern gets it as an exception; comments stay."""
    path = tmp_path / "pins"
    path.write_text(f"a,192.0.2.1,b {text(OLD)} lab\n192.0.2.* {text(OTHER)}\n")
    pin(path, "192.0.2.1", 22, NEW)
    assert lines(path) == [
        f"a,b {text(OLD)} lab",
        f"192.0.2.*,!192.0.2.1 {text(OTHER)}",
        f"192.0.2.1 {text(NEW)}",
    ]
    assert pinned(path, ["192.0.2.1"]) == [NEW]
    assert pinned(path, ["192.0.2.7"]) == [OTHER]
    assert pinned(path, ["B"]) == [OLD]


def test_revoked_keys_and_authorities_pin_nothing(file):
    """A key on a line @revoked is not accepted although it is pinned; an authority is no host key."""
    assert pinned(file, ["192.0.2.1"]) == [OLD]
    assert pinned(file, ["x.lab"]) == []
    assert host_keys.is_revoked(file, ["192.0.2.1"], OTHER)
    with pytest.raises(UsageError, match="revokes the key that the board presents"):
        enrol._pin(file, "192.0.2.1", 22, OTHER, replace=True)


def test_a_damaged_line_is_an_error_of_its_own_host(file):
    """Its number is named; other hosts are not concerned."""
    with pytest.raises(InfrastructureError, match=r"known_hosts:9: invalid known_hosts file"):
        pinned(file, ["192.0.2.9"])


def test_a_link_stays_a_link(file, tmp_path):
    """The file behind it is written."""
    link = tmp_path / "link"
    link.symlink_to(file)
    pin(link, "192.0.2.1", 22, NEW)
    assert link.is_symlink()
    assert pinned(file, ["192.0.2.1"]) == [NEW]


def test_a_pattern_with_many_stars_is_matched_at_once():
    """A known_hosts file of others must not keep a connection waiting."""
    known = KnownHost("", "*a" * 40 + "b,*.lab,[192.0.2.?]:2*", "ssh-rsa", "x")
    assert not known.is_for("a" * 200)
    assert known.is_for("BOARD.lab")
    assert known.is_for("[192.0.2.1]:2222")
    assert not known.is_for("1")


def test_a_comment_or_marker_is_no_name():
    """Words of lines that pin nothing."""
    assert KnownHost.parse("# a b c") is None
    assert KnownHost.parse("@") is None
    assert KnownHost.parse("@revoked a b") is None
    assert KnownHost.parse("!*,a b c").is_for("a") is False


EIGHT = """
import sys, time
from pathlib import Path
import paramiko
from mpbench.board import enrol, host_keys
path, number = Path(sys.argv[1]), int(sys.argv[2])
key = paramiko.ECDSAKey.generate()
print("ready", flush=True)
sys.stdin.readline()
with host_keys.locked(path):
    enrol._pin(path, f"192.0.2.{number}", 22, key, replace=False)
"""


@pytest.mark.slow
def test_eight_at_once_lose_no_key(file):
    """Eight processes enrol a board each: the file has all eight keys, and all that it had."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EIGHT, str(file), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(101, 109)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 8
    for process in processes:
        process.stdout.close()
    assert all(len(pinned(file, [f"192.0.2.{number}"])) == 1 for number in range(101, 109))
    assert lines(file)[: len(KEPT)] == KEPT


def test_a_board_that_still_boots_is_waited_for(tmp_path, monkeypatch, capsys):
    """The first attempts fail, one line reports it, and the key is pinned once the server answers."""
    answers = iter([InfrastructureError("192.0.2.1 port 22: no SSH server answers: refused")] * 2)

    def greet(*_, **__):
        if fault := next(answers, None):
            raise fault
        return NEW

    monkeypatch.setattr(enrol, "greet", greet)
    monkeypatch.setattr(enrol, "PAUSE_S", 0.0)
    assert enrol.enrol("192.0.2.1", 22, tmp_path / "pins", wait_s=600).startswith("pinned in ")
    assert capsys.readouterr().err == (
        "192.0.2.1 port 22: no SSH server answers: refused; trying for 600 s\n"
    )


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (os.mkfifo, "it is a FIFO; only regular files are replaced"),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.symlink_to(path), "it is a symbolic link to {}; give that path"),
    ],
    ids=["FIFO", "directory", "loop of links"],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_board_is_asked(
    tmp_path, monkeypatch, made, what
):
    """A mistake of the caller: nothing is dialled."""
    path = tmp_path / "pins"
    made(path)
    monkeypatch.setattr(enrol, "greet", lambda *_, **__: pytest.fail("dialled"))
    with pytest.raises(UsageError) as raised:
        enrol.enrol("192.0.2.1", 22, path, wait_s=600)
    assert str(raised.value) == f"cannot write {path}: {what.format(path)}"


@pytest.mark.slow
def test_a_server_that_resets_the_connection_is_one_line(tmp_path):
    """As the port of a virtual board that boots; a traceback of paramiko is no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reset():
            one, _ = listener.accept()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()

        resets = threading.Thread(target=reset)
        resets.start()
        words = ["enrol", "127.0.0.1", str(listener.getsockname()[1]), str(tmp_path / "pins"), "--wait", "0"]
        script = f"import sys; from mpbench.commands.main import main; sys.exit(main({words!r}))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        resets.join()
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert "no SSH server answers" in done.stderr


@pytest.mark.parametrize(
    ("address", "port", "words"),
    [
        ("192.0.2.1", 70000, "port 70000: 1 to 65535 are possible"),
        ("192.0.2.1", 0, "port 0: 1 to 65535 are possible"),
        (
            "a" * 70,
            22,
            f"address '{'a' * 70}' is no name of a host: no part of one may be empty or longer than ",
        ),
        ("é..x", 22, "address 'é..x' is no name of a host: no part of one may be empty or longer than 63 "),
    ],
)
def test_an_address_that_no_board_can_have_is_not_waited_for(tmp_path, address, port, words):
    """A mistake of the caller, found before anything is sent."""
    with pytest.raises(UsageError) as raised:
        enrol.enrol(address, port, tmp_path / "pins", wait_s=600)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize("marker", ["", "@revoked "])
def test_a_key_that_only_looks_whole_is_damaged(tmp_path, marker):
    """paramiko takes what is there where a length says more: the line is damaged, and the key the same."""
    blob = bytearray(OLD.asbytes())
    length_at = len(blob) - 65 - 4  # of the point on the curve, the last part
    assert blob[length_at : length_at + 4] == struct.pack(">I", 65)
    blob[length_at] = 1
    damaged = f"{OLD.get_name()} {base64.b64encode(blob).decode()}"
    path = tmp_path / "known_hosts"
    path.write_text(f"board {text(OLD)}\n{marker}board {damaged}\n")
    with pytest.raises(InfrastructureError, match=r"known_hosts:2: invalid known_hosts file: the key is dam"):
        pinned(path, ["board"])
    assert pinned(path, ["another"]) == []
