# SPDX-License-Identifier: MIT
"""Whether the events of a recording decide the times of each notification."""

from collections.abc import Hashable, Iterable, Sequence

from mpbench.notification.facts import CALL, QUEUE, START
from mpbench.notification.trace_events import TEXT_NS, Sample, TraceEvent


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


def text_is_early(raw: Sequence[Sample], text: Sequence[Sample]) -> bool:
    """Whether the text dates an event earlier than the raw pages of one recording do.

    Seen for an interrupt that came while another event was written: the kernel's histograms have the time of
    the raw pages, the text one that is 20 to 70 µs earlier.
    """
    pairs = zip(raw, text, strict=False)
    return any(
        exact - cut > TEXT_NS for one, other in pairs for exact, cut in zip(one[:5], other[:5], strict=True)
    )
