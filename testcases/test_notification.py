# SPDX-License-Identifier: MIT
"""OP-TEE's asynchronous notifications, from the interrupt to the end of the bottom half.

`pytest --lg-env ... testcases/test_notification.py --bench-samples 100000 --bench-rate 200`
"""

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
