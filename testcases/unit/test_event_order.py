# SPDX-License-Identifier: MIT
"""Which recordings decide the times of each notification."""

import pytest

from mpbench.notification.facts import CALL, QUEUE, START
from mpbench.notification.trace_events import Sample, TraceEvent
from testcases.event_order import interleaved, text_is_early

WORK, WORKER = "work", 7


def events(*found):
    """Events 1 µs apart: (role, CPU)."""
    return [TraceEvent(n * 1000, cpu, role, WORKER, WORK) for n, (role, cpu) in enumerate(found)]


def test_requests_one_after_another():
    """A request after the first call of the bottom half before it is of the next one."""
    assert not interleaved(events((QUEUE, 0), (START, 0), (CALL, 0), (QUEUE, 1), (START, 1), (CALL, 1)))
    assert not interleaved([])


@pytest.mark.parametrize(
    "found",
    [
        ((QUEUE, 0), (QUEUE, 1), (START, 0), (CALL, 0), (START, 1), (CALL, 1)),
        ((QUEUE, 0), (START, 0), (QUEUE, 1), (CALL, 0), (START, 1), (CALL, 1)),
        ((START, 0), (CALL, 0)),
        ((QUEUE, 0),),
    ],
    ids=["before the start", "before the call", "request not recorded", "start not recorded"],
)
def test_interleaved_requests(found):
    """Requests that overlap, and a recording that cuts a bottom half off from its request."""
    assert interleaved(events(*found))


def test_text_with_an_early_time():
    """Times of the text may differ by its resolution; one that is earlier by more is found."""
    raw = Sample(10_400, 20_600, 30_000, 40_000, 50_000, 0, 0)
    assert not text_is_early([raw], [Sample(10_000, 21_000, 30_000, 40_000, 50_000, 0, 0)])
    assert text_is_early([raw], [Sample(10_000, 19_000, 30_000, 40_000, 50_000, 0, 0)])
    assert not text_is_early([], [])
