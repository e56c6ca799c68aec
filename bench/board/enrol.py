# SPDX-License-Identifier: MIT
"""python -m bench.board.enrol [--replace] ADDRESS PORT FILE: pin the host key that a board shows now.

Run it once per board, on a network you trust, and compare the fingerprint with the board's console.
"""

import argparse
import sys
from pathlib import Path

from bench.board import hostkeys
from bench.board.link import greet
from bench.errors import LabFault


def main(arguments: list[str] | None = None) -> int:
    """Exit codes as everywhere: 0 pinned, 2 refused to replace, 3 no answer."""
    parser = argparse.ArgumentParser(prog="python -m bench.board.enrol", description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--replace", action="store_true", help="another key is pinned and may go")
    chosen = parser.parse_args(arguments)
    try:
        return _enrol(chosen.address, chosen.port, chosen.file, chosen.replace)
    except LabFault as e:
        print(e, file=sys.stderr)
        return 3


def _enrol(address: str, port: int, path: Path, replace: bool) -> int:
    key = greet(address, port, timeout_s=10.0)
    pins = hostkeys.pinned(path, [hostkeys.names_of(address, port)])
    if any(p.asbytes() == key.asbytes() for p in pins):
        print(f"already pinned: {key.get_name()} {key.fingerprint}")
        return 0
    if pins and not replace:
        old = ", ".join(str(p.fingerprint) for p in pins)
        print(
            f"{path} pins another key ({old}); the board shows {key.fingerprint}: add --replace",
            file=sys.stderr,
        )
        return 2
    hostkeys.pin(path, address, port, key)
    print(f"pinned in {path}: {key.get_name()} {key.fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
