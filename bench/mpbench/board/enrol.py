# SPDX-License-Identifier: MIT
"""Pin the host key that a board presents: once per board, on a trusted network."""

import sys
import time
from pathlib import Path

import paramiko

from mpbench.board import host_keys
from mpbench.board.session.link import greet
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import check_replaceable, real_path

ANSWER_S = 10.0
PAUSE_S = 1.0
MAX_PORT = 65535


def enrol(address: str, port: int, path: Path, *, replace: bool = False, wait_s: float = 0.0) -> str:
    """Pin the board's host key in the known_hosts file `path`; returns one line that reports what was done.

    replace: replace the pinned key; without it a different pinned key is UsageError. InfrastructureError
    if no SSH server answers within `wait_s`: a board that was just switched on still boots.
    """
    check_address(address, port)
    check_replaceable(real_path(path), UsageError)
    host_keys.pinned(path, [host_keys.names_of(address, port)])  # so that nothing is asked of a board in vain
    key = _greeted(address, port, wait_s)
    with host_keys.locked(path):
        return _pin(path, address, port, key, replace=replace)


def check_address(address: str, port: int) -> None:
    """UsageError for what no board can have: nothing would ever answer there."""
    if not 1 <= port <= MAX_PORT:
        raise UsageError(f"port {port}: 1 to {MAX_PORT} are possible")
    try:
        address.encode("idna")
    except UnicodeError:
        raise UsageError(
            f"address {address!r:.80} is no name of a host: no part of one may be empty or "
            "longer than 63 characters"
        ) from None


def _greeted(address: str, port: int, wait_s: float) -> paramiko.PKey:
    end_s, waits = time.monotonic() + wait_s, False
    while True:
        try:
            return greet(address, port, timeout_s=ANSWER_S)
        except InfrastructureError as fault:
            if time.monotonic() >= end_s:
                raise
            if not waits:
                print(f"{fault}; trying for {wait_s:g} s", file=sys.stderr, flush=True)
            waits = True
        time.sleep(PAUSE_S)


def _pin(path: Path, address: str, port: int, key: paramiko.PKey, *, replace: bool) -> str:
    presented = f"{key.get_name()} {key.fingerprint}"
    names = [host_keys.names_of(address, port)]
    if host_keys.is_revoked(path, names, key):
        raise UsageError(f"{path} revokes the key that the board presents, {presented}: not pinned")
    pins = host_keys.pinned(path, names)
    if any(pin.asbytes() == key.asbytes() for pin in pins):
        return f"already pinned in {path}: {presented}"
    if pins and not replace:
        old = ", ".join(str(pin.fingerprint) for pin in pins)
        raise UsageError(f"{path} pins another key ({old}); the board presents {presented}: add --replace")
    host_keys.pin(path, address, port, key)
    return f"pinned in {path}: {presented}"
