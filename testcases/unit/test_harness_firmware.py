# SPDX-License-Identifier: MIT
"""Fixture `firmware`: the bench's own ELF files and any other, each with its hash in the provenance."""

import hashlib
from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench.harness import firmware

ELF = b"\x7fELF\x01own"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The fixture's value in a repository at `tmp_path`; the bench's own firmware is there as well."""
    built = tmp_path / "built"
    (built / "m33").mkdir(parents=True)
    (built / "m33" / "alive.elf").write_bytes(ELF + b"alive")
    made = list[str]()

    def make():
        made.append("made")
        return built

    monkeypatch.setattr(firmware, "make", make)
    (tmp_path / "repository" / "build").mkdir(parents=True)
    found = firmware.FirmwareFiles(tmp_path / "repository", {})
    yield found
    assert len(made) <= 1


def test_own_firmware_is_built_once_and_hashed(files):
    """By name and core; the entry of the provenance names both."""
    for _ in range(2):
        assert files("alive", "m33") == ELF + b"alive"
    digest = f"sha256 {hashlib.sha256(ELF + b'alive').hexdigest()}"
    assert files.hashes == {"firmware alive m33": digest, "watchdog m33": "none"}


def test_an_isolated_core_has_the_firmware_that_is_linked_for_it(files, tmp_path):
    """Where there is one; the name in the provenance is the same."""
    (tmp_path / "built" / "m33-isolated").mkdir()
    (tmp_path / "built" / "m33-isolated" / "rpmsg-echo.elf").write_bytes(ELF + b"isolated")
    (tmp_path / "built" / "m33" / "rpmsg-echo.elf").write_bytes(ELF + b"open")
    assert files("rpmsg-echo", "m33") == ELF + b"open"
    files.isolated = frozenset({"m33"})
    assert files("rpmsg-echo", "m33") == ELF + b"isolated"
    assert files("alive", "m33") == ELF + b"alive"
    assert list(files.hashes) == ["firmware rpmsg-echo m33", "watchdog m33", "firmware alive m33"]


def test_any_elf_file_is_hashed(files, tmp_path):
    """By a path relative to the repository, or an absolute one; text and Path alike; nothing is built."""
    (tmp_path / "repository" / "build" / "my.elf").write_bytes(ELF)
    (tmp_path / "other.elf").write_bytes(ELF)
    assert files(Path("build/my.elf")) == files("build/my.elf") == ELF
    assert files(tmp_path / "other.elf") == ELF
    digest = f"sha256 {hashlib.sha256(ELF).hexdigest()}"
    name = (tmp_path / "other.elf").as_posix()
    assert files.hashes == {"firmware build/my.elf": digest, f"firmware {name}": digest}


def test_a_file_that_is_not_there_or_not_an_elf_is_a_usage_error(files, tmp_path):
    """The message names the whole path."""
    path = tmp_path / "repository" / "build" / "my.elf"
    with pytest.raises(UsageError, match=f"^firmware {path}: No such file or directory$"):
        files("build/my.elf")
    path.write_bytes(b"signed")
    with pytest.raises(UsageError, match=f"^firmware {path}: not an ELF file$"):
        files("build/my.elf")
    with pytest.raises(UsageError, match=r"alive\.elf: No such file or directory$"):
        files("alive", "m7")
