# SPDX-License-Identifier: MIT
"""A machine of QEMU's without a program that runs: its registers, asked for by qtest."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Registers:
    """The machine's address space."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def read(self, address: int) -> int:
        return int(self._ask(f"readl {address:#x}"), 16)

    def step(self, duration_ns: int) -> None:
        """So much of the machine's time passes."""
        self._ask(f"clock_step {duration_ns}")

    def write(self, address: int, value: int) -> None:
        self._ask(f"writel {address:#x} {value:#x}")

    def write_byte(self, address: int, value: int) -> None:
        self._ask(f"writeb {address:#x} {value:#x}")


@contextmanager
def asked(command: Sequence[str | Path]) -> Iterator[Callable[[str], str]]:
    """The machine at reset, as a function from a line of qtest's protocol to its answer without "OK".

    Ref: QEMU docs/devel/testing/qtest.rst
    """
    qtest = "-accel", "qtest", "-qtest", "stdio"
    with subprocess.Popen(
        [*command, *qtest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as qemu:

        def ask(line: str) -> str:
            assert qemu.stdin
            assert qemu.stdout
            qemu.stdin.write(f"{line}\n")
            qemu.stdin.flush()
            word, *rest = qemu.stdout.readline().split()
            assert word == "OK"
            return "".join(rest)

        yield ask
        qemu.kill()
