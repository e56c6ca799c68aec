# SPDX-License-Identifier: MIT
"""Predict the facts of a core dump: memory that the loader wrote and the firmware can't change.

Ref: mpbench.twin.loader for the writes; Linux drivers/remoteproc/remoteproc_coredump.c for the segments.
"""

import struct

from mpbench.core.errors import UsageError
from mpbench.recovery.facts import DumpFacts
from mpbench.twin.loader import load
from mpbench.twin.profile import Core, Profile
from mpbench.twin.values import Outcome, flatten, hashed

VECTORS = struct.Struct("<2I")
"""Initial stack pointer and reset vector. Ref: Arm v7-M Architecture Reference Manual, B1.5.3"""


def dump(profile: Profile, core: str, image: bytes, *, identity: str, boot: int) -> DumpFacts:
    """Facts of the dump of a core whose firmware crashed in its boot number `boot`.

    Every region of the profile is expected in it; the first one starts with the vector table.
    UsageError if the core would not run `image`.
    """
    outcome = load(image, profile, core)
    if not outcome.accepted:
        raise UsageError(f"{core} would not run this image: {outcome.reason.text}")
    known = profile.core(core)
    return DumpFacts(
        segments=" ".join(f"{r.da:#x}+{r.size:#x}" for r in known.regions),
        unchanged=" ".join(
            f"{_da(known, w.pa):#x}+{w.size:#x}:{hashed(w, outcome.image).sha256}"
            for w in flatten(outcome.constant)
        ),
        vectors=_vectors(known, outcome),
        identity=identity,
        boot=boot,
    )


def _da(core: Core, pa: int) -> int:
    return next(r.da + pa - r.pa for r in core.regions if r.pa <= pa < r.pa + r.size)


def _vectors(core: Core, outcome: Outcome) -> str:
    first = core.regions[0]
    write = next(w for w in flatten(outcome.writes) if w.pa == first.pa and w.offset is not None)
    words = VECTORS.unpack_from(outcome.image, write.offset or 0)
    return f"{first.da:#x}: " + " ".join(f"{word:#010x}" for word in words)
