# SPDX-License-Identifier: MIT
"""`mpbench doctor`: checks this host and a board, and prints a remedy for every failed check."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mpbench.core import colour


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    doctor = commands.add_parser("doctor", help="check this host, and with --lg-env a board")
    doctor.add_argument(
        "--lg-env", default=os.environ.get("LG_ENV"), metavar="FILE", help="target file of the board"
    )
    doctor.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from mpbench.commands import doctor  # noqa: PLC0415 - labgrid takes half a second that no other command should wait for

    reports = Path(os.environ.get("MPBENCH_REPORTS", "reports/runs"))
    found = _print("host", doctor.examine(doctor.host_checks(reports)))
    if args.lg_env:
        board = doctor.BoardCheck(args.lg_env)
        try:
            found += _print(args.lg_env, doctor.examine(board.checks()))
        finally:
            board.close()
    if all(f.ok for f in found):
        return 0
    return 2 if any(f.usage for f in found) else 3


def _print(title: str, findings: Iterable[Any]) -> list[Any]:
    """Print findings as they come; returns them."""
    print(title)
    found = []
    for f in findings:
        mark = colour.verdict("ok" if f.ok else "WRONG", 5) if f.tried else "-    "
        print(f"  {mark} {f.name}: {f.found}", flush=True)
        if f.remedy:
            print(f"        → {f.remedy}", flush=True)
        found.append(f)
    return found
