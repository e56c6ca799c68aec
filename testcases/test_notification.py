# SPDX-License-Identifier: MIT
"""OP-TEE's asynchronous notifications, from the interrupt to the end of the bottom half.

`pytest --lg-env ... testcases/test_notification.py --bench-samples 100000 --bench-rate 200`
"""

import pytest

from bench.measure.histogram import BUCKET_ERROR
from bench.run.latency import HISTOGRAM, RAW, TEXT

MOST_MOVED = 64 << 10
"""Bytes that may be read from the board for a run of any length: nothing is moved per sample."""


def test_every_interrupt_is_explained(notifications):
    """Every interrupt is a bottom half, was merged with one, or found nothing to do; no record is dropped."""
    found = notifications.run()
    notifications.record(found)
    assert found.balance.holds
    assert found.counts.ended >= notifications.samples
    assert found.counts.samples > 0.9 * found.counts.ended
    assert found.counts.dropped == 0
    assert found.moved <= MOST_MOVED


TEXT_RESOLUTION_NS = 2000
"""Both ends of a duration are cut to a microsecond in the text."""


def test_three_methods_agree(notifications):
    """Counted by the kernel, decoded from the raw buffer, read as text: one run, the same distributions."""
    with notifications.traced(count=True, record=True) as trace:
        found = notifications.recorded(trace, 300)
    by_kernel, by_raw, by_text = (found[name] for name in (HISTOGRAM, RAW, TEXT))
    for result in found.values():
        notifications.record(result, result.method)
    assert by_raw.counts == by_kernel.counts
    assert by_text.counts.samples == by_kernel.counts.samples
    for name, histogram in by_kernel.segments.items():
        for p in (0, 10, 50, 90, 100):
            exact, other = histogram.quantile(p), by_text.segments[name].quantile(p)
            assert by_raw.segments[name].quantile(p) == pytest.approx(exact, rel=BUCKET_ERROR, abs=16)
            assert other == pytest.approx(exact, rel=2 * BUCKET_ERROR, abs=TEXT_RESOLUTION_NS)
