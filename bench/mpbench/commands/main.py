# SPDX-License-Identifier: MIT
"""The command `mpbench`.

Exit codes: 0 pass, 1 fail, 2 usage or configuration, 3 infrastructure, 5 nothing executed.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mpbench.core import rooms
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.sanitize import one_line
from mpbench.core.secrets import learn, learn_arguments
from mpbench.core.terminal import discard, safe_output

USAGE = 2
INFRASTRUCTURE = 3
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
PIPE_CLOSED = 141
"""128 + SIGPIPE."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process."""
        self.exit(USAGE, f"mpbench: error: {one_line(message)}; `{self.prog} --help` shows how\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ArgumentParser's, after the command's own `translate` of its arguments."""
        translate = self.get_default("translate")
        return super().parse_known_args(translate(args) if translate else args, namespace)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; a UsageError or InfrastructureError becomes one line and an exit code.

    Secrets of the environment, of the arguments and of what is read later are hidden in all that is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding that lacks a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    learn(os.environ)
    learn_arguments(sys.argv[1:] if argv is None else argv)
    with safe_output():
        try:
            return _main(argv)
        except InfrastructureError:  # standard error cannot be written either
            return INFRASTRUCTURE


def _main(argv: Sequence[str] | None) -> int:
    top = parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell completes a command line
        _complete(top)
    try:
        args, more = top.parse_known_args(argv)
        if more and not hasattr(args, "more"):
            top.error(f"unrecognized arguments: {' '.join(more)}")
        args.more = more
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        discard(sys.stdout)
        return PIPE_CLOSED
    except UsageError as e:
        print(f"mpbench: error: {one_line(str(e))}", file=sys.stderr)
        return USAGE
    except InfrastructureError as e:
        print(f"mpbench: infrastructure: {one_line(str(e))}", file=sys.stderr)
        return INFRASTRUCTURE
    except OSError as e:  # a path that is too long, or in another user's directory: asking for it raises
        whose = f"error: {e.filename}" if e.filename else "infrastructure"
        print(one_line(f"mpbench: {whose}: {e.strerror or e}"), file=sys.stderr)
        return USAGE if e.filename else INFRASTRUCTURE
    except KeyboardInterrupt:
        print("mpbench: interrupted", file=sys.stderr)
        return INTERRUPTED


def _complete(top: Parser) -> None:
    """Answer the shell, if argcomplete is installed."""
    with contextlib.suppress(ModuleNotFoundError):
        from mpbench.commands.completion import complete  # noqa: PLC0415 - only for a shell

        complete(top)


def parser() -> Parser:
    """The parser with the subcommands of all rooms."""
    top = Parser(prog="mpbench", description="Test bench for STM32MP boards, real and virtual.")
    top.add_argument("--version", action=Version, nargs=0, help="version, and in a checkout its commit")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for module in rooms.modules("command"):
        module.add_commands(commands)
    return top


class Version(argparse.Action):
    """Prints the version when it is asked for: git is not started for anything else."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Ends the process."""
        from mpbench.core.version import bench_version  # noqa: PLC0415 - takes time that only this needs

        print(f"mpbench {bench_version()}")
        parser.exit()
