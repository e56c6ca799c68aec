# SPDX-License-Identifier: MIT
"""What of a deployment a case compares with the twin."""

ANSWER = ("errno", "state", "tee_code", "secure_log")
"""What every board shows. Memory, and the heart of a firmware without trace buffer, nobody may see."""

LIFE = (*ANSWER, "beating", "identity")
