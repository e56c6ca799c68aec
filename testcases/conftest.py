# SPDX-License-Identifier: MIT
"""Firmware that most cases begin with; and Ctrl-C, which some send to processes of their own."""

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it puts into the background like that, and children inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def alive(firmware, core):
    """ELF of the firmware that says who it is and beats."""
    return firmware("alive", core)


@pytest.fixture
def image(alive, core, signed):
    """The same, signed with the board's key."""
    return signed(core, alive)
