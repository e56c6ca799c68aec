# SPDX-License-Identifier: MIT
"""What the counter has to do on a board."""

import time

import pytest

from mpbench.core.facts import Measurement

MEASURED_S = 2.0


@pytest.mark.requirement("PUMP-7: The controller counts 50 times a second.")
@pytest.mark.cores("m33")
def test_the_counter_counts(bench, core, counter_image, beats, env):
    """The counter is accepted by OP-TEE, identifies itself, and counts within its limits."""
    step = bench.deploy(core, counter_image, f"counter {core}")
    step.check("errno", "state", "tee_code", "beating", "identity")
    first, start_s = beats(), time.monotonic()
    time.sleep(MEASURED_S)
    rate_hz = (beats() - first) / (time.monotonic() - start_s)
    limits = env.config.get_option("counter_hz")
    bench.measure(
        Measurement(
            "count rate",
            rate_hz,
            unit="Hz",
            source="trace buffer",
            low=limits["low"],
            high=limits["high"],
            conditions={"core": core},
        )
    )
