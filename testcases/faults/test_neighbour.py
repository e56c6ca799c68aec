# SPDX-License-Identifier: MIT
"""Fault 44: another user of the host makes the bench's predictable directory first, with what will hurt.

As root the directory belongs to another user; without, it is a link or open to others. Whatever is in it: it
is refused, no file behind it is changed, and no process that it names is ended.
"""

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench_virtual import boards
from mpbench_virtual.paths import run_dir

NOBODY = 65534
CONTENT = b"not the bench's\n"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files that all users share."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def victim() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this user that a board file names."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def planted(directory: Path, file: Path, pid: int, chance: random.Random) -> None:
    """Board files, locks and links, as a neighbour would plant them."""
    directory.mkdir(exist_ok=True)
    board = directory / chance.choice(["mine", "run-1-board", "x"])
    board.mkdir()
    text = {"name": board.name, "pid": pid, "address": "127.0.0.1", "ports": {"ssh": 22, "power": 80}}
    (board / "board.json").write_text(json.dumps(text))
    for link in (directory / ".lock", board / "lock"):
        chance.choice([lambda link=link: link.symlink_to(file), lambda link=link: link.touch()])()


def by_other_user(directory: Path, file: Path, pid: int, chance: random.Random) -> None:
    """The directory is another user's."""
    if os.getuid() != 0:
        pytest.skip("only root can make directories of another user")
    planted(directory, file, pid, chance)
    os.chown(directory, NOBODY, NOBODY)
    directory.chmod(chance.choice([0o700, 0o777]))


def link(directory: Path, file: Path, pid: int, chance: random.Random) -> None:
    """The directory is a link to one elsewhere."""
    elsewhere = directory.parent / "elsewhere"
    planted(elsewhere, file, pid, chance)
    directory.symlink_to(elsewhere)


def open_to_others(directory: Path, file: Path, pid: int, chance: random.Random) -> None:
    """The directory is this user's, but others may use it."""
    planted(directory, file, pid, chance)
    directory.chmod(chance.choice([0o770, 0o707, 0o755, 0o711, 0o777]))


def replaceable(directory: Path, file: Path, pid: int, chance: random.Random) -> None:
    """The directory above lets everybody rename what is in it."""
    planted(directory, file, pid, chance)
    directory.chmod(0o700)
    directory.parent.chmod(chance.choice([0o777, 0o772, 0o770]))


def no_directory(directory: Path, file: Path, _pid: int, chance: random.Random) -> None:
    """The name is a file, a link to a file, or a link to nothing."""
    chance.choice(
        [
            lambda: directory.symlink_to(file),
            directory.touch,
            lambda: directory.symlink_to("nothing"),
            lambda: os.mkfifo(directory),
        ]
    )()


PLANTS = (by_other_user, link, open_to_others, replaceable, no_directory)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_44_nothing_is_read_or_ended_for_a_directory_of_others(
    shared: Path, tmp_path: Path, victim, plant, chance: random.Random
):
    """Every function that uses the directory refuses it in one line; files and processes are untouched."""
    file = tmp_path / "precious"
    file.write_bytes(CONTENT)
    plant(shared / f"mpbench-{os.getuid()}", file, victim.pid, chance)
    before = sorted(str(path) for path in shared.rglob("*"))
    uses: list[Callable[[], object]] = [
        run_dir,
        boards.remove_stale,
        lambda: list(boards.boards()),
        lambda: boards.find("mine"),
        lambda: boards._claim("mine"),
    ]
    chance.shuffle(uses)
    for use in uses:
        with pytest.raises(InfrastructureError, match=r"^[^\n]*(mpbench-\d+|shared): [^\n]+$"):
            use()
    assert victim.poll() is None
    assert file.read_bytes() == CONTENT
    assert sorted(str(path) for path in shared.rglob("*")) == before


def test_44_a_directory_of_ones_own_is_made_and_used(shared: Path):
    """Below a shared directory: mode 0700, and found again."""
    assert run_dir() == shared / f"mpbench-{os.getuid()}"
    assert run_dir().stat().st_mode & 0o777 == 0o700
    assert list(boards.boards()) == []
