# SPDX-License-Identifier: MIT
"""One run per board on this host, whoever its user and however the target file spells the board's address.

The lock is a Unix socket with an abstract name: the kernel gives a name to one process at a time, whoever its
user, needs no directory for it, and takes it back when the process ends. A board has a name for each of its
resources (SSH server, serial ports, power port), and two runs that share any of them share the board.

Ref: unix(7): abstract sockets, SO_PEERCRED. A container with a network of its own has names of its own.
"""

import contextlib
import errno
import hashlib
import ipaddress
import os
import pwd
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from mpbench.core.errors import InfrastructureError
from mpbench.core.files import real_path

PREFIX = "mpbench-board-"
LOOPBACK = "127.0.0.1"
LOOPBACKS = frozenset(map(ipaddress.ip_address, (LOOPBACK, "127.0.1.1", "::1")))
"""Debian gives the second one to the host's own name."""
REMOTE = {"NetworkService": "address", "NetworkSerialPort": "host", "NetworkPowerPort": "host"}
LOCAL = {"RawSerialPort", "USBSerialPort"}
"""labgrid's resources that belong to one board, with the attribute that has their host or its URL. Others may
be of several boards behind one address, an exporter's."""


@define
class HostLock:
    """Names of a board that this process holds, until close() or its end."""

    sockets: list[socket.socket]

    def close(self) -> None:
        """Give the board up."""
        for held in self.sockets:
            held.close()


def host_lock(target: Any) -> HostLock | None:
    """Lock the target's board on this host; None if it has no address.

    It survives a restart of the coordinator, whose lock does not. InfrastructureError if another run has it.
    """
    names = {name: shown for resource in target.resources for name, shown in names_of(resource)}
    if not names:
        return None
    lock = HostLock([])
    try:
        for name in sorted(names):  # in one order: of two runs at once one gets all
            lock.sockets.append(_held(name, names[name]))
    except BaseException:
        lock.close()
        raise
    return lock


def _held(name: str, shown: str) -> socket.socket:
    """A socket that has the name. InfrastructureError if another process has it."""
    address = f"\0{PREFIX}{hashlib.sha256(name.encode()).hexdigest()}"
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.bind(address)
        found.listen(socket.SOMAXCONN)  # who asks for the holder stays in this queue
    except OSError as e:
        found.close()
        if e.errno != errno.EADDRINUSE:
            raise InfrastructureError(f"cannot lock the board at {shown}: {e.strerror}") from e
        raise InfrastructureError(f"another run uses the board at {shown}: {_holder(address)}") from None
    return found


def _holder(address: str) -> str:
    """Process and user that hold a name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        with contextlib.suppress(OSError):
            asking.connect(address)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, uid, _ = struct.unpack("3i", credentials)
            return f"process {pid} of user {_user(uid)}"
    return "a process that is ending"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def names_of(resource: Any) -> Iterator[tuple[str, str]]:
    """Names by which a resource identifies its board, each with the address that messages show."""
    kind = type(resource).__name__
    if kind in LOCAL:
        if port := resource.port:  # None: an adapter that is not plugged in
            yield f"device {_device(Path(port))}", str(port)
        if match := getattr(resource, "match", None):  # by which it is found when it comes
            what = ", ".join(sorted(f"{name}={value}" for name, value in match.items()))
            yield f"USB {what}", f"USB {what}"
    elif kind in REMOTE:
        host, port = _endpoint(str(getattr(resource, REMOTE[kind]) or ""), getattr(resource, "port", None))
        index = getattr(resource, "index", None)
        more = f":{port}" * bool(port) + f" index {index}" * (index is not None)
        proxies = _proxies(resource)
        for address in [host] * bool(host) if proxies else addresses(host):
            for via in proxies or [""]:
                yield f"{kind} {via} {address}{more}", host + more


def _device(path: Path) -> str:
    """Number of a device, whatever its file is called; the path of what is none."""
    with contextlib.suppress(OSError):
        found = path.stat()
        if stat.S_ISCHR(found.st_mode):
            return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return str(real_path(path))


def _endpoint(text: str, port: object) -> tuple[str, int]:
    """Host in lower case, and port, of a resource whose host may be a URL; 0 without a port."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(text if "://" in text else f"//{text}")
        known = {"http": 80, "https": 443}.get(parts.scheme, 0)
        if parts.hostname:
            return parts.hostname.rstrip("."), parts.port or (port if isinstance(port, int) else known)
    return text.lower(), port if isinstance(port, int) else 0


def _proxies(resource: Any) -> list[str]:
    """Addresses of the host through which a resource is reached; its own are those of that host's network."""
    extra = getattr(resource, "extra", None) or {}
    via = str(extra.get("proxy", "")) if extra.get("proxy_required") else os.environ.get("LG_PROXY", "")
    host = via.rpartition("@")[2].lower().rstrip(".")
    return addresses(host) if host else []


def addresses(host: str) -> list[str]:
    """All numeric addresses of a host, those of this one in one form; else the name itself; [] of none."""
    if not host:
        return []
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [host]
    return sorted({_plain(str(address[0])) for *_, address in found})


def _plain(address: str) -> str:
    """This host's loopback, unspecified and own addresses as one, IPv6's form of an IPv4 address as IPv4.

    Most of 127.0.0.0/8 stays apart: a virtual board has an address of its own there.
    """
    found = ipaddress.ip_address(address)
    found = getattr(found, "ipv4_mapped", None) or found
    is_ours = found in LOOPBACKS or found.is_unspecified or (not found.is_loopback and _is_own(found))
    return LOOPBACK if is_ours else str(found)


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an interface of this host has it: then the kernel reaches it from itself. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
        asking.connect((str(address), 9))
        return bool(asking.getsockname()[0] == str(address))
    return False
