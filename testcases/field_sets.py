# SPDX-License-Identifier: MIT
"""Fields of a deployment that a test case wants observed, whatever the others show."""

ANSWER = ("errno", "state", "tee_code", "secure_log")
"""Observable on every board. Memory, and the heartbeat of a firmware without a trace buffer, may not be."""

OUTCOME = (*ANSWER, "beating", "identity")
"""Also what the firmware reports in its trace buffer."""
