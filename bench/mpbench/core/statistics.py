# SPDX-License-Identifier: MIT
"""Quantiles, the samples they take, their confidence intervals, distance of distributions. Pure.

A distribution is (value, count) in ascending order, or a mapping of comparable values to counts.

Ref: David, Nagaraja, Order Statistics, 3rd ed., 7.1 (intervals); Conover, Practical Nonparametric Statistics,
     3rd ed., 6.3 (Kolmogorov-Smirnov)
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from mpbench.core.errors import UsageError

V = TypeVar("V")

PERCENTILES = (50.0, 90.0, 99.0, 99.9)

BEYOND = 10
"""Samples that have to lie beyond a percentile of a tail: fewer, and it would be a matter of chance."""

Z_95, Z_99 = 1.96, 2.576
"""Quantiles of the normal distribution for intervals of 95 and 99 %."""


def least_n(p: float) -> int:
    """Samples that the p-th percentile takes: 100 for p90, 10,000 for p99.9; 1 for the median."""
    return 1 if p == 50 else math.ceil(BEYOND * 100 / min(p, 100 - p) - 1e-6)


def rank(n: int, p: float) -> int:
    """Nearest rank of the p-th percentile of n samples, 1 to n."""
    return max(1, math.ceil(n * p / 100 - 1e-9))


def quantile(distribution: Iterable[tuple[V, int]], n: int, p: float) -> V:
    """Value of the nearest rank; n: sum of the counts. UsageError without samples."""
    wanted, seen = rank(n, p), 0
    for value, count in distribution:
        seen += count
        if seen >= wanted:
            return value
    raise UsageError("no samples, no quantile")


def summary(n: int, value_of: Callable[[float], float]) -> Iterator[tuple[str, float]]:
    """(statistic, value): min, percentiles that n samples suffice for, max; value_of: value by percent."""
    if n:
        yield "min", value_of(0)
        yield from ((f"p{p:g}", value_of(p)) for p in PERCENTILES if n >= least_n(p))
        yield "max", value_of(100)


def interval(n: int, value_of: Callable[[float], float], p: float, z: float = Z_95) -> tuple[float, float]:
    """Confidence interval of a percentile: the order statistics around it (normal approximation)."""
    share = p / 100
    reach = z * math.sqrt(share * (1 - share) / max(1, n)) * 100
    return value_of(max(0.0, p - reach)), value_of(min(100.0, p + reach))


def distance(a: Mapping[Any, int], b: Mapping[Any, int]) -> float:
    """Kolmogorov-Smirnov distance of two distributions, 0 to 1. UsageError if one is empty."""
    total_a, total_b = sum(a.values()), sum(b.values())
    if not total_a or not total_b:
        raise UsageError("an empty distribution has no distance")
    below_a = below_b = 0
    worst = 0.0
    for bucket in sorted(a.keys() | b.keys()):
        below_a += a.get(bucket, 0)
        below_b += b.get(bucket, 0)
        worst = max(worst, abs(below_a / total_a - below_b / total_b))
    return worst
