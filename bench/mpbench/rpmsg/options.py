# SPDX-License-Identifier: MIT
"""Options of pytest for tests of RPMsg."""

import argparse
from typing import Any

MESSAGES = 500
MOST = (1 << 32) - 1
"""What the firmware counts; see firmware/coprocessor/rpmsg/lib/rpmsg.h, struct request."""


def add_options(group: Any) -> None:
    """Add them to pytest's group of the bench's options."""
    group.addoption(
        "--bench-messages",
        type=messages,
        metavar="N",
        default=MESSAGES,
        help=f"RPMsg messages each way when both sides flood each other ({MESSAGES})",
    )


def messages(text: str) -> int:
    """The number; an error of argparse for one that is none, or that the firmware cannot count."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages: 1 to {MOST}")
    return int(text)
