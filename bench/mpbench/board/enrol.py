# SPDX-License-Identifier: MIT
"""Pin the host key that a board shows now: once per board, on a network that is trusted."""

from pathlib import Path

from mpbench.board import host_keys
from mpbench.board.session.link import greet
from mpbench.core.errors import UsageError

ANSWER_S = 10.0


def enrol(address: str, port: int, path: Path, *, replace: bool = False) -> str:
    """Pin the board's host key in the known_hosts file `path`; one line that says what was done.

    replace: another key is pinned and may go; else that is UsageError. InfrastructureError without an answer.
    """
    key = greet(address, port, timeout_s=ANSWER_S)
    shown = f"{key.get_name()} {key.fingerprint}"
    pins = host_keys.pinned(path, [host_keys.names_of(address, port)])
    if any(pin.asbytes() == key.asbytes() for pin in pins):
        return f"already pinned in {path}: {shown}"
    if pins and not replace:
        old = ", ".join(str(pin.fingerprint) for pin in pins)
        raise UsageError(f"{path} pins another key ({old}); the board shows {shown}: add --replace")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    host_keys.pin(path, address, port, key)
    return f"pinned in {path}: {shown}"
