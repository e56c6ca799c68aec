# SPDX-License-Identifier: MIT
"""Where to connect to a board's SSH server: directly, or through labgrid's proxy if its place has one."""

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from labgrid.driver import ExecutionError
from labgrid.resource.common import NetworkResource
from labgrid.util.proxy import proxymanager
from labgrid.util.ssh import sshmanager

from mpbench.board.session.link import lab_faults
from mpbench.board.session.shell_protocol import one_line


def endpoint(service: Any) -> tuple[str, int]:
    """Host and TCP port that lead to labgrid's NetworkService. InfrastructureError if the proxy fails."""
    resource = NetworkResource(None, None, service.address)
    resource.port, resource.extra = service.port, getattr(service, "extra", {})
    with lab_faults(f"{service.address} port {service.port}: cannot connect through the proxy"):
        try:
            _drop_dead_connection(resource.extra)
            host, port = proxymanager.get_host_and_port(resource)
        except (ExecutionError, subprocess.SubprocessError) as e:
            raise OSError(one_line(e)) from e
    return str(host or service.address), int(port)


def _drop_dead_connection(extra: Mapping[str, object]) -> None:
    """labgrid reuses its connection to a proxy even after that has ended."""
    proxy = extra.get("proxy") if extra.get("proxy_required") else os.environ.get("LG_PROXY")
    if proxy and not sshmanager.get(proxy).isconnected():
        sshmanager.remove_by_name(proxy)
