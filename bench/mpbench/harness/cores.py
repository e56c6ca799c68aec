# SPDX-License-Identifier: MIT
"""For which cores a test is run: all of the board's, or those that its mark `cores` names. Pure."""

import functools
from collections.abc import Iterable

import pytest

from mpbench.core.errors import UsageError
from mpbench.twin.profile import Profile, load_profile, profile_names


def select_cores(marks: Iterable[pytest.Mark], profile: Profile | None) -> tuple[list[str], str]:
    """(cores, reason why they cannot be tested, "" if they can) of a test on a board with `profile`.

    A board without any of the named cores gives a reason: boards differ. UsageError for a core that neither
    this profile nor any that comes with the bench has: a mistake in the mark.
    """
    here = [core.name for core in profile.cores] if profile else []
    named = list(dict.fromkeys(str(name) for mark in marks for name in mark.args))
    if not named:
        return here, ""
    if unknown := [name for name in named if name not in here and name not in shipped_cores()]:
        has = f"profile {profile.name} has {', '.join(here)}" if profile else ""
        known = f"the bench's profiles have {', '.join(sorted(shipped_cores()))}"
        raise UsageError(f"mark `cores`: unknown core {', '.join(unknown)}; {has or known}")
    if found := [name for name in named if name in here]:
        return found, ""
    return named, f"profile {profile.name} has no {', '.join(named)}" if profile else ""


@functools.cache
def shipped_cores() -> frozenset[str]:
    """Names of the cores of all profiles that come with the bench."""
    return frozenset(core.name for name in profile_names() for core in load_profile(name).cores)
