# SPDX-License-Identifier: MIT
"""One step of a test: what was predicted, what was observed, how they agree."""

from collections.abc import Sequence

from attrs import AttrsInstance, evolve, field, frozen

from mpbench.core.compare import compare
from mpbench.core.errors import BoardFailure, InvalidRun, UsageError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.facts import Agreement, Comparison, FieldVerdict


@frozen
class Step:
    """One step of a test, with its evidence and how long it took."""

    name: str
    core: str
    predicted: AttrsInstance
    observed: AttrsInstance
    comparison: Comparison
    evidence: Evidence = field(repr=False)
    duration_ns: int

    @property
    def events(self) -> tuple[tuple[str, int], ...]:
        """(name, nanoseconds of the board's clock) of what happened in it, in order; most steps have none."""
        return ()

    def check(self, *decided: str) -> None:
        """BoardFailure if a field differs; InvalidRun if nothing, or one of `decided`, was not observed.

        UsageError: `decided` names a field that this step has not.
        """
        known = [f.name for f in self.comparison.fields]
        if unknown := [name for name in decided if name not in known]:
            raise UsageError(f"{self.name}: no field {', '.join(unknown)}; it has {', '.join(known)}")
        wrong = [_words(f) for f in self.comparison.fields if f.agreement is Agreement.DIFFERS]
        if wrong:
            raise BoardFailure(f"{self.name} on {self.core}: {'; '.join(wrong)}")
        open_ = {f.name for f in self.comparison.fields if f.agreement is Agreement.UNDECIDED}
        if missing := open_.intersection(decided):
            raise InvalidRun(f"{self.name} on {self.core}: not observed: {', '.join(sorted(missing))}")
        if len(open_) == len(self.comparison.fields):
            raise InvalidRun(f"{self.name} on {self.core}: nothing was observed")


def with_proof(step: Step, artefact: Artefact) -> Step:
    """The step with one more artefact in its evidence."""
    return evolve(step, evidence=Evidence((*step.evidence.artefacts, artefact)))


def best(step: Step, might: Sequence[AttrsInstance]) -> Step:
    """The step against the prediction that it fits best: the one with the fewest fields that differ."""
    compared = [(predicted, compare(predicted, step.observed)) for predicted in might]
    predicted, comparison = min(compared, key=lambda pair: pair[1].differing)
    return evolve(step, predicted=predicted, comparison=comparison)


def _words(f: FieldVerdict) -> str:
    return f"{f.name} was predicted {_word(f.predicted)}, the board showed {_word(f.observed)}"


def _word(value: object) -> str:
    return f"{value:#010x}" if type(value) is int else repr(value)
