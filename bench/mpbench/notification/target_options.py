# SPDX-License-Identifier: MIT
"""Options of a target file for measurements of notifications."""

from collections.abc import Mapping
from typing import Any

from mpbench.core.errors import UsageError
from mpbench.notification.facts import SEGMENTS


def slower(config: Any) -> float:
    """Target's option bench_latency_slower: allowed durations as a multiple of the baseline's; default 1."""
    found = config.get_option("bench_latency_slower", 1.0)
    if not isinstance(found, (int, float)) or found < 1:
        raise UsageError(f"bench_latency_slower: {found!r}; a number from 1 on, e.g. 1.1 for 10 % more")
    return float(found)


def limits(config: Any) -> Mapping[str, Mapping[str, float]]:
    """Target's option bench_latency_limits_us: {total: {p99: 900}}. UsageError for an unknown segment."""
    found = config.get_option("bench_latency_limits_us", {})
    if not isinstance(found, dict) or found.keys() - SEGMENTS.keys():
        raise UsageError(f"bench_latency_limits_us: {found!r}; segments are {', '.join(SEGMENTS)}")
    return found
