# SPDX-License-Identifier: MIT
"""The bench's RPMsg client on the board: sends and takes messages, and prints one line of results per word.

The words and their results are described at the head of firmware/userland/rpmsg-client.c.
"""

import contextlib
import shlex
from collections.abc import Iterator

from attrs import frozen

from mpbench.board import program, stress
from mpbench.board.program_output import Answer, answers
from mpbench.board.protocols import RemoteProcess, Session
from mpbench.core.errors import InfrastructureError

PROGRAM = "rpmsg-client"
CALL_S = 120.0


@frozen
class RpmsgClient:
    """The client at `path` on the board."""

    session: Session
    path: str

    def run(self, *words: str, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """Do these words; an Answer each, also for a refusal of Linux.

        UsageError for unknown words, InfrastructureError if the client does not end within timeout_s.
        """
        return program.run(self.session, PROGRAM, self.path, words, timeout_s)

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator["RunningClient"]:
        """Do these words during the block; what is left then is killed."""
        with stress.running(self.session, f"exec {shlex.join([self.path, *words])}") as process:
            yield RunningClient(process)


class RunningClient:
    """A client that runs concurrently with others."""

    def __init__(self, process: RemoteProcess) -> None:
        self._process = process
        self._text = ""

    def await_word(self, word: str, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """Its answers up to the first of `word`. InfrastructureError if it ends or hangs before."""
        while True:
            found = answers(self._text[: self._text.rfind("\n") + 1], PROGRAM)
            if any(a.word == word for a in found):
                return found
            data = self._process.read(timeout_s)
            if not data:
                raise InfrastructureError(
                    f"rpmsg-client ended before it printed {word!r}: {self._text[-200:]!r}"
                )
            self._text += data.decode("ascii", "replace")

    def finish(self, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """All of its answers, when it has ended. InfrastructureError if it fails or does not end in time."""
        reply = self._process.finish(timeout_s)
        text = self._text + reply.checked(f"rpmsg-client ended with exit code {reply.code}").text
        return answers(text, PROGRAM)
