# SPDX-License-Identifier: MIT
"""Damaged images: the board answers each as the twin predicts, in every field."""

from collections import Counter, defaultdict

import pytest
from attrs import evolve

from mpbench.core.errors import InvalidRun
from mpbench.core.facts import Measurement
from mpbench.deployment.flips import answered
from mpbench.image.faults import FAULTS, apply
from testcases.field_sets import ANSWER
from testcases.requirements import REFUSAL

pytestmark = REFUSAL


@pytest.fixture(scope="module")
def outcomes():
    """By core and fault that was deployed: the predicted and the board's answer, or None."""
    return defaultdict(dict)


@pytest.fixture
def damaged(image, signing_key, fault):
    """Name of a fault and the image with it, signed again where the fault is one of a build."""
    return fault, apply(fault, image, signing_key)


@pytest.mark.parametrize("fault", FAULTS)
def test_named_fault(bench, core, image, damaged, outcomes):
    """An image with one named fault gets the predicted answer: code, reason, state, memory."""
    fault, tampered = damaged
    bench.may_send(core, tampered)
    outcomes[core][fault] = None
    step = bench.deploy(core, tampered, f"alive {core}", original=image)
    outcomes[core][fault] = answered(evolve(step, observed=step.predicted)), answered(step)
    step.check(*ANSWER)


def test_named_faults_in_numbers(bench, core, outcomes):
    """The numbers of images with a named fault that were accepted or refused are as predicted."""
    if not outcomes[core]:
        pytest.skip("no named fault was tried in this run")
    if unanswered := [fault for fault, pair in outcomes[core].items() if pair is None]:
        raise InvalidRun(f"no answer of the board to {', '.join(unanswered)}")
    predicted, found = (Counter(answers) for answers in zip(*outcomes[core].values(), strict=True))
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
    assert found == predicted


def test_random_flips(bench, core, image, flips):
    """Images with random flipped bits, in all ranges of the twin's map, are answered as predicted."""
    found = flips.run(core, image, f"alive {core}")
    if not found:
        pytest.skip("--bench-flips 0: no flip was asked for")
    for name, number in sorted(found.items()):
        bench.measure(
            Measurement(
                "images with a random flip",
                number,
                "images",
                f"seeds {flips.seed}:{core}:*",
                conditions={"core": core, "answer": name},
            )
        )
