# SPDX-License-Identifier: MIT
"""How long messages take, how many get through, and how many are lost. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from mpbench.core.facts import Measurement
from mpbench.core.statistics import rank, summary
from mpbench.rpmsg.facts import RoundTrip, Throughput

SOURCE = "rpmsg-client, CLOCK_MONOTONIC of the board"
COUNTED = "rpmsg-client and the firmware's counters"
ROUND_TRIP, THROUGHPUT, LOST, IN_FLIGHT = (
    "RPMsg round trip", "RPMsg throughput", "RPMsg messages lost", "RPMsg messages in flight at a crash"
)  # fmt: skip
MARGIN = 0.05


def round_trips(
    trips: Iterable[RoundTrip], conditions: Mapping[str, str], limits_ms: Mapping[str, float]
) -> Iterator[Measurement]:
    """The distribution of round trips, in milliseconds, for each length of the payload.

    limits_ms: highest good value by the name of a figure; without one a figure has no limit
    """
    samples: dict[int, list[float]] = {}
    for trip in trips:
        samples.setdefault(trip.length, []).append(trip.ns / 1e6)
    for length, values in sorted(samples.items()):
        ordered = sorted(values)
        for statistic, value in _distribution(ordered):
            yield Measurement(
                ROUND_TRIP, value, "ms", SOURCE, None, limits_ms.get(ROUND_TRIP), MARGIN,
                statistic=statistic, n=len(ordered), conditions={**conditions, "length": f"{length} B"},
            )  # fmt: skip


def _distribution(ordered: list[float]) -> Iterator[tuple[str, float]]:
    return summary(len(ordered), lambda p: ordered[rank(len(ordered), p) - 1])


def throughput(found: Throughput, conditions: Mapping[str, str]) -> Measurement:
    """Payload per second and direction, in kB/s, while messages are on their way both ways."""
    rate = found.messages * found.length / (found.ns / 1e9) / 1000
    return Measurement(
        THROUGHPUT, rate, "kB/s", SOURCE, conditions={**conditions, "length": f"{found.length} B"}
    )


def lost(messages: int, conditions: Mapping[str, str]) -> Measurement:
    """Messages that one side handed over and the other never got; none is good."""
    return Measurement(LOST, messages, "messages", COUNTED, high=0, conditions=conditions)


def in_flight(messages: int, conditions: Mapping[str, str]) -> Measurement:
    """Messages that Linux took and the core had not, when it crashed: at most one ring."""
    return Measurement(IN_FLIGHT, messages, "messages", COUNTED, conditions=conditions)
