# SPDX-License-Identifier: MIT
"""The bench's own client of the TEE on the board: it does what it is told, and says what came of it.

What it can be told, and what it says, stands at the head of firmware/userland/tee-client.c.
"""

import contextlib
import errno
import re
import shlex
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from mpbench.board import stress
from mpbench.board.protocols import RemoteProcess, Session
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError, UsageError

LINE = re.compile(r"([0-9a-f]+) ([a-z]+)((?: [a-z_]+[0-9]?=[0-9a-f]*)*)")
ERRNOS = {**errno.errorcode, 0: "OK", 524: "ENOTSUPP"}
"""524 is the kernel's own. Ref: Linux include/linux/errno.h"""
WRONG_WORDS = 2
CALL_S = 30.0
BEGIN_S = 30.0
ROUND = "rounds"
"""Said in `forever` after the rounds 1, 2, 4, 8 ..."""


@frozen
class Answer:
    """One line of the client.

    client: its number (0 for the only one), word: what it had to do, values: what came of it, by name;
    data: memory that it showed
    """

    client: int
    word: str
    values: Mapping[str, int] = field(factory=dict)
    data: bytes = b""

    def __getitem__(self, name: str) -> int:
        if name not in self.values:
            raise InfrastructureError(
                f"the client's line {self.word!r} has no {name}, but {', '.join(self.values)}"
            )
        return self.values[name]

    @property
    def errno(self) -> str:
        """Linux's answer: "OK" or the errno's name."""
        number = self["errno"]
        return ERRNOS.get(number, f"errno {number}")

    @property
    def result(self) -> tuple[int, int]:
        """The TEE's answer: its code, and who gave it (TEEC_ORIGIN_...)."""
        return self["ret"], self["origin"]

    @property
    def succeeded(self) -> bool:
        """Whether neither Linux nor the TEE refused."""
        return not self.values.get("errno", 0) and not self.values.get("ret", 0)


def answers(text: str) -> tuple[Answer, ...]:
    """The lines of the client. InfrastructureError for anything else."""
    return tuple(_answer(line) for line in text.splitlines())


def _answer(line: str) -> Answer:
    found = LINE.fullmatch(line)
    if not found:
        raise InfrastructureError(f"the client on the board said what it never says: {line[:200]!r}")
    values = dict(part.split("=") for part in found[3].split())
    data = bytes.fromhex(values.pop("bytes", ""))
    return Answer(int(found[1], 16), found[2], {name: int(n, 16) for name, n in values.items()}, data)


@frozen
class TeeClient:
    """The client at `path` on the board."""

    session: Session
    path: str

    def run(self, *words: str, timeout_s: float = CALL_S) -> tuple[Answer, ...]:
        """Have it do these things. UsageError for words that it doesn't know, InfrastructureError if it does not end.

        What Linux and the TEE answer, a refusal too, is a value.
        """
        reply = self.session.call(self._command(words), timeout_s)
        self._judge(reply)
        return answers(reply.stdout.decode("ascii", "replace"))

    def _command(self, words: tuple[str, ...]) -> str:
        return shlex.join([self.path, *words])

    def _judge(self, reply: Reply) -> None:
        if reply.code == WRONG_WORDS:
            raise UsageError(f"the TEE client was told nonsense: {reply.error}")
        if reply.code != 0:
            raise InfrastructureError(f"the TEE client ended with {reply.code}: {reply.error}")

    @contextlib.contextmanager
    def going_on(self, *words: str, until: str, count: int) -> Iterator[tuple[Answer, ...]]:
        """It goes on inside the block; gives what it said up to `count` lines of the word `until`.

        It is killed behind the block, with all of its clients. InfrastructureError if it does not come so far.
        """
        with stress.running(self.session, f"exec {self._command(words)}") as client:
            yield _said(client, until, count)

    @contextlib.contextmanager
    def busy(self, clients: int = 3, sessions: int = 2) -> Iterator[None]:
        """So many clients with so many sessions each call the TEE over and over, inside the block.

        A load: inside, each of them has been through all of its sessions once. It asks OP-TEE for the time,
        which asks Linux in turn. InfrastructureError where OP-TEE has no pseudo application for statistics.
        """
        calls = [f"invoke,{n},{GET_TIME},o,o" for n in range(sessions)]
        words = [f"fork,{clients}", "context", *[f"session,{STATS}"] * sessions, "meet", "forever", *calls]
        with self.going_on(*words, until=ROUND, count=clients):
            yield


STATS = "d96a5b40-e2c7-b1af-8794-1002a5d5c61b"
GET_TIME = 4
"""OP-TEE's pseudo application for statistics (CFG_WITH_STATS=y, the default of ST's platforms), and one of
its commands. Ref: OP-TEE lib/libutee/include/pta_stats.h"""


def _said(client: RemoteProcess, until: str, count: int) -> tuple[Answer, ...]:
    """Its lines, until so many different clients have said that word."""
    text, seen = "", set[int]()
    while len(seen) < count:
        data = client.read(BEGIN_S)
        if not data:
            raise InfrastructureError(
                f"the TEE client ended before {count} clients said {until!r}: {text[-200:]!r}"
            )
        text += data.decode("ascii", "replace")
        seen = {a.client for a in answers(text[: text.rfind("\n") + 1]) if a.word == until}
    return answers(text[: text.rfind("\n") + 1])
