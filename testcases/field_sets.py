# SPDX-License-Identifier: MIT
"""Fields of a deployment that a test case wants observed, whatever the others show."""

from mpbench.twin.profile import Profile

ANSWER = ("errno", "state", "tee_code", "secure_log")
"""Observable on every board. Memory, and the heartbeat of a firmware without a trace buffer, may not be."""

OUTCOME = (*ANSWER, "beating", "identity")
"""Also what the firmware reports in its trace buffer."""


def outcome_of(profile: Profile, core: str) -> tuple[str, ...]:
    """OUTCOME; of a core that Linux loads without what OP-TEE prints: it is not asked."""
    return tuple(name for name in OUTCOME if name != "secure_log" or not profile.by_linux(core))
