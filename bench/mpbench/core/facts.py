# SPDX-License-Identifier: MIT
"""Value types that all stages share: frozen, with nothing but their own arithmetic."""

import enum
import math
from collections.abc import Iterable, Mapping

from attrs import field, frozen

Value = str | int | bool | None
"""What a field of a prediction or an observation may hold; None: not observed."""


class Verdict(enum.Enum):
    """Verdict of a test case, a run or a page; the words are those of the report.

    INCOMPLETE is of runs and pages only: something that was planned did not run.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    MARGINAL = "MARGINAL"
    ERROR = "ERROR"
    INFRA = "INFRA"
    INVALID = "INVALID"
    INCOMPLETE = "INCOMPLETE"
    BLOCKED = "BLOCKED"
    NOT_RUN = "NOT-RUN"


_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INFRA,
    Verdict.BLOCKED,
    Verdict.INVALID,
    Verdict.INCOMPLETE,
    Verdict.MARGINAL,
    Verdict.PASS,
)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; NOT-RUN only if nothing was executed. Of a run: see core.verdict."""
    found = set(verdicts)
    return next((v for v in _WORST_FIRST if v in found), Verdict.NOT_RUN)


class Agreement(enum.Enum):
    """Verdict of one field: predicted against observed."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


@frozen
class FieldVerdict:
    """One field, predicted against observed."""

    name: str
    predicted: Value
    observed: Value
    agreement: Agreement


@frozen
class Comparison:
    """All fields of one step."""

    fields: tuple[FieldVerdict, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if a field differs; INVALID if nothing was decided; else PASS."""
        found = {f.agreement for f in self.fields}
        if Agreement.DIFFERS in found:
            return Verdict.FAIL
        return Verdict.PASS if Agreement.AGREES in found else Verdict.INVALID

    def differs(self, name: str) -> bool:
        """Whether the field `name` differs."""
        return any(f.name == name and f.agreement is Agreement.DIFFERS for f in self.fields)

    @property
    def differing(self) -> int:
        """How many fields differ."""
        return sum(f.agreement is Agreement.DIFFERS for f in self.fields)


@frozen
class Measurement:
    """A figure with its unit, its limits and what measured it.

    name:       what was measured, without numbers: runs and boards are lined up by it
    statistic:  which figure of the samples, e.g. p99 or max; "" for a single value
    n:          samples it was taken from; None for a single value or a count
    conditions: what the test chose, by name, e.g. {"core": "m33", "load": "cpu"}; part of what was measured
    margin:     share of the limits' distance, or of the only limit, that counts as close to a limit
    """

    name: str
    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    statistic: str = field(default="", kw_only=True)
    n: int | None = field(default=None, kw_only=True)
    conditions: Mapping[str, str] = field(factory=dict, kw_only=True)

    @property
    def label(self) -> str:
        """Name, statistic and conditions in one line."""
        return measured(self.name, self.statistic, self.conditions)

    @property
    def verdict(self) -> Verdict | None:
        """FAIL outside the limits, MARGINAL inside but close to one, else PASS; bounds are inside.

        None without limits: a figure that is not bounded passes nothing.
        """
        if self.low is None and self.high is None:
            return None
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= self.value <= high:
            return Verdict.FAIL
        reach = self._reach()
        close = self.value < low + reach or self.value > high - reach
        return Verdict.MARGINAL if close else Verdict.PASS

    def _reach(self) -> float:
        """How near to a limit is close, in the unit."""
        known = [limit for limit in (self.low, self.high) if limit is not None]
        distance = known[1] - known[0] if len(known) == 2 else abs(known[0])
        return self.margin * distance


def measured(name: str, statistic: str, conditions: Mapping[str, str]) -> str:
    """What a figure is, in one line: "recovery, p99 (core m33)"."""
    more = ", ".join(f"{key} {value}" for key, value in conditions.items())
    return name + (f", {statistic}" if statistic else "") + (f" ({more})" if more else "")


METHOD = "method"
"""Condition of figures that several methods took of the same: they are compared with each other."""

BY_BASELINE = ", by the baseline's"
"""End of the name of a figure that is a multiple of the same figure of an earlier run."""

NO_LIMIT = "no limit"
"""Limits of a figure that nothing bounds, and the word in place of its verdict."""


def number(value: float) -> str:
    """A value with four digits that count."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}".replace(",", " ")


def limits(low: float | None, high: float | None) -> str:
    """The good range, in one form everywhere: "≤ 10", "≥ 512", "1 … 10"."""
    if low is None:
        return NO_LIMIT if high is None else f"≤ {number(high)}"
    return f"≥ {number(low)}" if high is None else f"{number(low)} … {number(high)}"


@frozen
class Provenance:
    """Who and what was tested: name → text, e.g. "kernel" → "Linux version 6.12.107 ..."."""

    entries: Mapping[str, str]
