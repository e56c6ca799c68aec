# SPDX-License-Identifier: MIT
"""Durations in buckets at most 1.6 % wide: a bucket's middle is within 0.8 % of every value. Pure.

The buckets are those that the board's kernel counts in by itself (hist triggers with `.buckets=`), and
samples that are read one by one are counted in these buckets too, so that methods can be compared.

Ref: Linux Documentation/trace/histogram.rst, "buckets=size"
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from attrs import field, frozen

from mpbench.core import statistics
from mpbench.core.errors import UsageError
from mpbench.core.statistics import Z_95, least_n, quantile

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

    def percentile(self, p: float) -> float | None:
        """Middle of the bucket of the p-th percentile; None if the samples are fewer than it takes."""
        return self.quantile(p) if self.total >= least_n(p) else None

    def quantile(self, p: float) -> float:
        """Middle of the bucket of the p-th percentile's nearest rank, of any number of samples.

        UsageError without samples.
        """
        return self._middle(quantile(sorted(self.counts.items()), self.total, p))

    def summary(self) -> Iterator[tuple[str, float]]:
        """(statistic, nanoseconds): min, the percentiles that there are samples enough for, max."""
        return statistics.summary(self.total, self.quantile)

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


def interval(h: Histogram, p: float, z: float = Z_95) -> tuple[float, float]:
    """Confidence interval of a percentile in nanoseconds. UsageError without samples."""
    return statistics.interval(h.total, h.quantile, p, z)
