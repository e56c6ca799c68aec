# SPDX-License-Identifier: MIT
"""What a night has begun and ended, a line each, on the disk before it is relied on: it survives a kill."""

import datetime
import json
import os
from pathlib import Path
from typing import IO, Any

from attrs import define, field

from bench.errors import LabFault

FILE = "journal.jsonl"


@define
class Journal:
    """Lines of one night. `resumed`: another process began it, and did not end it."""

    directory: Path
    resumed: bool
    _lines: list[dict[str, Any]] = field(factory=list)
    _file: IO[str] | None = None

    @classmethod
    def open(cls, reports: Path, plan: str, now_s: float) -> "Journal":
        """The newest night of this plan if it did not end, else a new one. LabFault for a disk that won't."""
        nights = sorted(reports.glob(f"*Z-{plan}/{FILE}"))
        lines = _read(nights[-1]) if nights else []
        goes_on = bool(nights) and not any(line["kind"] == "end" for line in lines)
        stamp = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        directory = nights[-1].parent if goes_on else reports / f"{stamp}-{plan}"
        journal = cls(directory, goes_on, lines if goes_on else [])
        journal._open()
        return journal

    def _open(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / FILE
            fresh = path.with_suffix(".part")  # without the stump that a killed write may have left
            fresh.write_text("".join(json.dumps(line) + "\n" for line in self._lines))
            fresh.replace(path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as e:
            raise LabFault(f"{self.directory}: {e.strerror}") from e

    def add(self, kind: str, **values: str) -> None:
        """One more line."""
        assert self._file is not None
        self._lines.append({"kind": kind, **values})
        try:
            self._file.write(json.dumps(self._lines[-1]) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as e:
            raise LabFault(f"{self.directory / FILE}: {e.strerror}") from e

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
        if self._file is not None:
            self._file.close()


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
