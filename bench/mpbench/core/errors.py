# SPDX-License-Identifier: MIT
"""Whose fault it is.

A refused firmware image is none of these: it is a value. Everything that goes wrong
is sorted by who has to act on it, because that decides what a test run may say.
"""


class UsageError(Exception):
    """The caller's mistake: bad argument, bad file, bad configuration. Exit code 2."""


class InfrastructureError(Exception):
    """The lab failed (network, console, power, host): no verdict on the board. Exit code 3.

    A test that meets it ends as INFRA.
    """


class BoardFailure(Exception):
    """The board did what it must not do: the test fails."""


class InvalidRun(Exception):
    """The run lost its ground (the board was reset, events were dropped): no verdict; INVALID."""
