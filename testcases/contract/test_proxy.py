# SPDX-License-Identifier: MIT
"""A board behind a lab host: the session goes through labgrid's proxy, over a real sshd on loopback."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid.util.ssh import sshmanager

from mpbench.board.session.driver import SessionDriver
from mpbench.core.errors import InfrastructureError
from testcases.contract import servers
from testcases.contract.conftest import Serve, active, session_on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed"),
]

LAB_HOST = "mpbench-lab-host"
CONFIG = """Host {name}
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile {key}
IdentitiesOnly yes
UserKnownHostsFile {known_hosts}
"""


@pytest.fixture
def lab_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[servers.Server]:
    """The proxy, which labgrid's ssh finds by name in a user's configuration."""
    root = tmp_path / "lab-host"
    root.mkdir()
    with servers.openssh(root) as server:
        config, ssh = root / "config", root / "ssh"
        config.write_text(
            CONFIG.format(
                name=LAB_HOST,
                port=server.port,
                user=server.username,
                key=server.keyfile,
                known_hosts=server.known_hosts,
            )
        )
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        ssh.chmod(0o700)
        monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
        yield server
        forget_lab_host()


def forget_lab_host() -> None:
    """Close labgrid's connection, which it keeps until the process ends."""
    found = sshmanager._connections.pop(LAB_HOST, None)
    if found is not None and found.isconnected():
        found.disconnect()


def through_proxy(server: servers.Server) -> SessionDriver:
    """A session whose board is reached through the lab host, as an exporter configures it."""
    driver = session_on(server, connect_timeout_s=5.0)
    driver.networkservice.extra = {"proxy_required": True, "proxy": LAB_HOST}
    return driver


@pytest.mark.usefixtures("lab_host")
def test_a_session_goes_through_the_proxy(serve: Serve, tmp_path: Path):
    """Commands and files pass through the proxy; the host key is pinned under the board's address."""
    with active(through_proxy(serve("openssh"))) as session:
        address = session.address()
        assert (address.host, address.tcp_port != address.port) == ("localhost", True)
        assert session.execute("echo through").stdout == b"through\n"
        session.put_bytes(b"through", str(tmp_path / "file"))
        assert session.get_bytes(str(tmp_path / "file")) == b"through"
        assert session.answers(2.0)


def test_a_proxy_that_goes_away_is_a_lost_link(serve: Serve, lab_host: servers.Server):
    """When the lab host ends, every call fails; when it is back, the session can reconnect."""
    with active(through_proxy(serve("dropbear"))) as session:
        servers.stop(lab_host.process)
        with pytest.raises(InfrastructureError, match=r"connection lost|the shell ended"):
            session.execute("true", timeout_s=20)
        with pytest.raises(
            InfrastructureError, match=r"cannot connect through the proxy|cannot connect|SSH handshake failed"
        ):
            session.reconnect(0.5)
        with servers.openssh(lab_host.root, port=lab_host.port):
            assert session.reconnect(20, same_boot=True) is False
            assert session.execute("echo back").stdout == b"back\n"
            forget_lab_host()


def test_no_proxy_is_one_line(serve: Serve, lab_host: servers.Server):
    """If the lab host does not answer, a one-line InfrastructureError names the board."""
    server = serve("openssh")
    servers.stop(lab_host.process)
    session = through_proxy(server)
    with pytest.raises(
        InfrastructureError, match=rf"127\.0\.0\.1 port {server.port}: cannot connect through the proxy"
    ) as raised:
        session.target.activate(session)
    assert "\n" not in str(raised.value)
    session.target.cleanup()
