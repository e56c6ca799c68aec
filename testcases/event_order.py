# SPDX-License-Identifier: MIT
"""Whether the events of a recording decide which times belong to which notification."""

from collections.abc import Hashable, Iterable

from mpbench.notification.facts import CALL, QUEUE, START
from mpbench.notification.trace_events import TraceEvent


def interleaved(events: Iterable[TraceEvent]) -> bool:
    """Whether a bottom half was requested again before the first call of the one requested earlier.

    On two CPUs the order of the time stamps is then not always that in which the kernel updated its
    histograms, so its times may be of another request. Also true if a recording starts or ends between a
    request and its bottom half.
    """
    requested: set[Hashable] = set()
    started: dict[int, Hashable] = {}
    for event in sorted(events, key=lambda e: e.ns):
        if event.role == QUEUE:
            if event.key in requested or event.key in started.values():
                return True
            requested.add(event.key)
        elif event.role == START:
            if event.key not in requested:
                return True
            requested.remove(event.key)
            started[event.pid] = event.key
        elif event.role == CALL:
            started.pop(event.pid, None)
    return bool(requested)
