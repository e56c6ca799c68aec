# SPDX-License-Identifier: MIT
"""What each verdict looks like on a page: half of these go wrong on purpose. Part of the sample only."""

import pytest
from bench.errors import LabFault
from bench.facts import Measurement
from bench.image.sign import sign


def test_wrong_prediction(bench, firmware, signing_key):
    """FAIL, on purpose: the board runs `alive` where somebody expected `starve`."""
    step = bench.deploy("m33", sign([firmware("alive", "m33")], signing_key), "starve m33")
    step.check("identity")


def test_close_to_the_limit(bench):
    """MARGINAL, on purpose: a time inside its limits, but close to one."""
    bench.measure(Measurement("answer", 9.7, "ms", "made up", None, 10.0, 0.05))


@pytest.mark.usefixtures("bench")
def test_lab_breaks():
    """INFRA, on purpose: the lab fails, so there is no verdict on the board."""
    raise LabFault("the power switch at 192.0.2.80 does not answer (made up)")


@pytest.mark.usefixtures("bench")
def test_not_possible_here():
    """NOT-RUN, on purpose: this board lacks what the test needs."""
    pytest.skip("this board has no RTC (made up)")
