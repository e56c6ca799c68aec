# SPDX-License-Identifier: MIT
"""Command lines of what joins several rooms: sign, inspect, predict, explain, test, doctor; and enrol."""

import argparse
import os
import sys
from pathlib import Path
from typing import TypeAlias

import mpbench.image.command
from mpbench.commands import coredump, doctor_command, explain, firmware, predict, signing
from mpbench.core.directories import known_hosts
from mpbench.core.errors import UsageError
from mpbench.core.shared_files import board_cases, example_target

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(subparsers: Commands) -> None:
    """Add all of them."""
    # The signer and the twin do not import each other; `sign --core` looks up memory in the twin's profiles.
    mpbench.image.command.add_commands(subparsers, signing.signing_target)
    predict.add_commands(subparsers)
    explain.add_commands(subparsers)
    coredump.add_commands(subparsers)
    firmware.add_commands(subparsers)
    _add_test(subparsers)
    doctor_command.add_commands(subparsers)
    _add_enrol(subparsers)


def _add_test(subparsers: Commands) -> None:
    one = subparsers.add_parser(
        "test",
        help="run the board cases on a board",
        description="Run the board cases that come with the bench; further arguments are pytest's, "
        "as in `mpbench test --lg-env FILE -k deploy` or `... test_recovery.py`. Reports are written to "
        "reports/runs of the current directory.",
        allow_abbrev=False,
    )
    one.add_argument(
        "--lg-env", default=os.environ.get("LG_ENV"), metavar="FILE", help="target file of the board"
    )
    one.set_defaults(run=_test, more=[])


def _test(args: argparse.Namespace) -> int:
    """Replace this process by pytest: Ctrl-C reaches it alone, and it cleans up on the board."""
    if not args.lg_env:
        raise UsageError(f"no board given: mpbench test --lg-env {example_target(Path.cwd())}")
    words = board_cases(Path.cwd(), [f"--lg-env={args.lg_env}", *args.more])
    sys.stdout.flush()
    os.execv(words[0], words)


def _add_enrol(subparsers: Commands) -> None:
    # Here, not in mpbench.board, whose import registers drivers and takes half a second.
    enrol = subparsers.add_parser(
        "enrol",
        help="pin a board's SSH host key",
        description="Pin the SSH host key that a board shows now. Do it once per board, on a network you "
        "trust, and compare the fingerprint with the one that the board's console prints: "
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
    )
    enrol.add_argument("address", help="as the target file or the exporter names the board")
    enrol.add_argument("port", nargs="?", type=int, default=22, help="default: %(default)s")
    enrol.add_argument("file", nargs="?", type=Path, default=known_hosts(), help="default: %(default)s")
    enrol.add_argument("--replace", action="store_true", help="replace the pinned key")
    enrol.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="for a board that boots (default: %(default)g)",
    )
    enrol.set_defaults(run=_enrol)


def _enrol(args: argparse.Namespace) -> int:
    from mpbench.board.enrol import enrol

    print(enrol(args.address, args.port, args.file, replace=args.replace, wait_s=args.wait))
    return 0
