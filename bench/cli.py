# SPDX-License-Identifier: MIT
"""The command `mpbench`.

Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 infrastructure, 5 nothing executed.
"""

import argparse
import sys
from collections.abc import Sequence

import bench.cli_enrol
import bench.cli_image
import bench.cli_nightly
import bench.cli_report
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
    bench.cli_report.add_commands(commands)
    bench.cli_nightly.add_commands(commands)
    return top
