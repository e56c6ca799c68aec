# SPDX-License-Identifier: MIT
"""Seeds of the fault tests, and invariant I3: nothing leaks, whatever fails.

Leaks are searched for where these tests put files and processes, not among those of other runs.
"""

import atexit
import contextlib
import fcntl
import gc
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench_virtual import boards
from testcases.contract.conftest import serve
from testcases.contract.servers import children

__all__ = ["serve"]

BUSY_S = 30.0
"""On a busy host: from a deadline until the thread that waited for it runs again."""
SEEDS = int(os.environ.get("MPBENCH_SEEDS", "1"))
"""Seeds per fault; the release criterion is MPBENCH_SEEDS=25."""
THOROUGH = pytest.mark.skipif(SEEDS <= 2, reason="MPBENCH_SEEDS=25 runs all faults of a lab")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the fixture `chance` runs once per seed."""
    if "chance" in metafunc.fixturenames:
        metafunc.parametrize("chance", range(SEEDS), indirect=True, ids=lambda seed: f"seed{seed}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random number generator with this seed."""
    return random.Random(request.param)


@pytest.fixture(autouse=True, scope="session")
def own_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Directory of its own for temporary files and boards of this process and its children.

    Its path is short: Unix sockets of boards are below it, whose paths have at most 107 bytes. It is removed
    when the process ends, after the boards that a target file started.
    """
    tmp_path_factory.getbasetemp()  # directories that pytest keeps stay in their usual place
    place = Path(tempfile.mkdtemp(prefix="faults-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TMPDIR", "XDG_RUNTIME_DIR"):
            patch.setenv(name, str(place))
        patch.setattr(tempfile, "tempdir", None)
        yield place


@pytest.fixture(autouse=True, scope="module")
def no_board_is_left(own_place: Path) -> Iterator[None]:  # noqa: ARG001 - boards are started in it
    """Boards that a target file starts end with the process: end them, with what they hold, earlier."""
    yield
    for board in boards.boards():
        boards.stop(board)


@pytest.fixture(autouse=True)
def nothing_leaks(own_place: Path, tmp_path: Path) -> Iterator[None]:  # noqa: ARG001 - made before the first look
    """No descriptor, process, thread or temporary file remains after a fault."""
    before = held(own_place)
    yield
    deadline = time.monotonic() + 60
    while (left := {k: v - before[k] for k, v in held(own_place).items()}) and any(left.values()):
        assert time.monotonic() < deadline, f"leaked: {left}"
        gc.collect()
        time.sleep(0.02)


def held(place: Path) -> dict[str, set[str]]:
    """Resources of this process: descriptors, children, threads, and files below `place`."""
    return {
        "descriptors": {f"{f.name} {_target(f)}" for f in Path("/proc/self/fd").iterdir() if _target(f)},
        "processes": {str(pid) for pid in children(os.getpid())},
        "threads": {t.name for t in threading.enumerate() if not t.name.startswith("Dummy")},
        "files": {f"{at}/{name}" for at, _, names in os.walk(place) for name in names if not _free(at, name)},
    }


def _free(folder: str, name: str) -> bool:
    """Whether the file is a board's lock that is not held: such a file stays for the next board."""
    if not name.endswith(".lock"):
        return False
    with contextlib.suppress(OSError), Path(folder, name).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _target(link: Path) -> str:
    try:
        target = os.readlink(link)
    except OSError:
        return ""
    return "" if target.startswith("/proc/") else target
