# SPDX-License-Identifier: MIT
"""Fault 64: parts of the cache that were truncated, changed, or lost a file are found and built again."""

import random
import shutil
from pathlib import Path

import pytest

from mpbench_virtual.steps import BuildStep, Place, build, is_whole, quiet


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mpbench_virtual.steps.BUILD_BYTES", 0)
    return tmp_path / "cache"


def parts(made: list[str], content: dict[str, bytes]) -> list[BuildStep]:
    """Two parts, one of which needs the other."""

    def make(place: Place) -> None:
        made.append("kernel")
        for name, data in content.items():
            (place.out / name).parent.mkdir(parents=True, exist_ok=True)
            (place.out / name).write_bytes(data)

    def other(place: Place) -> None:
        made.append("rootfs")
        shutil.copy(place.needs["kernel"] / "vmlinux", place.out / "copy")

    kernel = BuildStep("kernel", lambda: ["input"], make)
    return [kernel, BuildStep("rootfs", lambda: ["x"], other, needs=("kernel",))]


def spoil(out: Path, chance: random.Random) -> None:
    """Truncate, change, remove, add or rename a file, or empty the whole part."""
    file = chance.choice(sorted(p for p in out.rglob("*") if p.is_file()))
    data = bytearray(file.read_bytes())
    kind = chance.choice(["truncate", "flip", "remove", "add", "rename", "empty"])
    if kind == "truncate":
        file.write_bytes(data[: chance.randrange(len(data))])
    elif kind == "flip":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
    elif kind == "remove":
        file.unlink()
    elif kind == "add":
        (out / "more").write_bytes(b"x")
    elif kind == "rename":
        file.rename(file.with_name("other"))
    else:
        shutil.rmtree(out)
        out.mkdir()


def test_64_a_damaged_part_is_built_again(chance: random.Random):
    """Reported, and made anew alone; what was whole is taken from the cache."""
    made: list[str] = []
    content = {"vmlinux": chance.randbytes(5000), "dtb/board.dtb": chance.randbytes(100)}
    steps = parts(made, content)
    results = build(steps, quiet)
    assert made == ["kernel", "rootfs"]
    damaged = chance.choice(["kernel", "rootfs"])
    spoil(results[damaged], chance)
    lines: list[tuple[str, str]] = []
    assert build(steps, lambda step, what, *_: lines.append((step, what))) == results
    assert made[2:] == [damaged]
    assert (damaged, "damaged in the cache: built again") in lines
    assert (results["kernel"] / "vmlinux").read_bytes() == content["vmlinux"]
    assert (results["rootfs"] / "copy").read_bytes() == content["vmlinux"]
    assert build(steps, quiet) == results
    assert len(made) == 3


def test_64_a_hash_that_is_damaged_itself(chance: random.Random):
    """A part whose hash cannot be read is built again; one of an earlier version, without, is taken."""
    made: list[str] = []
    steps = parts(made, {"vmlinux": b"x"})
    out = build(steps, quiet)["kernel"]
    mark = out.with_name(f"{out.name}.hash")
    mark.unlink()
    assert is_whole(out)
    assert mark.exists()
    mark.write_bytes(chance.choice([b"", b"\xff\xfe", b"0" * 16]))
    assert not is_whole(out)
    mark.unlink()
    mark.mkdir()
    assert not is_whole(out)
    mark.rmdir()
