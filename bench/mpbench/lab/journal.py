# SPDX-License-Identifier: MIT
"""What a night has begun and ended, a line each, on the disk before it is relied on: it survives a kill."""

import contextlib
import datetime
import json
import os
from pathlib import Path
from typing import Any

from attrs import define, field

from mpbench.core.errors import InfrastructureError
from mpbench.core.record import append_whole

FILE = "journal.jsonl"


@define
class Journal:
    """Lines of one night. `resumed`: another process began it, and did not end it."""

    directory: Path
    resumed: bool
    _lines: list[dict[str, Any]] = field(factory=list)
    _fd: int = -1

    @classmethod
    def open(cls, reports: Path, plan: str, now_s: float) -> "Journal":
        """The night of this plan that did not end, else a new one. InfrastructureError for a disk that won't.

        Names tell what the wall clock said, which may have been set since: the open one need not be the last.
        """
        nights = {path.parent: _read(path) for path in sorted(reports.glob(f"*Z-{plan}/{FILE}"))}
        open_ones = [night for night, lines in nights.items() if not any(n["kind"] == "end" for n in lines)]
        if open_ones:
            journal = cls(open_ones[-1], True, nights[open_ones[-1]])
        else:
            journal = cls(_new_night(reports, plan, now_s), False)
        journal._open()
        return journal

    def _open(self) -> None:
        path = self.directory / FILE
        fresh = path.with_suffix(".part")  # without the stump that a killed write may have left
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            fresh.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
            fresh.replace(path)
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as e:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise InfrastructureError(f"{self.directory}: {e.strerror}") from e

    def add(self, kind: str, **values: str) -> None:
        """One more line, on the disk; or InfrastructureError, and nothing of it."""
        line = {"kind": kind, **values}
        append_whole(self._fd, json.dumps(line).encode() + b"\n", self.directory / FILE)
        self._lines.append(line)
        os.fsync(self._fd)

    def held(self) -> list[tuple[str, str]]:
        """Places and tokens that were held and not released."""
        found = {(line["place"], line["token"]): line["kind"] for line in self._lines if "token" in line}
        return [key for key, kind in found.items() if kind == "held"]

    def attempts(self, unit: str) -> int:
        """How often a unit was tried to its end."""
        return sum(line["kind"] == "attempt" and line["unit"] == unit for line in self._lines)

    def is_done(self, unit: str) -> bool:
        """Whether nothing more will be tried."""
        return any(line["kind"] == "done" and line["unit"] == unit for line in self._lines)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _new_night(reports: Path, plan: str, now_s: float) -> Path:
    """A name that no night has: a clock that was set back gives one twice."""
    while True:
        stamp = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        directory = reports / f"{stamp}-{plan}"
        if not directory.exists():
            return directory
        now_s += 1


def _read(path: Path) -> list[dict[str, Any]]:
    """Complete lines; a stump at the end is a killed write."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            entry = json.loads(line) if line.endswith("\n") else None
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
            found.append(entry)
    return found
