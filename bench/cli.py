# SPDX-License-Identifier: MIT
"""The command `mpbench`.

Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 infrastructure, 5 nothing executed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import bench.cli_enrol
import bench.cli_image
import bench.report
import bench.virtual.cli
from bench.errors import LabFault, Misuse

USAGE = 2
INFRASTRUCTURE = 3
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; whatever is the caller's or the lab's fault becomes one line and a code."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except Misuse as e:
        print(f"mpbench: error: {e}", file=sys.stderr)
        return USAGE
    except LabFault as e:
        print(f"mpbench: infrastructure: {e}", file=sys.stderr)
        return INFRASTRUCTURE
    except KeyboardInterrupt:
        print("mpbench: interrupted", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser with every module's subcommands."""
    top = argparse.ArgumentParser(
        prog="mpbench", description="Test bench for STM32MP boards, real and virtual."
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    bench.virtual.cli.add_commands(commands)
    bench.cli_image.add_commands(commands)
    bench.cli_enrol.add_commands(commands)
    _add_report(commands)
    return top


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    report = commands.add_parser("report", help="make the page and junit.xml from the records of runs")
    report.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="directory of a run, reports/runs/..."
    )
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: the run's own directory")
    report.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    if args.output is None and len(args.runs) > 1:
        raise Misuse("several runs on one page need a directory for it: -o DIR")
    print(bench.report.write(args.runs, args.output or args.runs[0]))
    return 0
