# SPDX-License-Identifier: MIT
"""Requirements that the board's test cases trace to: marks for `pytestmark`, or for single functions.

`requirement` takes any text; the page's table of requirements shows it as it is. A project with ids of its
own marks its test cases with those.
"""

import pytest

IDENTITY = pytest.mark.requirement("RP-1: The board says who it is and which software it runs.")
AUTHENTICATION = pytest.mark.requirement("RP-2: Only firmware that the TEE authenticated runs on a core.")
REFUSAL = pytest.mark.requirement("RP-3: A spoiled image is refused with its reason, and leaves no trace.")
LIFECYCLE = pytest.mark.requirement("RP-4: Cores start and stop on order, independently of each other.")
ISOLATION = pytest.mark.requirement("RP-5: Nothing but the driver gets at the trusted application's cores.")
RECOVERY = pytest.mark.requirement("RP-6: A crash is found, and the core brought back through the TEE.")
LIMITS = pytest.mark.requirement("RP-7: A recovery that fails ends in a known state, and says so.")
COREDUMP = pytest.mark.requirement("RP-8: A core dump shows the memory of the life that crashed.")
ENDURANCE = pytest.mark.requirement("RP-9: Crash and recovery over and over lose nothing.")
NOTIFICATION = pytest.mark.requirement(
    "RP-10: Every notification of the TEE reaches its bottom half, and each part of its way is timed."
)
TEE_SERVICE = pytest.mark.requirement("RP-11: The TEE serves Linux as its specification says.")
