# SPDX-License-Identifier: MIT
"""Durations in buckets at most 1.6 % wide: a bucket's middle is within 0.8 % of every value. Pure.

The buckets are those that the board's kernel counts in by itself (hist triggers with `.buckets=`), and
samples that were read one by one go into the same ones: what three methods saw can be compared.

Ref: Linux Documentation/trace/histogram.rst, "buckets=size"
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from attrs import field, frozen

from mpbench.core.errors import UsageError

BUCKET_ERROR = 1 / 128
"""Largest distance of a value from its bucket's middle, as a share of the value."""

FINEST_NS = 16
"""Width of the first buckets. Below 1 µs, where it is more than 1.6 %, it is about a tick of the timers that
these boards have (62.5 MHz: 16 ns, 40 MHz: 25 ns, 24 MHz: 42 ns)."""

_EDGES = (0, *(1 << shift for shift in range(12, 32, 2)))
LONGEST_NS = 1 << 40
"""18 minutes; the kernel's numbers have no sign, so what seems longer is a negative duration."""


@frozen
class Band:
    """Durations from low_ns to below high_ns are counted in buckets of width_ns."""

    low_ns: int
    high_ns: int
    width_ns: int


BANDS = tuple(Band(low, high, max(FINEST_NS, low // 64)) for low, high in pairwise((*_EDGES, LONGEST_NS)))


def band_of(value_ns: int) -> Band:
    """The band that a duration falls in. UsageError for a negative one, and for one that is too long."""
    for band in BANDS:
        if band.low_ns <= value_ns < band.high_ns:
            return band
    raise UsageError(f"a duration of {value_ns} ns: from 0 up to {LONGEST_NS} are counted")


@frozen
class Histogram:
    """How many durations were in which bucket: (low_ns, width_ns) → count."""

    counts: Mapping[tuple[int, int], int] = field(factory=dict)

    @property
    def total(self) -> int:
        """How many durations there are."""
        return sum(self.counts.values())

    @property
    def min_ns(self) -> float | None:
        """Middle of the first bucket; None if there is none."""
        return self._middle(min(self.counts)) if self.counts else None

    @property
    def max_ns(self) -> float | None:
        """Middle of the last bucket; None if there is none."""
        return self._middle(max(self.counts)) if self.counts else None

    def percentile(self, p: float) -> float | None:
        """Middle of the bucket of the p-th percentile (nearest rank).

        None if the samples are too few: 10 / (1 - p) are needed, e.g. 20 for p50, 10,000 for p99.9.
        """
        if self.total * (100 - p) < 1000 - 1e-6:
            return None
        return self.quantile(p)

    def quantile(self, p: float) -> float:
        """The same however few they are. UsageError if there are none."""
        if not self.counts:
            raise UsageError("no durations, no quantile")
        rank, seen = max(1, math.ceil(self.total * p / 100)), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return self._middle(bucket)
        return self._middle(max(self.counts))

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """(low, high, count) of every bucket that is not empty, in order; nanoseconds, high is outside."""
        for (low, width), count in sorted(self.counts.items()):
            yield low, low + width, count

    def __add__(self, other: "Histogram") -> "Histogram":
        """Both together: runs are merged, never averaged."""
        return Histogram(dict(Counter(self.counts) + Counter(other.counts)))

    def since(self, before: "Histogram") -> "Histogram":
        """What came on top of `before`. UsageError if that had more than is here now."""
        left = Counter(self.counts)
        left.subtract(Counter(before.counts))
        if min(left.values(), default=0) < 0:
            raise UsageError("an earlier histogram has counts that a later one of the same run lacks")
        return Histogram({bucket: n for bucket, n in left.items() if n})

    @staticmethod
    def _middle(bucket: tuple[int, int]) -> float:
        low, width = bucket
        return low + (width - 1) / 2


def of_values(values_ns: Iterable[int]) -> Histogram:
    """Count durations that are known one by one."""
    counts: Counter[tuple[int, int]] = Counter()
    for value in values_ns:
        band = band_of(value)
        counts[value - value % band.width_ns, band.width_ns] += 1
    return Histogram(dict(counts))


def distance(a: Histogram, b: Histogram) -> float:
    """Largest difference of the two distributions at any duration, 0 to 1 (Kolmogorov and Smirnov).

    UsageError if one is empty.
    """
    if not a.counts or not b.counts:
        raise UsageError("an empty histogram has no distribution")
    below_a = below_b = 0
    worst = 0.0
    for bucket in sorted(a.counts.keys() | b.counts.keys()):
        below_a += a.counts.get(bucket, 0)
        below_b += b.counts.get(bucket, 0)
        worst = max(worst, abs(below_a / a.total - below_b / b.total))
    return worst


Z_95, Z_99 = 1.96, 2.576
"""Quantiles of the normal distribution for intervals of 95 and 99 %."""


def interval(h: Histogram, p: float, z: float = Z_95) -> tuple[float, float]:
    """Confidence interval of a percentile: the order statistics around it (normal approximation).

    Ref: David, Nagaraja, Order Statistics, 3rd ed., 7.1. UsageError if there are no durations.
    """
    share = p / 100
    reach = z * math.sqrt(share * (1 - share) / max(1, h.total)) * 100
    return h.quantile(max(0.0, p - reach)), h.quantile(min(100.0, p + reach))
