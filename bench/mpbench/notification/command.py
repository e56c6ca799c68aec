# SPDX-License-Identifier: MIT
"""`mpbench latency`: time a board's notifications interactively: a live histogram, then the page."""

import argparse
import os
import sys
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.core.shared_files import board_cases

TEST = "test_notification.py::test_every_interrupt_is_explained"
MOST_HZ = 10_000.0


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `latency`."""
    latency = commands.add_parser(
        "latency",
        help="time OP-TEE's notifications on a board, with a live histogram",
        description="Provoke notifications, time them from the interrupt to the end of the bottom half, and "
        "write the page. It is the test case of the same name, so exit codes and record are those of pytest.",
    )
    latency.add_argument("--lg-env", required=True, metavar="FILE", help="the board's target file")
    latency.add_argument("--samples", type=int, default=10_000, help="default: %(default)s")
    latency.add_argument("--rate", type=float, default=200.0, metavar="HZ", help="default: %(default)s")
    latency.add_argument(
        "--baseline",
        metavar="RUN",
        action="append",
        default=[],
        help="baseline directory (repeatable; samples are pooled)",
    )
    latency.set_defaults(run=_run)


def command(args: argparse.Namespace) -> list[str]:
    """Build the pytest command. UsageError for numbers out of range."""
    if args.samples < 1:
        raise UsageError(f"--samples {args.samples}: at least 1 is needed")
    if not 0 < args.rate <= MOST_HZ:
        raise UsageError(f"--rate {args.rate:g}: above 0 and up to {MOST_HZ:g} per second")
    wanted = ["--bench-samples", str(args.samples), "--bench-rate", str(args.rate), "--bench-live"]
    wanted += [word for run in args.baseline for word in ("--bench-baseline", run)]
    return board_cases(Path.cwd(), [TEST, "--lg-env", args.lg_env, "-q", *wanted])


def _run(args: argparse.Namespace) -> int:
    """Replace this process: Ctrl-C then reaches pytest alone, which cleans up on the board."""
    words = command(args)
    sys.stdout.flush()
    os.execv(words[0], words)
