# SPDX-License-Identifier: MIT
"""Runs one of the bench's own programs on a board."""

import shlex
from collections.abc import Sequence

from mpbench.board.program_output import REJECTED, Answer, answers
from mpbench.board.protocols import Session
from mpbench.core.errors import UsageError


def run(session: Session, name: str, path: str, words: Sequence[str], timeout_s: float) -> tuple[Answer, ...]:
    """Have the program `name`, at `path` on the board, do these words; an Answer each.

    UsageError for words that it does not know, InfrastructureError if it does not end within timeout_s.
    """
    reply = session.call(shlex.join([path, *words]), timeout_s)
    if reply.code == REJECTED:
        raise UsageError(f"{name} rejected its arguments: {reply.error}")
    return answers(reply.checked(f"{name} ended with exit code {reply.code}").text, name)
