# SPDX-License-Identifier: MIT
"""Requirements that the board test cases trace to: marks for `pytestmark` or for single functions.

`requirement` takes any text, which the page's table of requirements shows unchanged. A project with
requirement ids of its own uses those in its test cases.
"""

import pytest

IDENTITY = pytest.mark.requirement("RP-1: The board reports its identity and the versions of its software.")
AUTHENTICATION = pytest.mark.requirement("RP-2: Only firmware that the TEE authenticated runs on a core.")
REFUSAL = pytest.mark.requirement(
    "RP-3: A damaged image is refused with its reason, and nothing of it stays in memory."
)
LIFECYCLE = pytest.mark.requirement("RP-4: Cores start and stop on request, independently of each other.")
ISOLATION = pytest.mark.requirement(
    "RP-5: Only the kernel driver controls the cores through the trusted application."
)
RECOVERY = pytest.mark.requirement("RP-6: A crash is detected, and the core is restarted through the TEE.")
LIMITS = pytest.mark.requirement("RP-7: A recovery that fails ends in a known state and is reported.")
COREDUMP = pytest.mark.requirement("RP-8: A core dump holds the memory of the firmware that crashed.")
ENDURANCE = pytest.mark.requirement(
    "RP-9: Repeated crash and recovery cycles leak nothing and always succeed."
)
NOTIFICATION = pytest.mark.requirement(
    "RP-10: Every notification of the TEE reaches its bottom half, and each segment of its path is timed."
)
TEE_SERVICE = pytest.mark.requirement("RP-11: The TEE serves Linux as specified.")
MESSAGES = pytest.mark.requirement(
    "RP-12: Every RPMsg message arrives or is accounted for, and channels come and go with their core."
)
ATTACH = pytest.mark.requirement(
    "RP-13: A core that runs before Linux does is attached, detached and stopped."
)
SUSPEND = pytest.mark.requirement(
    "RP-14: A core works while Linux is suspended, and its memory, channels and crashes outlast the sleep."
)
