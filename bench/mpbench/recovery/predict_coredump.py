# SPDX-License-Identifier: MIT
"""Predict the facts of a core dump: memory that the loader wrote and the firmware can't change.

Ref: mpbench.twin.loader for the writes; Linux drivers/remoteproc/remoteproc_coredump.c, stm32_rproc.c
     (stm32_rproc_prepare: a segment for each carve-out but the buffer of virtio) for the segments.
"""

import struct
from collections.abc import Iterator

from mpbench.core.errors import UsageError
from mpbench.recovery.facts import DumpFacts
from mpbench.recovery.predict_linux import started
from mpbench.twin.boot_address import VECTORS_BYTES, loaded_at, vectors, vectors_pa
from mpbench.twin.linux_elf import LinuxOutcome
from mpbench.twin.loader import load
from mpbench.twin.memory import Core, Region
from mpbench.twin.profile import Profile
from mpbench.twin.values import Outcome, Write, flatten, hashed

NOT_DUMPED = "vdev0buffer"


def closed(core: Core) -> str:
    """Why Linux may not dump a core, "" if it may: it reads memory that the firewall closes to it."""
    for carveout in _segments(core):
        if not core.linux_may_read(carveout.pa, carveout.size):
            return (
                f"{core.name}: a core dump reads {carveout.name} at {carveout.pa:#x}, closed to Linux by the "
                "firewall: OP-TEE may panic (`IAC exception ID`), so core dumps stay disabled"
            )
    return ""


def _segments(core: Core) -> Iterator[Region]:
    return (carveout for carveout in core.carveouts if carveout.name != NOT_DUMPED)


def dump(profile: Profile, core: str, image: bytes, *, identity: str, boot: int) -> DumpFacts:
    """Facts of the dump of a core whose firmware crashed in its boot number `boot`.

    Every carve-out of the core but NOT_DUMPED is expected in it, and nothing else of its memory. `vectors` is
    None if none of them has the vector table. UsageError if the core would not run `image`.
    """
    known = profile.core(core)
    outcome = _loaded(profile, core, image)
    return DumpFacts(
        segments=" ".join(f"{c.da:#x}+{c.size:#x}" for c in _segments(known)),
        unchanged=" ".join(
            f"{da:#x}+{w.size:#x}:{hashed(w, outcome.image).sha256}"
            for da, w in _dumped(known, flatten(outcome.constant))
        ),
        vectors=_vectors(known, outcome),
        identity=identity,
        boot=boot,
    )


def _dumped(core: Core, writes: list[Write]) -> Iterator[tuple[int, Write]]:
    """The writes that are in a carve-out as a whole, with their device addresses there."""
    for write in writes:
        if (da := _da(core, write.pa, write.size)) is not None:
            yield da, write


def _da(core: Core, pa: int, size: int) -> int | None:
    """Device address of a range in the carve-out that has all of it, None if there is none."""
    return next((c.da + pa - c.pa for c in _segments(core) if c.holds(pa, size)), None)


def _loaded(profile: Profile, core: str, image: bytes) -> Outcome | LinuxOutcome:
    if profile.by_linux(core):
        return started(profile, core, image)
    outcome = load(image, profile, core)
    if not outcome.accepted:
        raise UsageError(f"{core} would not run this image: {outcome.reason.text}")
    return outcome


def _vectors(core: Core, outcome: Outcome | LinuxOutcome) -> str | None:
    if isinstance(outcome, LinuxOutcome):  # which has no BOOTADDR: the core's own address
        pa = core.pa_of(core.vectors) if core.vectors is not None else None
        words = None if pa is None else loaded_at(outcome.writes, outcome.image, pa)
    else:
        words, pa = vectors(outcome, core), vectors_pa(outcome, core)
    da = _da(core, pa, VECTORS_BYTES) if pa is not None else None
    if words is None or da is None:
        return None
    return f"{da:#x}: " + " ".join(f"{word:#010x}" for word in struct.unpack("<2I", words))
