# SPDX-License-Identifier: MIT
"""The bench's own TEE client on the board: executes commands and prints one line of results per command.

The commands and their results are described at the head of firmware/userland/tee-client.c.
"""

import contextlib
import errno
import re
import shlex
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from mpbench.board import stress
from mpbench.board.protocols import Session
from mpbench.core.errors import InfrastructureError, UsageError

LINE = re.compile(r"([0-9a-f]+) ([a-z]+)((?: [a-z_]+[0-9]?=[0-9a-f]*)*)")
ERRNOS = {**errno.errorcode, 0: "OK", 524: "ENOTSUPP"}
"""524 is internal to the kernel. Ref: Linux include/linux/errno.h"""
REJECTED = 2
"""Exit code for arguments that the client does not know."""
CALL_S = 30.0
START_S = 30.0
ROUND = "rounds"
"""Progress word printed by `forever` after rounds 1, 2, 4, 8 ..."""


@frozen
class Answer:
    """One line of the client.

    client: its number (0 if there is only one); word: the command; values: its results by name;
    data: content of memory, from `show`
    """

    client: int
    word: str
    values: Mapping[str, int] = field(factory=dict)
    data: bytes = b""

    def __getitem__(self, name: str) -> int:
        if name not in self.values:
            raise InfrastructureError(
                f"tee-client: result of {self.word!r} has no {name}, but {', '.join(self.values)}"
            )
        return self.values[name]

    @property
    def errno(self) -> str:
        """Result of Linux: "OK" or the errno's name."""
        number = self["errno"]
        return ERRNOS.get(number, f"errno {number}")

    @property
    def result(self) -> tuple[int, int]:
        """Result of the TEE: return code and origin (TEEC_ORIGIN_...)."""
        return self["ret"], self["origin"]

    @property
    def succeeded(self) -> bool:
        """Whether both Linux and the TEE report success."""
        return not self.values.get("errno", 0) and not self.values.get("ret", 0)


def answers(text: str) -> tuple[Answer, ...]:
    """Parse the client's output. InfrastructureError for unexpected lines."""
    return tuple(_answer(line) for line in text.splitlines())


def _answer(line: str) -> Answer:
    if not (found := LINE.fullmatch(line)):
        raise InfrastructureError(f"unexpected output from tee-client: {line[:200]!r}")
    values = dict(part.split("=") for part in found[3].split())
    data = bytes.fromhex(values.pop("bytes", ""))
    return Answer(int(found[1], 16), found[2], {name: int(n, 16) for name, n in values.items()}, data)


@frozen
class TeeClient:
    """The client at `path` on the board."""

    session: Session
    path: str

    def run(self, *words: str, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """Execute commands; one Answer each, also for a refusal of Linux or the TEE.

        UsageError for unknown commands, InfrastructureError if the client does not end within timeout_s.
        """
        reply = self.session.call(shlex.join([self.path, *words]), timeout_s)
        if reply.code == REJECTED:
            raise UsageError(f"tee-client rejected its arguments: {reply.error}")
        return answers(reply.checked(f"tee-client ended with exit code {reply.code}").text)

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
                found = answers(text[: text.rfind("\n") + 1])
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
