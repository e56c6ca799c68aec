# SPDX-License-Identifier: MIT
"""Output of the bench's own programs on a board: one line of results per command. Pure.

The lines are described at the head of firmware/userland/lib/program.h.
"""

import errno
import re
from collections.abc import Mapping

from attrs import field, frozen

from mpbench.core.errors import InfrastructureError

LINE = re.compile(r"([0-9a-f]+) ([a-z]+)((?: [a-z_]+[0-9]?=[0-9a-f]*)*)")
ERRNOS = {**errno.errorcode, 0: "OK", 524: "ENOTSUPP"}
"""524 is internal to the kernel. Ref: Linux include/linux/errno.h"""
REJECTED = 2
"""Exit code for arguments that a program does not know."""


@frozen
class Answer:
    """One line of a program.

    client: its number (0 if there is only one); word: the command; values: its results by name;
    data: content of memory, from `show`
    """

    client: int
    word: str
    values: Mapping[str, int] = field(factory=dict)
    data: bytes = b""

    def __getitem__(self, name: str) -> int:
        if name not in self.values:
            raise InfrastructureError(f"result of {self.word!r} has no {name}, but {', '.join(self.values)}")
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


def answers(text: str, program: str) -> tuple[Answer, ...]:
    """Parse the output of `program`. InfrastructureError for unexpected lines."""
    return tuple(_answer(line, program) for line in text.splitlines())


def _answer(line: str, program: str) -> Answer:
    if not (found := LINE.fullmatch(line)):
        raise InfrastructureError(f"unexpected output from {program}: {line[:200]!r}")
    values = dict(part.split("=") for part in found[3].split())
    data = bytes.fromhex(values.pop("bytes", ""))
    return Answer(int(found[1], 16), found[2], {name: int(n, 16) for name, n in values.items()}, data)
