# SPDX-License-Identifier: MIT
"""Every verdict as a page shows it: all but one of these go wrong on purpose. Part of the sample only."""

import pytest

from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.facts import Measurement
from mpbench.harness.verdicts import BLOCKED
from mpbench.image.sign import sign


def test_wrong_prediction(bench, firmware, signing_key):
    """FAIL, on purpose: the board runs `alive`, the prediction is `starve`."""
    step = bench.deploy("m33", sign([firmware("alive", "m33")], signing_key), "starve m33")
    step.check("identity")


def test_close_to_the_limit(bench):
    """MARGINAL, on purpose: a time inside its limits, but close to one; a figure without limits beside it."""
    bench.measure(Measurement("answer", 9.7, "ms", "made up", None, 10.0, 0.05, statistic="max", n=3))
    bench.measure(Measurement("answer", 9.1, "ms", "made up", statistic="min", n=3))


@pytest.mark.usefixtures("bench")
def test_lab_breaks():
    """INFRA, on purpose: the lab fails, so there is no verdict on the board."""
    raise InfrastructureError("the power switch at 192.0.2.80 does not answer (made up)")


@pytest.mark.usefixtures("bench")
def test_result_cannot_be_trusted():
    """INVALID, on purpose: the board was reset while it was tested."""
    raise InvalidRun("the board was reset during the test (made up)")


@pytest.mark.usefixtures("bench")
def test_something_broken_comes_first():
    """BLOCKED, on purpose: something else has to be repaired first."""
    pytest.skip(f"{BLOCKED}the boot failed earlier in this run (made up)")


@pytest.mark.usefixtures("bench")
def test_not_possible_here():
    """NOT-RUN, on purpose: this board lacks what the test needs."""
    pytest.skip("this board has no RTC (made up)")
