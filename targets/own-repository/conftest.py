# SPDX-License-Identifier: MIT
"""This repository's own fixtures: its firmware, built and signed, and the beat that it shows."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mpbench.deployment.parse import beat


@pytest.fixture(scope="session")
def counter(firmware) -> bytes:
    """ELF of the counter, built if its sources are newer."""
    subprocess.run(["make", "-s", "-C", Path(__file__).with_name("firmware")], check=True)
    return firmware("firmware/build/counter.elf")


@pytest.fixture
def counter_image(counter, core, signed) -> bytes:
    """The counter, signed with the board's key."""
    return signed(core, counter)


@pytest.fixture
def beats(bench, core) -> Callable[[], int]:
    """`beats()` is what the core's firmware has counted so far."""

    def read() -> int:
        trace = bench.board.remoteproc.trace(core)
        found = beat(trace.decode("ascii", "replace")) if trace else None
        assert found, "no beat in the trace buffer"
        return found[1]

    return read
