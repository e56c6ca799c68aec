# SPDX-License-Identifier: MIT
"""Seeds, and the invariants of a fault: nothing leaks, whatever went wrong."""

import gc
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testcases.contract.conftest import serve
from testcases.contract.servers import children

__all__ = ["serve"]

SEEDS = int(os.environ.get("MPBENCH_SEEDS", "2"))
"""How many seeds each fault is tried with: MPBENCH_SEEDS=25 for all."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `chance` runs once per seed."""
    if "chance" in metafunc.fixturenames:
        metafunc.parametrize("chance", range(SEEDS), indirect=True, ids=lambda seed: f"seed{seed}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this seed."""
    return random.Random(request.param)


@pytest.fixture(autouse=True)
def nothing_leaks(tmp_path: Path) -> Iterator[None]:  # noqa: ARG001 - made before the first look
    """No descriptor, process, thread or temporary file outlives a fault."""
    before = _held()
    yield
    deadline = time.monotonic() + 10
    while (left := {k: _held()[k] - v for k, v in before.items()}) and any(left.values()):
        assert time.monotonic() < deadline, f"left behind: {left}"
        gc.collect()
        time.sleep(0.02)


def _held() -> dict[str, set[str]]:
    return {
        "descriptors": {f"{f.name} {_target(f)}" for f in Path("/proc/self/fd").iterdir() if _target(f)},
        "processes": {str(pid) for pid in children(os.getpid())},
        "threads": {t.name for t in threading.enumerate() if not t.name.startswith("Dummy")},
        "files": {f.name for f in Path(tempfile.gettempdir()).glob("mpbench-*")},
    }


def _target(link: Path) -> str:
    try:
        target = os.readlink(link)
    except OSError:
        return ""
    return "" if target.startswith("/proc/") else target
