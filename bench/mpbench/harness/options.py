# SPDX-License-Identifier: MIT
"""Options of pytest for soak tests and for notes of the operator."""

import argparse
import re
from typing import Any

GOAL = re.compile(r"([1-9]\d*)(x|s|m|min|h|d)")
NO_GOAL = "{!r} is not a length of a soak: 500x for cycles, 90s, 30m or 2h for a time"
DEFAULT_GOAL = "3x"


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-soak",
        metavar="GOAL",
        type=goal_text,
        default=DEFAULT_GOAL,
        help="length of a soak test per core: cycles (500x) or a time (90m, 2h); an interrupted soak resumes "
        f"({DEFAULT_GOAL})",
    )
    group.addoption(
        "--bench-note",
        metavar="NAME=TEXT",
        action="append",
        default=[],
        help="what the operator knows of board and test, e.g. 'supply=5.0 V': recorded, shown and signed; "
        "repeatable, overrides the target file's bench_notes",
    )


def goal_text(text: str) -> str:
    """The text if it is a length of a soak; an error of argparse otherwise."""
    if not GOAL.fullmatch(text.strip()):
        raise argparse.ArgumentTypeError(NO_GOAL.format(text))
    return text
