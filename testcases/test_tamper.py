# SPDX-License-Identifier: MIT
"""Every way to spoil a signed image, on the board: it answers as the twin predicted, in every field."""

from collections import Counter

import pytest

from mpbench.core.facts import Measurement
from mpbench.deployment.flips import answered
from mpbench.image.faults import FAULTS, apply
from testcases.compared import ANSWER
from testcases.requirements import REFUSAL

pytestmark = REFUSAL


@pytest.fixture(scope="module")
def outcomes():
    """How often the board gave which answer, by core."""
    return {}


@pytest.fixture
def spoiled(image, signing_key, fault):
    """The image with that fault, signed again where the fault is one of a build."""
    return apply(fault, image, signing_key)


@pytest.mark.parametrize("fault", FAULTS)
def test_named_fault(bench, core, image, spoiled, outcomes):
    """An image with one named fault gets the answer that the twin predicted: code, reason, state, memory."""
    step = bench.deploy(core, spoiled, f"alive {core}", original=image)
    step.check(*ANSWER)
    outcomes.setdefault(core, Counter())[answered(step)] += 1


def test_named_faults_in_numbers(bench, core, outcomes):
    """How the named faults ended: every one has an answer of the board."""
    found = outcomes.get(core, Counter())
    if not found:
        pytest.skip("no named fault was tried in this run")
    for name, number in sorted(found.items()):
        bench.measure(
            Measurement(
                "images with a named fault",
                number,
                "images",
                "this run",
                conditions={"core": core, "answer": name},
            )
        )


def test_random_flips(bench, core, image, flips):
    """Bits turned over at random, in every range of the twin's map: the board answers each as predicted."""
    for name, number in sorted(flips.run(core, image, f"alive {core}").items()):
        bench.measure(
            Measurement(
                "images with a random flip",
                number,
                "images",
                f"seeds {flips.seed}:{core}:*",
                conditions={"core": core, "answer": name},
            )
        )
