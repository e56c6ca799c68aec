# SPDX-License-Identifier: MIT
"""The bench's own TEE client on the board: executes commands and prints one line of results per command.

The commands and their results are described at the head of firmware/userland/tee-client.c.
"""

import contextlib
import shlex
from collections.abc import Iterator

from attrs import frozen

from mpbench.board import program, stress
from mpbench.board.program_output import Answer, answers
from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError

PROGRAM = "tee-client"
CALL_S = 30.0
START_S = 30.0
ROUND = "rounds"
"""Progress word printed by `forever` after rounds 1, 2, 4, 8 ..."""


@frozen
class TeeClient:
    """The client at `path` on the board."""

    session: Session
    path: str

    def run(self, *words: str, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """Execute commands; one Answer each, also for a refusal of Linux or the TEE.

        UsageError for unknown commands, InfrastructureError if the client does not end within timeout_s.
        """
        return program.run(self.session, PROGRAM, self.path, words, timeout_s)

    @contextlib.contextmanager
    def running(self, *words: str, until: str, count: int) -> Iterator[tuple[Answer, ...]]:
        """Run the client during the block; yields its lines up to the `count`-th client's word `until`.

        It is killed when the block ends, with all its clients. InfrastructureError if it ends before.
        """
        with stress.running(self.session, f"exec {shlex.join([self.path, *words])}") as client:
            text, seen = "", set[int]()
            while len(seen) < count:
                if not (data := client.read(START_S)):
                    raise InfrastructureError(
                        f"tee-client ended before {count} clients printed {until!r}: {text[-200:]!r}"
                    )
                text += data.decode("ascii", "replace")
                found = answers(text[: text.rfind("\n") + 1], PROGRAM)
                seen = {a.client for a in found if a.word == until}
            yield found

    @contextlib.contextmanager
    def busy(self, clients: int = 3, sessions: int = 2) -> Iterator[None]:
        """A load on the TEE during the block: each client calls all of its sessions in a loop.

        When the block starts, every client has called each of its sessions once. The call asks OP-TEE for the
        time, for which OP-TEE calls Linux. InfrastructureError if OP-TEE has no pseudo TA for statistics.
        """
        calls = [f"invoke,{n},{GET_TIME},o,o" for n in range(sessions)]
        words = [f"fork,{clients}", "context", *[f"session,{STATS}"] * sessions, "meet", "forever", *calls]
        with self.running(*words, until=ROUND, count=clients):
            yield


STATS = "d96a5b40-e2c7-b1af-8794-1002a5d5c61b"
GET_TIME = 4
"""OP-TEE's pseudo TA for statistics (CFG_WITH_STATS=y, the default of ST's platforms), and one of its
commands. Ref: OP-TEE lib/libutee/include/pta_stats.h"""
