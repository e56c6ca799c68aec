# SPDX-License-Identifier: MIT
"""Pin the host key that a board presents: once per board, on a trusted network."""

from pathlib import Path

from mpbench.board import host_keys
from mpbench.board.session.link import greet
from mpbench.core.errors import UsageError

ANSWER_S = 10.0


def enrol(address: str, port: int, path: Path, *, replace: bool = False) -> str:
    """Pin the board's host key in the known_hosts file `path`; returns one line that reports what was done.

    replace: replace the pinned key; without it a different pinned key is UsageError. InfrastructureError
    if no SSH server answers.
    """
    key = greet(address, port, timeout_s=ANSWER_S)
    presented = f"{key.get_name()} {key.fingerprint}"
    pins = host_keys.pinned(path, [host_keys.names_of(address, port)])
    if any(pin.asbytes() == key.asbytes() for pin in pins):
        return f"already pinned in {path}: {presented}"
    if pins and not replace:
        old = ", ".join(str(pin.fingerprint) for pin in pins)
        raise UsageError(f"{path} pins another key ({old}); the board presents {presented}: add --replace")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    host_keys.pin(path, address, port, key)
    return f"pinned in {path}: {presented}"
