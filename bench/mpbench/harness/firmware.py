# SPDX-License-Identifier: MIT
"""Firmware for the cores: the bench's own, built on demand, and any other ELF file."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

from mpbench.board.protocols import Session
from mpbench.core import provenance
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import os_errors
from mpbench.core.shared_files import FIRMWARE, firmware_build
from mpbench.harness.configuration import configured


def make(directory: Path = FIRMWARE, goal: str = "all") -> Path:
    """Build the firmware, or another goal of its Makefile; returns the directory of what was built.

    InfrastructureError with make's last lines.
    """
    built = firmware_build() if directory == FIRMWARE else directory / "build"
    command: list[str | Path] = ["make", "-s", "-C", directory, f"O={built}", goal]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise InfrastructureError("make is not installed; it builds the firmware") from e
    if made.returncode:
        last = " / ".join(made.stderr.strip().splitlines()[-3:])
        raise InfrastructureError(f"make -C {directory} failed: {last}")
    return built


def board_program(name: str, machine: str) -> bytes:
    """A program of the bench for a board's machine (of uname -m); b"" if there is none for it."""
    program = make(goal="userland") / machine / name
    return program.read_bytes() if machine and program.is_file() else b""


def tee_client_program(session: Session) -> bytes:
    """tee-client for the board's user space; b"" if the board has no /dev/tee0, or is of another kind."""
    return board_program("tee-client", session.execute("[ -c /dev/tee0 ] && uname -m").text.strip())


@define
class FirmwareFiles:
    """Fixture `firmware`: reads ELF files and notes the SHA-256 of each for the page's "What was tested".

    root: what relative paths are relative to; hashes: name → hash, of every file read so far
    watchdogs: what the target gives the bench's own firmware, by core; "" or no entry: none
    isolated: cores of whose memory Linux may not read all: they have firmware of their own where the other's
        resource table would be there
    """

    root: Path
    hashes: dict[str, str]
    watchdogs: Mapping[str, str] = field(factory=dict)
    isolated: frozenset[str] = frozenset()
    _built: Path | None = None

    def __call__(self, name: str | Path, core: str | None = None) -> bytes:
        """Bytes of the bench's own firmware `name` for `core`, else of the ELF file at the path `name`.

        The bench's own firmware is built first if its sources are newer, and told which watchdog it may use;
        the hash is that of the file. UsageError: no such ELF file.
        """
        if core is not None:
            path, shown = self._file(str(name), core), f"{name} {core}"
        else:
            path = self.root / Path(name).expanduser()
            shown = (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()
        with os_errors(f"firmware {path}", UsageError):
            data = path.read_bytes()
        if not data.startswith(b"\x7fELF"):
            raise UsageError(f"firmware {path}: not an ELF file")
        self.hashes[f"{provenance.FIRMWARE}{shown}"] = f"sha256 {hashlib.sha256(data).hexdigest()}"
        if core is None:
            return data
        watchdog = self.watchdogs.get(core, "")
        self.hashes[f"watchdog {core}"] = watchdog or "none"
        return configured(data, core, watchdog) if watchdog else data

    def _file(self, name: str, core: str) -> Path:
        self._built = self._built or make()
        own = self._built / f"{core}-isolated" / f"{name}.elf"
        return own if core in self.isolated and own.is_file() else self._built / core / f"{name}.elf"
