# SPDX-License-Identifier: MIT
"""`mpbench enrol`: pin a board's SSH host key."""

import argparse
from pathlib import Path

from mpbench.core import directories


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `enrol`."""
    enrol = commands.add_parser(
        "enrol",
        help="pin a board's SSH host key",
        description="Pin the SSH host key that a board shows now. Do it once per board, on a network you "
        "trust, and compare the fingerprint with the one that the board's console prints: "
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
    )
    enrol.add_argument("address", help="as the target file or the exporter names the board")
    enrol.add_argument("port", nargs="?", type=int, default=22, help="default: %(default)s")
    enrol.add_argument(
        "file", nargs="?", type=Path, help=f"known_hosts file (default: {directories.known_hosts()})"
    )
    enrol.add_argument("--replace", action="store_true", help="replace the pinned key")
    enrol.set_defaults(run=_enrol)


def _enrol(args: argparse.Namespace) -> int:
    # paramiko and labgrid take half a second to import, which no other command should wait for
    from mpbench.board.enrol import enrol  # noqa: PLC0415

    print(enrol(args.address, args.port, args.file or directories.known_hosts(), replace=args.replace))
    return 0
