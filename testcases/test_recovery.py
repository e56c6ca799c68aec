# SPDX-License-Identifier: MIT
"""A core that crashes is found, and Linux brings it back through the TEE: authenticated again, as predicted."""

import pytest

ALL = (
    "cause",
    "interrupts",
    "sequence",
    "commands",
    "ta_states",
    "tee_code",
    "secure_log",
    "state",
    "boots",
    "beating",
    "identity",
)
"""Every field is to be observed: a step of which one is not is no proof."""


def test_watchdog_expiry_is_recovered(crashes, core):
    """Firmware that forgets its watchdog is found by it, stopped, authenticated, loaded and started again."""
    crashes.run(core)
    step = crashes.watchdog(core)
    step.check(*ALL)
    assert step.observed.interrupts == 1
    assert step.observed.state == "running"
    assert step.observed.boots == 1
    assert step.observed.beating


@pytest.mark.parametrize("kind", range(4), ids=["mmufault", "watchdog", "fatal-error", "unknown"])
def test_injected_crash_is_recovered(crashes, core, kind):
    """A crash that Linux is told of is recovered like a real one, and no interrupt of a watchdog came."""
    crashes.run(core, "alive")
    step = crashes.injected(core, kind)
    step.check(*ALL)
    assert step.observed.interrupts == 0
    assert step.observed.boots == 1
