# SPDX-License-Identifier: MIT
"""Repeated crash and recovery: every cycle is as predicted, and nothing leaks.

`pytest --lg-env ... testcases/test_soak.py --bench-soak 500x` (or 2h); an interrupted soak resumes.
"""

import pytest
from attrs import asdict

from mpbench.core.errors import BoardFailure, InvalidRun
from mpbench.core.facts import Verdict
from mpbench.core.lines import SeriesLine
from mpbench.deployment.leaks import persistent_leaks
from mpbench.recovery.facts import Timeline
from mpbench.recovery.measure import INTERVALS, disagreements, durations, measurements
from testcases.requirements import ENDURANCE
from testcases.test_recovery import ALL

pytestmark = [ENDURANCE, pytest.mark.usefixtures("signed")]  # not tried with plain ELF files

WARM_UP = 3
"""Cycles before the baseline of the leak check: caches fill, shells are opened."""
CHECK_EVERY = 25


def test_crash_recovery_soak(crashes, core, soak):
    """Every watchdog crash is recovered as predicted, and the board holds no more resources than before."""
    crashes.start(core)
    with crashes.heartbeats(core):
        for _ in range(WARM_UP):
            crashes.failure(core, record=False).check(*ALL)
        before, cycles = crashes.held(), 0
        for number in soak.cycles():
            step = cycle(crashes, core)
            cycles += 1
            soak.journal.add(took_s=step.duration_ns / 1e9, times=asdict(step.timeline))
            if cycles % CHECK_EVERY == 0:
                no_leaks(crashes, before, cycles, number)
                soak.note = f", 0 differences, 0 leaks after {cycles} cycles"
        no_leaks(crashes, before, cycles, len(soak.journal.cycles))
    record_times(crashes, core, [Timeline(**c["times"]) for c in soak.journal.cycles])


def cycle(crashes, core):
    """One crash; a difference is recorded with its evidence and ends the soak."""
    step = crashes.failure(core, record=False)
    wrong = disagreements(step.timeline)
    try:
        step.check(*ALL)
        assert wrong == [], "kernel log and trace contradict each other"
    except (BoardFailure, InvalidRun, AssertionError):
        crashes.bench.append(step)
        raise
    return step


def no_leaks(crashes, before, cycles, number):
    """Fail if the board holds more resources than `before`, naming them and the number of cycles."""
    found = persistent_leaks(before, crashes.held, cycles)
    if found:
        pytest.fail(f"leak within {cycles} cycles (cycle {number} of the soak): " + "; ".join(found))


def record_times(crashes, core, timelines):
    """Record the distributions and the time series."""
    found, bench = list(measurements(timelines, core, crashes.limits_ms)), crashes.bench
    for measurement in found:
        bench.measure(measurement)
    values = durations(timelines)
    for interval in (one for one in INTERVALS if values[one.name]):
        bench.add(
            SeriesLine(interval.name, tuple(values[interval.name]), "ms", interval.source, {"core": core})
        )
    assert [m for m in found if m.verdict is Verdict.FAIL] == [], "outside the target's limits"
