# SPDX-License-Identifier: MIT
"""What a board will show for an outcome: the prediction that an observation is compared with."""

from bench.facts import DeployFacts
from bench.twin.profile import Profile
from bench.twin.values import Outcome, flatten


def expect(outcome: Outcome, *, identity: str | None = None, profile: Profile | None = None) -> DeployFacts:
    """Facts of a deployment (LOAD_FW, then START_FW) through sysfs.

    identity: who the firmware in the image says it is, e.g. "alive m33"; None: nothing is said about that
    and about its heartbeat. profile: for the errno of the board's driver, EIO without it.
    An undefined outcome predicts nothing; nor does a table that isn't where its bytes were loaded, because
    the operating system will parse what lies there.
    """
    if outcome.code is None:
        return DeployFacts()
    if outcome.code:
        errno = profile.errno if profile else "EIO"
        line = outcome.console[-1] if outcome.console else ""
        return DeployFacts(errno, "offline", outcome.code, line, False, "")
    if not table_is_loaded(outcome):
        return DeployFacts(None, None, 0, "", None, None)
    beating = None if identity is None else bool(identity)
    return DeployFacts("OK", "running", 0, "", beating, identity)


def table_is_loaded(outcome: Outcome) -> bool:
    """Whether the resource table's address holds the bytes checked in the file, or there is no table."""
    if outcome.table_offset is None:
        return True
    pa, size = outcome.table.pa, outcome.table.size
    checked = outcome.image[outcome.table_offset : outcome.table_offset + size]
    for write in flatten(outcome.writes):
        if write.pa <= pa and pa + size <= write.pa + write.size and write.offset is not None:
            start = write.offset + pa - write.pa
            return outcome.image[start : start + size] == checked
    return False
