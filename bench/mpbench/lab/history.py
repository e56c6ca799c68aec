# SPDX-License-Identifier: MIT
"""History of a lab's nights in SQLite: points of the trends, and quarantined places."""

import contextlib
import datetime
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from mpbench.core.codec import structure
from mpbench.core.errors import InfrastructureError
from mpbench.core.files import os_errors
from mpbench.core.json_reader import parse_json
from mpbench.report.trend import Point

SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
  run TEXT PRIMARY KEY, label TEXT NOT NULL, utc TEXT NOT NULL, counts TEXT NOT NULL, measured TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (place TEXT PRIMARY KEY, utc TEXT NOT NULL, reason TEXT NOT NULL);
"""
REMEMBER = """
INSERT INTO point VALUES (?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET
  label = excluded.label, utc = excluded.utc, counts = excluded.counts, measured = excluded.measured
"""
POINTS = "SELECT run, label, utc, counts, measured FROM point ORDER BY rowid DESC LIMIT ?"
MOST_POINTS = 20_000
"""The latest; a page shows 60 of each target and place."""
OLD = "SELECT 1 FROM sqlite_master WHERE name = 'sick'"
"""Whether an earlier version wrote the file, with another name of the table."""
BUSY_S = 10.0
WORK_S = 10.0
"""A damaged or foreign file may have a view without an end in place of a table."""
STEPS = 100_000
"""Of SQLite's machine, between two looks at the clock."""
LIMIT_BYTES = 1 << 20
"""Of a value: a file of SQLite may say that one has a gigabyte."""


def _point(run: str, label: str, utc: str, counts: str, measured: str) -> Point:
    """The point in a row. ValueError for other types."""
    fields = {"counts": parse_json(counts), "values": parse_json(measured)}
    return structure({"run": run, "label": label, "utc": utc} | fields, Point)


@frozen
class History:
    """The history in a file. All methods raise InfrastructureError if it cannot be used."""

    path: Path

    @classmethod
    def opened(cls, path: Path, now_s: float) -> tuple["History", str]:
        """The history, and what became of an earlier one: a damaged or locked file is set aside, "" for none.

        InfrastructureError if no file can be made there.
        """
        history = cls(path)
        try:
            history.check()
            return history, ""
        except InfrastructureError as fault:
            stamp = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            aside = path.with_name(f"{path.name}.{stamp}.unusable")
            with os_errors(f"cannot set {path} aside"):
                path.rename(aside)
                for side in ("-journal", "-wal", "-shm"):
                    path.with_name(path.name + side).unlink(missing_ok=True)
            history.check()
            return history, (
                f"the history of earlier nights is not used, because {fault}; "
                f"it is set aside as {aside.name}: trends start anew, and no place is quarantined"
            )

    def check(self) -> None:
        """InfrastructureError if the file is damaged, or locked by another program."""
        self.points()
        with self._open() as db:
            found = db.execute("PRAGMA quick_check").fetchone()[0]
            db.execute("DELETE FROM point WHERE run = ''")  # a lock of another program shows here
        if found != "ok":
            raise InfrastructureError(f"{self.path}: {found}")

    def points(self) -> list[Point]:
        """Runs in the order in which they were added: the wall clock may have been set in between."""
        with self._open() as db:
            rows = db.execute(POINTS, (MOST_POINTS,)).fetchall()[::-1]
        try:
            return [_point(*row) for row in rows]
        except (ValueError, TypeError) as e:
            raise InfrastructureError(f"{self.path}: a point is damaged: {e}") from e

    def remember(self, points: Iterable[Point]) -> None:
        """Add runs; known ones are replaced."""
        rows = [
            (p.run, p.label, p.utc, json.dumps(dict(p.counts)), json.dumps(dict(p.values))) for p in points
        ]
        with self._open() as db:
            db.executemany(REMEMBER, rows)

    def quarantined(self) -> dict[str, str]:
        """Quarantined places, with time and reason."""
        with self._open() as db:
            rows = db.execute("SELECT place, utc, reason FROM quarantine ORDER BY place").fetchall()
        return {place: f"since {utc}: {reason}" for place, utc, reason in rows}

    def quarantine(self, place: str, utc: str, reason: str) -> None:
        """Quarantine a place, whose board is not usable."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?)", (place, utc, reason))

    def readmit(self, place: str) -> bool:
        """Clear the quarantine of a place; whether it was quarantined."""
        with self._open() as db:
            return db.execute("DELETE FROM quarantine WHERE place = ?", (place,)).rowcount > 0

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not self.path.is_file():
                raise OSError("it is no regular file")
            db = sqlite3.connect(self.path, timeout=BUSY_S)
            deadline_s = time.monotonic() + WORK_S
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT_BYTES)
            db.set_progress_handler(lambda: time.monotonic() > deadline_s, STEPS)
            try:
                with db:
                    if db.execute(OLD).fetchone():
                        db.execute("ALTER TABLE sick RENAME TO quarantine")
                    db.executescript(SCHEMA)
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError, ValueError) as e:  # text that is no UTF-8 or no JSON
            raise InfrastructureError(f"{self.path}: {e}") from e
