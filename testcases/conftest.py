# SPDX-License-Identifier: MIT
"""Firmware that most cases begin with."""

import pytest


@pytest.fixture
def alive(firmware, core):
    """ELF of the firmware that says who it is and beats."""
    return firmware("alive", core)


@pytest.fixture
def image(alive, core, signed):
    """The same, signed with the board's key."""
    return signed(core, alive)
