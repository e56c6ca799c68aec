# SPDX-License-Identifier: MIT
"""Parse the kernel's counts of notifications as they were read in one go. Pure.

Ref: Linux kernel/irq/proc.c (show_interrupts), kernel/trace/trace_kprobe.c (probes_profile_seq_show)
"""

import gzip
import re
import zlib
from collections.abc import Mapping
from typing import TypeVar

from attrs import field, frozen

from mpbench.core.errors import InfrastructureError
from mpbench.core.proc_interrupts import by_cpu
from mpbench.notification.ftrace_hist import HistTable, tables

SECTION = re.compile(r"^@@ (.+)$", re.M)
ALL_CPUS = -1

K = TypeVar("K")

Bucket = tuple[int, int, int]
"""CPU or ALL_CPUS, lowest value, width."""


@frozen
class Readout:
    """Everything counted since the set-up.

    table:      interrupts of notifications by CPU, by /proc/interrupts
    hits:       by role: value of the key → hits
    durations:  by segment: bucket → count
    dropped:    records that the kernel had no room for
    consistent: no notification arrived while this was read: all numbers are of one moment
    """

    table: Mapping[int, int]
    hits: Mapping[str, Mapping[int, int]]
    durations: Mapping[str, Mapping[Bucket, int]] = field(repr=False)
    dropped: int
    consistent: bool

    def since(self, before: "Readout") -> "Readout":
        """Difference from an earlier readout."""
        return Readout(
            _less(self.table, before.table),
            {label: _less(rows, before.hits.get(label, {})) for label, rows in self.hits.items()},
            {name: _less(rows, before.durations.get(name, {})) for name, rows in self.durations.items()},
            self.dropped - before.dropped,
            self.consistent and before.consistent,
        )


def _less(now: Mapping[K, int], before: Mapping[K, int]) -> dict[K, int]:
    return {key: n - before.get(key, 0) for key, n in now.items() if n != before.get(key, 0)}


def unpacked(data: bytes) -> str:
    """Text that the board sent compressed. InfrastructureError if it is damaged."""
    try:
        if not data:
            raise EOFError("no data")
        return gzip.decompress(data).decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error) as e:
        raise InfrastructureError(
            f"the board's compressed answer of {len(data)} bytes is damaged: {e}"
        ) from e


def readout(text: str, line: str) -> Readout:
    """Parse sections `@@ label` with a hist file each, between two copies of /proc/interrupts.

    line: name of the notification's interrupt. InfrastructureError if anything is missing.
    """
    parts = SECTION.split(text)
    sections = list(zip(parts[1::2], parts[2::2], strict=True))
    copies = [interrupts(body, line) for label, body in sections if label == "interrupts"]
    found: dict[str, dict[int, int]] = {}
    durations: dict[str, dict[Bucket, int]] = {}
    every: list[HistTable] = []
    for label, body in sections:
        these = list(tables(body)) if label not in ("interrupts", "missed") else []
        every += these
        if label == "durations":
            for table in these:
                _add_durations(table, durations)
        elif these:
            counted = next(table for table in these if "onmatch" not in table.trigger)
            found[label] = {next(iter(key.values())): hits for key, hits in counted.rows}
    if len(copies) != 2:
        raise InfrastructureError(
            f"the board's answer is truncated: {len(copies)} copies of /proc/interrupts instead of 2"
        )
    missed = sum(int(n) for label, body in sections if label == "missed" for n in MISSED.findall(body))
    dropped = sum(table.dropped for table in every) + missed
    consistent = copies[0] == copies[1] and all(table.consistent for table in every)
    return Readout(copies[1], found, durations, dropped, consistent)


MISSED = re.compile(r"^ *\S+ +\d+ +(\d+)$", re.M)
WIDTH = re.compile(r"(\w+)\.buckets=(\d+)")


def _add_durations(table: HistTable, durations: dict[str, dict[Bucket, int]]) -> None:
    bucketed = WIDTH.search(table.trigger)
    if bucketed is None:
        raise InfrastructureError(f"a histogram without buckets: {table.trigger}")
    name, width = bucketed[1], int(bucketed[2])
    rows = durations.setdefault(name, {})
    for key, hits in table.rows:
        rows[key.get("cpu", ALL_CPUS), key[name], width] = hits


def interrupts(table: str, line: str) -> dict[int, int]:
    """Counts by CPU of an interrupt in /proc/interrupts, by name. InfrastructureError if it is missing."""
    found = by_cpu(table, line)
    if found is None:
        raise InfrastructureError(f"/proc/interrupts no longer lists {line!r}")
    return found
