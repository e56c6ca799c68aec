# SPDX-License-Identifier: MIT
"""Real SSH servers on loopback with temporary keys, for tests of the session."""

import base64
import contextlib
import getpass
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
from attrs import frozen

from mpbench.board import host_keys

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
DROPBEAR = shutil.which("dropbear") or "/usr/sbin/dropbear"
BUSYBOX = shutil.which("busybox")


@frozen
class Server:
    """A running server."""

    kind: str
    port: int
    keyfile: Path
    known_hosts: Path
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def username(self) -> str:
        return getpass.getuser()

    def cut_connections(self) -> None:
        """Kill the processes that serve connections, as a reset would; the listener stays."""
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Direct children of a process, from /proc; its threads may end during the search."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def busybox_path(root: Path) -> str:
    """A directory with nothing but busybox's own applets, as a small board has."""
    assert BUSYBOX is not None
    tools = root / "busybox"
    if not tools.exists():
        tools.mkdir()
        subprocess.run([BUSYBOX, "--install", "-s", str(tools)], check=True)
    return str(tools)


def client_key(root: Path) -> Path:
    """A private key; the public key is written next to it."""
    path = root / "id"
    if not path.exists():
        key = paramiko.ECDSAKey.generate()
        path.touch(mode=0o600)
        key.write_private_key_file(str(path))
        path.with_suffix(".pub").write_text(f"{key.get_name()} {key.get_base64()}\n")
    return path


@contextlib.contextmanager
def openssh(
    root: Path, *, port: int = 0, options: str = "", path: str = "", sftp: bool = True
) -> Iterator[Server]:
    """OpenSSH's sshd; `path`: PATH of every session; `options`: further lines of sshd_config."""
    host_key = root / "host_ecdsa"
    if not host_key.exists():
        paramiko.ECDSAKey.generate().write_private_key_file(str(host_key))
        host_key.chmod(0o600)
    authorized = root / "authorized_keys"
    shutil.copy(client_key(root).with_suffix(".pub"), authorized)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = port or free_port()
    config = root / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\n"
        "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\n"
        + ("Subsystem sftp internal-sftp\n" if sftp else "")
        + (f"SetEnv PATH={path}\n" if path else "")
        + options
    )
    key = paramiko.ECDSAKey.from_private_key_file(str(host_key))
    yield from _serve("openssh", [SSHD, "-D", "-e", "-f", str(config)], root, port, key)


@contextlib.contextmanager
def dropbear(root: Path, *, port: int = 0, path: str = "", sftp: bool = True) -> Iterator[Server]:
    """dropbear; a forced command sets `path` and disables sftp, for which it has no settings."""
    host_key = root / "dropbear_host"
    if not host_key.exists():
        subprocess.run(
            [shutil.which("dropbearkey") or "dropbearkey", "-t", "ecdsa", "-f", str(host_key)],
            check=True,
            capture_output=True,
        )
    port = port or free_port()
    forced = root / "forced.sh"
    refuse = "" if sftp else 'case "$SSH_ORIGINAL_COMMAND" in *sftp*) exit 127;; esac\n'
    forced.write_text(f'{refuse}PATH={path or "$PATH"}\nexport PATH\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    serve = [DROPBEAR, "-F", "-E", "-s", "-p", f"127.0.0.1:{port}", "-r", str(host_key), "-P", ""]
    if path or not sftp:
        serve += ["-c", f"/bin/sh {forced}"]
    command = _with_home(root, serve)
    public = subprocess.run(
        [shutil.which("dropbearkey") or "dropbearkey", "-y", "-f", str(host_key)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    kind, blob = next(line.split()[:2] for line in public.splitlines() if line.startswith("ecdsa"))
    yield from _serve(
        "dropbear", command, root, port, paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
    )


def _with_home(root: Path, command: list[str]) -> list[str]:
    """`command` in a mount name space with a temporary home: dropbear reads keys only there."""
    home = root / "home" / ".ssh"
    home.mkdir(parents=True, exist_ok=True)
    home.parent.chmod(0o700)
    home.chmod(0o700)
    shutil.copy(client_key(root).with_suffix(".pub"), home / "authorized_keys")
    (home / "authorized_keys").chmod(0o600)
    passwd = root / "passwd"
    entry = pwd.getpwuid(os.getuid())
    passwd.write_text(f"{entry.pw_name}:x:0:0::{home.parent}:/bin/sh\n" + Path("/etc/passwd").read_text())
    script = f"mount --bind {passwd} /etc/passwd && exec {shlex.join(command)}"
    return ["unshare", "-m" if os.getuid() == 0 else "-Urm", "sh", "-c", script]


def _serve(kind: str, command: list[str], root: Path, port: int, key: paramiko.PKey) -> Iterator[Server]:
    known_hosts = root / "known_hosts"
    host_keys.pin(known_hosts, "127.0.0.1", port, key)
    with (root / f"{kind}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_port(process, port, root / f"{kind}.log")
        yield Server(kind, port, client_key(root), known_hosts, root, process)
    finally:
        stop(process)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server accepts connections."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill the server and the processes that serve its connections."""
    for pid in [*children(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
