# SPDX-License-Identifier: MIT
"""P21 to P25: commands on large files, linear in their size. CPU time of the process; no peer.

Two images of 8 MiB: one with 4000 program headers, each with its hash, and one whose half is symbols, since a
map of the first is refused with its numbers.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from testcases.peer.elves import Elf, Segment
from testcases.performance.perf_imports import cpu_s
from testcases.performance.rows import Board, Row
from testcases.unit.image_rig import write_key

NUMBERS = ("P21", "P22", "P23", "P24", "P25")
IMAGE_S, LOG_S = 1.0, 10.0
BASE = 0x80100000
LOG_BYTES = 100 * 2**20
LINE = b"[   12.345678] an ordinary line of the kernel about clocks and regulators, number 12345\n"
PROFILE = "derives: virtual-mp25\nname: large-heap\nheap_bytes: 16777216\n"


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """inspect, predict, predict --map and sign of 8 MiB, explain of 100 MiB."""
    with tempfile.TemporaryDirectory(prefix="mpbench-perf-") as name:
        made = files_in(Path(name))
        signed = _mpbench_s(name, "sign", "--key", "key.pem", "-o", "many.bin", "many.elf")
        _mpbench_s(name, "sign", "--key", "key.pem", "-o", "symbols.bin", "symbols.elf")
        board_of = ("--profile", "large.yaml", "--key", "key.pem")
        size = f"{made / 2**20:.1f} MiB"
        inspected = _mpbench_s(name, "inspect", "many.bin")
        yield Row(
            "P21", f"inspect, {size}, 4000 headers (CPU)", "", None, inspected, *met(inspected, IMAGE_S)
        )
        predicted = _mpbench_s(name, "predict", "many.bin", *board_of)
        yield Row(
            "P22", f"predict, {size}, 4000 headers (CPU)", "", None, predicted, *met(predicted, IMAGE_S)
        )
        mapped = _mpbench_s(name, "predict", "symbols.bin", "--map", *board_of)
        yield Row("P23", "predict --map, 8 MiB, half symbols (CPU)", "", None, mapped, *met(mapped, IMAGE_S))
        yield Row("P24", f"sign, {size}, 4000 headers (CPU)", "", None, signed, *met(signed, IMAGE_S))
        explained = _mpbench_s(name, "explain", "@log")
        yield Row("P25", "explain, 100 MiB of log (CPU)", "", None, explained, *met(explained, LOG_S))


def files_in(directory: Path) -> int:
    """Key, profile, the ELF files and the log; the size of the ELF with many headers."""
    write_key(directory / "key.pem", rsa.generate_private_key(65537, 2048))
    (directory / "large.yaml").write_text(PROFILE)
    many = Elf([Segment(BASE + 0x800 * i, os.urandom(2048), 2048) for i in range(4000)]).build()
    few = [Segment(BASE + (i << 19), os.urandom(1 << 19), 1 << 19) for i in range(8)]
    (directory / "many.elf").write_bytes(many)
    (directory / "symbols.elf").write_bytes(Elf(few).build() + os.urandom(4 << 20))
    (directory / "log").write_bytes(LINE * (LOG_BYTES // len(LINE)) + b"remoteproc0: TEE err: ffff000f\n")
    return len(many)


def met(seconds: float, limit_s: float) -> tuple[str, bool]:
    """The target in words, and whether it is met."""
    return f"≤ {limit_s:g} s", seconds <= limit_s


def _mpbench_s(directory: str, *words: str) -> float:
    return cpu_s(directory, str(Path(sys.executable).with_name("mpbench")), *words)
