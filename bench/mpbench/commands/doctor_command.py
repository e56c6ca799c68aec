# SPDX-License-Identifier: MIT
"""`mpbench doctor`: checks this host and a board, and prints a remedy for every failed check."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mpbench.core import colour
from mpbench.core.sanitize import visible
from mpbench.core.shared_files import reports_dir

if TYPE_CHECKING:
    from mpbench.commands.doctor import Finding

# ruff: noqa: PLC0415


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    doctor = commands.add_parser("doctor", help="check this host, and with --lg-env a board")
    doctor.add_argument(
        "--lg-env", default=os.environ.get("LG_ENV"), metavar="FILE", help="target file of the board"
    )
    doctor.add_argument("--traceback", action="store_true", help="show what failed checks raised")
    doctor.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    # Here, not above: labgrid takes half a second that no other command should wait for.
    import logging

    from mpbench.commands import doctor_board, doctor_host
    from mpbench.commands.doctor import examine

    if not args.traceback:
        logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what libraries log
    reports = Path(os.environ.get("MPBENCH_REPORTS") or reports_dir(Path.cwd()))
    found = _print("host", examine(doctor_host.host_checks(reports)), args.traceback)
    if args.lg_env:
        board = doctor_board.BoardCheck(args.lg_env)
        try:
            found += _print(args.lg_env, examine(board.checks()), args.traceback)
        finally:
            board.close()
    if all(f.ok for f in found):
        return 0
    return 2 if any(f.usage for f in found) else 3


def _print(title: str, findings: "Iterable[Finding]", with_traceback: bool) -> "list[Finding]":
    """Print findings as they come; returns them."""
    from mpbench.commands.doctor import guide

    print(title)
    found = []
    for f in findings:
        mark = colour.verdict("ok" if f.ok else "WRONG", 5) if f.tried else "-    "
        print(f"  {mark} {f.name}: {visible(f.found)}", flush=True)
        if f.remedy:
            print(f"        → {visible(f.remedy)}; see {guide(Path.cwd())}#{f.section.value}", flush=True)
        if with_traceback and f.error is not None:
            import traceback

            traceback.print_exception(f.error)
        found.append(f)
    return found
