# SPDX-License-Identifier: MIT
"""Pinned host keys: one OpenSSH known_hosts file per lab or board; only `mpbench enrol` writes it.

Ref: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT
"""

import stat
from pathlib import Path

import paramiko

from mpbench.board.session.shell_protocol import one_line
from mpbench.core import files
from mpbench.core.errors import InfrastructureError
from mpbench.core.files import os_errors, replacing


def names_of(address: str, port: int) -> str:
    """Name of a host in a known_hosts file: the address alone for port 22, else `[address]:port`."""
    return address if port == 22 else f"[{address}]:{port}"


def pinned(path: Path, names: list[str]) -> list[paramiko.PKey]:
    """Keys that `path` pins for any of `names`; empty if there is no such file.

    InfrastructureError for a file that cannot be read or parsed.
    """
    try:
        _check_file(path.stat().st_mode)
        known = paramiko.HostKeys(str(path))
    except FileNotFoundError:
        return []
    except Exception as e:  # paramiko's parser raises many kinds of exceptions for a malformed line
        raise InfrastructureError(f"{path}: invalid known_hosts file: {one_line(e)}") from e
    return [key for name in names for key in (known.lookup(name) or {}).values()]


def check(key: paramiko.PKey, pins: list[paramiko.PKey], path: Path, address: str, port: int) -> None:
    """InfrastructureError, with the command that pins it, unless `key` is one of `pins`."""
    if any(pin.asbytes() == key.asbytes() for pin in pins):
        return
    what = "has changed" if pins else "is not pinned"
    raise InfrastructureError(
        f"{address} port {port}: the host key {what}: {key.get_name()} {key.fingerprint}, pinned in {path}: "
        f"{', '.join(str(p.fingerprint) for p in pins) or 'none'}; for a new or re-installed board: "
        f"mpbench enrol {'--replace ' if pins else ''}{address} {port} {path}"
    )


def _check_file(mode: int) -> None:
    """OSError unless it is a regular file: opening a pipe would block."""
    if not stat.S_ISREG(mode):
        raise OSError("not a regular file")


def check_private(path: Path) -> None:
    """InfrastructureError unless the private key `path` is a regular file that only its owner can read."""
    with os_errors(f"cannot read private key {path}"):
        _check_file(path.stat().st_mode)
    files.check_private(path, InfrastructureError)


def pin(path: Path, address: str, port: int, key: paramiko.PKey) -> None:
    """Make `key` the only one pinned for the address; lines of other hosts are kept."""
    known = paramiko.HostKeys()
    if path.exists():
        known.load(str(path))
    name = names_of(address, port)
    if known.lookup(name) is not None:
        del known[name]
    known.add(name, key.get_name(), key)
    with replacing(path) as fresh:
        known.save(str(fresh))
