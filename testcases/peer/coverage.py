# SPDX-License-Identifier: MIT
"""Branches of OP-TEE's two C files that a corpus reaches, counted by gcov on a build of their own."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from testcases.peer.build import GCOV, build
from testcases.peer.store import Stored
from testcases.peer.worker import Worker, encode_case


@frozen
class Branches:
    """Branches of a file: how many there are, how many were taken; (line, source) of those never taken."""

    file: str
    total: int
    taken: int
    missed: tuple[tuple[int, str], ...]

    @property
    def percent(self) -> float:
        """Share taken."""
        return 100 * self.taken / self.total if self.total else 100.0


def c_branches(out: Path, corpus: Sequence[Stored]) -> list[Branches]:
    """Replay a corpus on the counting build; branches of remoteproc_core.c and elf_parser.c."""
    program = build(GCOV, out)
    for old in program.parent.glob("*.gcda"):
        old.unlink()
    with Worker(program) as worker:
        for stored in corpus:
            worker.configure(stored.board, GCOV.word_bits)
            worker.run(encode_case(stored.commands))
    return [
        count(program.parent, unit, name) for unit, name in (("ta", "remoteproc_core"), ("elf_parser",) * 2)
    ]


def count(folder: Path, unit: str, name: str) -> Branches:
    """gcov's verdict on one file."""
    command = ["gcov", "-b", "-c", "-o", str(folder), f"{unit}.o"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    text = (folder / f"{name}.c.gcov").read_text()
    total = taken = 0
    missed = []
    line, source = 0, ""
    for row in text.splitlines():
        if found := re.match(r"\s*[^:]+:\s*(\d+):(.*)", row):
            line, source = int(found[1]), found[2].strip()
        elif row.startswith("branch"):
            total += 1
            if re.search(r"taken [1-9]", row):
                taken += 1
            else:
                missed.append((line, source))
    return Branches(f"{name}.c", total, taken, tuple(dict.fromkeys(missed)))


def describe(branches: Sequence[Branches]) -> list[str]:
    """Lines for a person."""
    lines = []
    for b in branches:
        lines.append(f"{b.file}: {b.taken} of {b.total} branches ({b.percent:.1f} %)")
        lines += [f"  never taken, line {line}: {source}" for line, source in b.missed]
    return lines
