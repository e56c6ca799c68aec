# SPDX-License-Identifier: MIT
"""Select the stimulus of notifications that a target has and its board supports."""

from typing import Any

from mpbench.board.stimulus import Stimulus

DRIVERS = ("SecureConsoleStimulus", "RtcAlarmStimulus", "PassiveStimulus")
"""Drivers of stimuli, best first."""


def best_stimulus(target: Any) -> Stimulus | str:
    """The best stimulus of a labgrid target, activated, or why there is none."""
    reasons = []
    drivers = {type(driver).__name__: driver for driver in target.drivers}
    for name in DRIVERS:
        if name in drivers:
            target.activate(drivers[name])
            stimulus: Stimulus = drivers[name]
            if not (reason := stimulus.unavailable()):
                return stimulus
            reasons.append(reason)
    return "; ".join(["the target file names no stimulus of notifications", *reasons])
