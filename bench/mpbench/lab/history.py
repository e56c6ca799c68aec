# SPDX-License-Identifier: MIT
"""What a lab remembers of its nights: points of the trends, and places that were taken out. SQLite."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import InfrastructureError
from mpbench.report.trend import Point

SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
  run TEXT PRIMARY KEY, label TEXT NOT NULL, utc TEXT NOT NULL, counts TEXT NOT NULL, measured TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sick (place TEXT PRIMARY KEY, utc TEXT NOT NULL, reason TEXT NOT NULL);
"""
REMEMBER = """
INSERT INTO point VALUES (?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET
  label = excluded.label, utc = excluded.utc, counts = excluded.counts, measured = excluded.measured
"""
BUSY_S = 10.0


@frozen
class History:
    """A file that outlives the nights. All methods raise InfrastructureError if it can't be used."""

    path: Path

    def points(self) -> list[Point]:
        """Every run that was remembered, in the order of that: the wall clock may have been set between."""
        with self._open() as db:
            rows = db.execute("SELECT run, label, utc, counts, measured FROM point ORDER BY rowid").fetchall()
        return [
            Point(run, label, utc, json.loads(counts), json.loads(v)) for run, label, utc, counts, v in rows
        ]

    def remember(self, points: Iterable[Point]) -> None:
        """Add runs; one that is there is replaced."""
        rows = [
            (p.run, p.label, p.utc, json.dumps(dict(p.counts)), json.dumps(dict(p.values))) for p in points
        ]
        with self._open() as db:
            db.executemany(REMEMBER, rows)

    def sick(self) -> dict[str, str]:
        """Places that were taken out, and why."""
        with self._open() as db:
            rows = db.execute("SELECT place, utc, reason FROM sick ORDER BY place").fetchall()
        return {place: f"taken out {utc}: {reason}" for place, utc, reason in rows}

    def take_out(self, place: str, utc: str, reason: str) -> None:
        """A place whose board is not usable."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO sick VALUES (?, ?, ?)", (place, utc, reason))

    def readmit(self, place: str) -> bool:
        """A place that somebody repaired; whether it had been taken out."""
        with self._open() as db:
            return db.execute("DELETE FROM sick WHERE place = ?", (place,)).rowcount > 0

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=BUSY_S)
            try:
                with db:
                    db.executescript(SCHEMA)
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as e:
            raise InfrastructureError(f"{self.path}: {e}") from e
