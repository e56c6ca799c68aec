# SPDX-License-Identifier: MIT
"""Predicted against observed, field by field. Pure."""

from attrs import AttrsInstance, fields

from mpbench.core.facts import Agreement, Comparison, FieldVerdict, Value


def agreement(predicted: Value, observed: Value) -> Agreement:
    """Verdict of one field: undecided if one side is unknown."""
    if predicted is None or observed is None:
        return Agreement.UNDECIDED
    # True == 1 in Python, but a heartbeat is not a TEE code.
    same = type(predicted) is type(observed) and predicted == observed
    return Agreement.AGREES if same else Agreement.DIFFERS


def compare(predicted: AttrsInstance, observed: AttrsInstance) -> Comparison:
    """Every field in its order of declaration; none is left out. TypeError for facts of different kinds."""
    if type(predicted) is not type(observed):
        raise TypeError(f"{type(predicted).__name__} cannot be compared with {type(observed).__name__}")
    names = [f.name for f in fields(type(predicted))]
    return Comparison(tuple(_field(n, getattr(predicted, n), getattr(observed, n)) for n in names))


def _field(name: str, predicted: Value, observed: Value) -> FieldVerdict:
    return FieldVerdict(name, predicted, observed, agreement(predicted, observed))
