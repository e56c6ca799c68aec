# SPDX-License-Identifier: MIT
"""How long a board slept, and how fast a core worked meanwhile. Pure."""

from collections.abc import Iterator, Mapping

from mpbench.core.facts import Measurement
from mpbench.suspend.facts import LEAST_SHARE, Sleep

SLEPT, WORKED = "suspended", "heartbeats while suspended, share of the rate afterwards"
SOURCE = "/proc/uptime around the write to /sys/power/state"


def measurements(sleep: Sleep | None, conditions: Mapping[str, str]) -> Iterator[Measurement]:
    """Seconds of the write; a share of 1 is a core that nothing slowed down. Nothing without a sleep."""
    if sleep is None:
        return
    yield Measurement(SLEPT, sleep.took_s, "s", SOURCE, conditions=conditions)
    if sleep.rate_asleep_hz is not None and sleep.rate_awake_hz:
        share = sleep.rate_asleep_hz / sleep.rate_awake_hz
        yield Measurement(
            WORKED, share, "", f"trace buffer; {SOURCE}", low=LEAST_SHARE, conditions=conditions
        )
