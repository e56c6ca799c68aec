# SPDX-License-Identifier: MIT
"""Fixtures for sessions on every kind of server and userland."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labgrid import Target
from labgrid.driver import SSHDriver
from labgrid.resource import NetworkService

from mpbench.board.session.driver import SessionDriver
from testcases.contract import servers
from testcases.contract.wheel import WheelEnvironment

KINDS = {
    "openssh": servers.openssh,
    "openssh-busybox": lambda root: servers.openssh(root, path=servers.busybox_path(root)),
    "openssh-no-sftp": lambda root: servers.openssh(root, sftp=False),
    "dropbear": servers.dropbear,
    "dropbear-busybox-no-sftp": lambda root: servers.dropbear(
        root, path=servers.busybox_path(root), sftp=False
    ),
}


def need(kind: str) -> None:
    """Skip the test if the host lacks the server, which only the tests need."""
    tool = servers.SSHD if kind.startswith("openssh") else servers.DROPBEAR
    if not Path(tool).exists():
        pytest.skip(f"{tool} is not installed")
    if "busybox" in kind and servers.BUSYBOX is None:
        pytest.skip("busybox is not installed")
    if kind.startswith("dropbear") and shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")


def session_on(server: servers.Server, **attributes: Any) -> SessionDriver:
    """A SessionDriver bound to the server, not yet active."""
    target = Target(server.kind)
    NetworkService(target, "ssh", "127.0.0.1", server.username, port=server.port)
    values: dict[str, Any] = {
        "keyfile": str(server.keyfile),
        "known_hosts": str(server.known_hosts),
    } | attributes
    return SessionDriver(target, "session", **values)


@contextlib.contextmanager
def active(driver: SessionDriver | SSHDriver) -> Iterator[SessionDriver | SSHDriver]:
    """The activated driver; deactivated when the block ends."""
    try:
        driver.target.activate(driver)
        yield driver
    finally:
        driver.target.cleanup()


@pytest.fixture(scope="session")
def wheel_env(tmp_path_factory: pytest.TempPathFactory) -> WheelEnvironment:
    """An environment with the bench from a wheel, made once; the checkout is on no path of it."""
    return WheelEnvironment(tmp_path_factory.mktemp("wheel"))


Serve = Callable[..., servers.Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers by kind; all end with the test."""
    with contextlib.ExitStack() as stack:

        def start(kind: str = "openssh", **options: object) -> servers.Server:
            need(kind)
            maker = getattr(servers, kind) if options else KINDS[kind]
            return stack.enter_context(maker(tmp_path, **options))

        yield start


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, serve: Serve) -> servers.Server:
    """Each kind of server in turn."""
    return serve(request.param)


@pytest.fixture
def session(server: servers.Server) -> Iterator[SessionDriver]:
    """An active SessionDriver on each kind of server."""
    with active(session_on(server)) as driver:
        yield driver
