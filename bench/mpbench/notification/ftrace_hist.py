# SPDX-License-Identifier: MIT
"""Parse the kernel's `hist` files. Pure.

Ref: Linux kernel/trace/trace_events_hist.c, hist_show() and hist_trigger_print_key();
     Documentation/trace/histogram.rst
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from attrs import field, frozen

from mpbench.core.errors import InfrastructureError

TRIGGER = re.compile(r"^# trigger info: (hist:.*) \[(?:active|paused)\]$", re.M)
ROW = re.compile(r"^(?:\{ |=)(.*)(?: \} hitcount: +|=)(\d+)(?: .*)?$", re.M)
"""As the kernel prints it, or shortened on the board (mpbench.notification.ftrace_session.CONSISTENT)."""
KEY = re.compile(r"(\w+): *~? ?(-?\d+)")
TOTAL = re.compile(r"^    (Hits|Entries|Dropped): (\d+)$", re.M)


@frozen
class HistTable:
    """One histogram.

    rows: by key: value, or a bucket's first value, → hits; dropped: events that the table had no room for
    consistent: rows and totals are of one moment; they are not if events came while the file was read
    """

    trigger: str
    rows: tuple[tuple[Mapping[str, int], int], ...] = field(repr=False)
    hits: int
    dropped: int
    consistent: bool


def tables(text: str) -> Iterator[HistTable]:
    """The histograms of one event. InfrastructureError if a table is truncated."""
    starts = [*(found.start() for found in TRIGGER.finditer(text)), len(text)]
    for begin, end in pairwise(starts):
        table = text[begin:end]
        trigger = TRIGGER.findall(table)[0]
        totals = {name: int(n) for name, n in TOTAL.findall(table)}
        found = ((KEY.findall(keys), int(hits)) for keys, hits in ROW.findall(table))
        rows = tuple(({name: int(low) for name, low in keys}, hits) for keys, hits in found)
        if totals.keys() != {"Hits", "Entries", "Dropped"}:
            raise InfrastructureError(f"a histogram of the kernel is truncated: {trigger!r}")
        counted = sum(hits for _, hits in rows)
        consistent = len(rows) == totals["Entries"] and counted == totals["Hits"]
        yield HistTable(trigger, rows, totals["Hits"], totals["Dropped"], consistent)
