# SPDX-License-Identifier: MIT
"""Quantiles, the samples they take, intervals and distances, against values that are known."""

import random
from functools import partial

import pytest

from mpbench.core.errors import UsageError
from mpbench.core.statistics import Z_99, distance, interval, least_n, quantile, rank, summary


@pytest.mark.parametrize(
    ("p", "needed"), [(50, 1), (90, 100), (99, 1000), (99.9, 10_000), (99.99, 100_000), (1, 1000)]
)
def test_a_percentile_takes_ten_samples_beyond_it(p, needed):
    """The tails need more samples the further out they are; the median is one of any sample."""
    assert least_n(p) == needed


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [(1, 50, 1), (10, 0, 1), (10, 100, 10), (10, 50, 5), (1000, 99.9, 999), (3, 50, 2)],
)
def test_the_nearest_rank_is_one_of_the_samples(n, p, expected):
    """From the first to the last sample, without an error of rounding."""
    assert rank(n, p) == expected


def test_quantiles_of_counted_values():
    """Counts stand for equal samples; without samples there is no quantile and no summary."""
    assert [quantile([(1, 50), (2, 40), (3, 10)], 100, p) for p in (0, 50, 51, 90, 100)] == [1, 1, 2, 2, 3]
    with pytest.raises(UsageError, match="no samples, no quantile"):
        quantile([], 0, 50)
    assert list(summary(0, float)) == []
    assert [name for name, _ in summary(100, float)] == ["min", "p50", "p90", "max"]


def ranked(ordered: list[float], p: float) -> float:
    """The sample of that percentile's rank."""
    return ordered[rank(len(ordered), p) - 1]


def test_an_interval_holds_the_median_as_often_as_promised():
    """Of 300 samples of 500 values nearly all have the true median inside of their 99 % interval."""
    rng, inside = random.Random(1), 0
    for _ in range(300):
        ordered = sorted(rng.random() for _ in range(500))
        low, high = interval(500, partial(ranked, ordered), 50, Z_99)
        inside += low <= 0.5 <= high
    assert 292 <= inside <= 300


def test_distance_of_distributions():
    """0 for equal ones however many samples they have, 1 for those apart; an empty one has none."""
    assert distance({1: 5, 2: 5}, {1: 50, 2: 50}) == 0
    assert distance({1: 5}, {2: 5}) == 1
    assert distance({1: 5, 2: 5}, {1: 10}) == 0.5
    with pytest.raises(UsageError, match="an empty distribution has no distance"):
        distance({}, {1: 1})
