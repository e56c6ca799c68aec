# SPDX-License-Identifier: MIT
"""Predict the facts of a crash of a core that Linux manages by itself: a plain ELF file, no TEE.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c: rproc_crash_handler_work(), rproc_boot_recovery() (stop,
     core dump, request_firmware, rproc_start: neither the ELF is checked again nor its table read)
"""

from mpbench.core.errors import UsageError
from mpbench.recovery.facts import Cause, RecoveryFacts
from mpbench.twin import linux_elf
from mpbench.twin.linux_elf import LinuxOutcome
from mpbench.twin.profile import Profile

HELD = "detected, handling"
ABSENT = ("commands", "ta_states", "secure_log")
"""What only a TEE has: neither predicted nor observed."""


def started(profile: Profile, core: str, image: bytes) -> LinuxOutcome:
    """The start of `core` with `image`. UsageError if Linux would refuse it."""
    found = linux_elf.start(image, profile, core)
    if found.errno != "OK":
        why = found.lines[-1] if found.lines else found.why
        raise UsageError(f"{core} would not run this image: {why}")
    return found


def crash(
    profile: Profile,
    core: str,
    image: bytes,
    cause: Cause,
    *,
    identity: str,
    reload: bytes | None,
    recovers: bool = True,
) -> RecoveryFacts:
    """As mpbench.recovery.predict.crash(); no command goes to a TEE."""
    started(profile, core, image)
    if recovers:
        return recovery(cause, identity=identity, image=image, reload=reload)
    held = cause.interrupts > 0
    return RecoveryFacts(
        cause.name, cause.interrupts, HELD, None, None, 0, None, "crashed", 0, not held, identity
    )


def recovery(cause: Cause, *, identity: str, image: bytes, reload: bytes | None) -> RecoveryFacts:
    """Facts of the recovery alone. What Linux makes of another file than `image` is not predicted."""
    if reload not in (None, image):
        return RecoveryFacts(cause=cause.name, interrupts=cause.interrupts)
    up = reload is not None
    words = (*((HELD,) if cause.name else ()), "recovering", "stopped", "up" if up else "missing")
    return RecoveryFacts(
        cause=cause.name,
        interrupts=cause.interrupts,
        sequence=", ".join(words),
        tee_code=0,
        state="running" if up else "offline",
        boots=int(up),
        beating=up,
        identity=identity,
    )
