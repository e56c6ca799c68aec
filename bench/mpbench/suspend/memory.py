# SPDX-License-Identifier: MIT
"""Which of a core's memory is compared over a suspend, and the words of the board's suspend-client for it."""

from collections.abc import Iterable, Sequence

from mpbench.deployment.run import places as constant_places
from mpbench.suspend.facts import Place
from mpbench.suspend.predict import spare
from mpbench.twin import linux_elf
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile

OPEN = "open,/dev/mem"
WORD = 4
MOST = 0x10000
"""Most bytes of a constant range that are hashed: the start of it."""


def places(profile: Profile, core: str, image: bytes) -> tuple[Place, ...]:
    """Constant memory of the firmware in `image`, and memory that nobody uses while it runs.

    Only what Linux may read and write: on a board with a firewall that is the memory shared with the core.
    """
    known = profile.core(core)
    linux = profile.by_linux(core)
    writes = (linux_elf.start(image, profile, core) if linux else load(image, profile, core)).writes
    loaded = [(w.pa, w.size) for w in writes if w.offset is not None]
    regions = [(r.name, r.pa, r.size) for r in known.regions if r.may("linux")]
    constant = [
        Place(pa, min(size, MOST) // WORD * WORD, spare=False)
        for pa, size in constant_places(profile, core, image)
        if size >= WORD and pa % WORD == 0 and known.linux_may_read(pa, size)
    ]
    return (*constant, *spare(loaded, regions))


def fill(found: Sequence[Place], seed: int) -> tuple[str, ...]:
    """Words of suspend-client before the sleep."""
    return _words(found, f"fill,{{}},{seed}")


def check(found: Sequence[Place], seed: int) -> tuple[str, ...]:
    """Words of suspend-client after the sleep."""
    return _words(found, f"check,{{}},{seed}")


def _words(found: Iterable[Place], spare_word: str) -> tuple[str, ...]:
    ranges = ((place, f"{place.pa:#x},{place.size:#x}") for place in found)
    return (OPEN, *(spare_word.format(text) if place.spare else f"hash,{text}" for place, text in ranges))
