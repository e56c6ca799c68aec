# SPDX-License-Identifier: MIT
"""The command `mpbench`.

Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 infrastructure, 5 nothing executed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import mpbench.board.command
import mpbench.commands.doctor_command
import mpbench.commands.explain
import mpbench.commands.predict
import mpbench.image.command
import mpbench.lab.command
import mpbench.notification.command
import mpbench.report.command
import mpbench_virtual.cli
from mpbench.core.errors import InfrastructureError, UsageError

USAGE = 2
INFRASTRUCTURE = 3
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        """Ends the process."""
        self.exit(USAGE, f"mpbench: error: {message}; `{self.prog} --help` shows how\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; whatever is the caller's or the lab's fault becomes one line and a code."""
    args = parser().parse_args(argv)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except UsageError as e:
        print(f"mpbench: error: {e}", file=sys.stderr)
        return USAGE
    except InfrastructureError as e:
        print(f"mpbench: infrastructure: {e}", file=sys.stderr)
        return INFRASTRUCTURE
    except KeyboardInterrupt:
        print("mpbench: interrupted", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser with every module's subcommands."""
    top: argparse.ArgumentParser = Parser(
        prog="mpbench", description="Test bench for STM32MP boards, real and virtual."
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    mpbench_virtual.cli.add_commands(commands)
    predict = mpbench.commands.predict
    mpbench.image.command.add_commands(commands, predict.memory_of, predict.DEFAULT_PROFILE)
    predict.add_commands(commands)
    mpbench.commands.explain.add_commands(commands)
    mpbench.board.command.add_commands(commands)
    mpbench.notification.command.add_commands(commands)
    mpbench.report.command.add_commands(commands)
    mpbench.lab.command.add_commands(commands)
    mpbench.commands.doctor_command.add_commands(commands)
    return top
