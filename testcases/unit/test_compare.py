# SPDX-License-Identifier: MIT
"""Predicted against observed, field by field."""

import pytest

from mpbench.core.compare import agreement, compare
from mpbench.core.errors import UsageError
from mpbench.core.evidence import Evidence
from mpbench.core.facts import Agreement, Verdict
from mpbench.core.step import Step
from mpbench.deployment.facts import DeployFacts

RUNNING = DeployFacts("OK", "running", 0, "", True, "alive m33")


@pytest.mark.parametrize(
    ("predicted", "observed", "expected"),
    [
        ("EIO", "EIO", Agreement.AGREES),
        ("EIO", "OK", Agreement.DIFFERS),
        ("", "", Agreement.AGREES),
        (0, 0xFFFF3072, Agreement.DIFFERS),
        (False, False, Agreement.AGREES),
        (None, "EIO", Agreement.UNDECIDED),
        ("EIO", None, Agreement.UNDECIDED),
        (None, None, Agreement.UNDECIDED),
        (True, 1, Agreement.DIFFERS),
        (0, False, Agreement.DIFFERS),
    ],
)
def test_a_field_agrees_differs_or_is_undecided(predicted, observed, expected):
    """A value that was not predicted or not observed is undecided, and types must match."""
    assert agreement(predicted, observed) is expected


def test_every_field_is_compared_in_its_order():
    """No field of a deployment is left out of the comparison."""
    names = [f.name for f in compare(RUNNING, RUNNING).fields]
    assert names == ["errno", "state", "tee_code", "secure_log", "beating", "identity", "memory"]


def test_one_differing_field_fails_the_step():
    """One field that differs makes the step FAIL, although others agree."""
    observed = DeployFacts("OK", "running", 0, "", False, "alive m33")
    found = compare(RUNNING, observed)
    assert found.verdict is Verdict.FAIL
    assert [f.name for f in found.fields if f.agreement is Agreement.DIFFERS] == ["beating"]


def test_a_step_without_observation_is_invalid():
    """A step whose fields are all undecided is INVALID."""
    assert compare(RUNNING, DeployFacts()).verdict is Verdict.INVALID


def test_what_was_observed_and_agrees_passes():
    """Fields that were not observed do not change the verdict of those that agree."""
    assert compare(RUNNING, DeployFacts(state="running")).verdict is Verdict.PASS


def test_a_field_that_a_step_has_not_is_a_mistake_in_the_test():
    """A misspelt name would otherwise check nothing."""
    found = compare(RUNNING, DeployFacts(state="running"))
    step = Step("deploy", "m33", RUNNING, DeployFacts(), found, Evidence(()), 0)
    step.check("state")
    names = "errno, state, tee_code, secure_log, beating, identity, memory"
    with pytest.raises(UsageError, match=f"^deploy: no field errono; it has {names}$"):
        step.check("state", "errono")
