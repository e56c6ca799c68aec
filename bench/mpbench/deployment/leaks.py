# SPDX-License-Identifier: MIT
"""What a board holds, and whether it holds more after some cycles than before. Pure.

Ref: Linux Documentation/filesystems/proc.rst (meminfo, slabinfo, vmallocinfo), mm/vmalloc.c (lazy purge).
"""

import re
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, field, frozen

SLAB = re.compile(r"^(\S+) +(\d+) +\d+ +\d+ +(\d+) +\d+ : ", re.MULTILINE)
NUMBER = re.compile(r"^([a-z_ ]+)=(\d+)$", re.MULTILINE)
SLABS_OF_NOISE = 8
"""CPUs keep slabs of their own, whose objects all count as used: so many of them may come and go."""
LOOKS = 10
"""What a leak holds it holds in every look; what the bench's own readers hold is gone in one of them."""
MEMORY_NOISE_KIB = 8192
PAGE_KIB = 4
LAZY = "vmap_area"
"""Freed address ranges wait here until they are 32 MB; /proc/vmallocinfo lists those as "unpurged"."""


@frozen
class Snapshot:
    """What a board holds.

    exact: what doesn't vary by itself (mappings, descriptors, sessions ...), by name;
    slabs: kernel objects in use and objects per slab, by cache; free_kib: memory that is available.
    """

    exact: Mapping[str, int]
    slabs: Mapping[str, tuple[int, int]] = field(repr=False)
    free_kib: int


def snapshot(text: str, counts: Mapping[str, int]) -> Snapshot:
    """From what the board printed (`name=number` lines and /proc/slabinfo) and the counters of probes.

    counts: calls by name; what ends with _in minus what ends with _out is held at present.
    """
    numbers = {name: int(n) for name, n in NUMBER.findall(text)}
    free_kib = numbers.pop("free_kib", 0)
    slabs = {name: (int(used), int(each)) for name, used, each in SLAB.findall(text)}
    unpurged = numbers.pop("unpurged", 0)
    if LAZY in slabs:
        slabs[LAZY] = (slabs[LAZY][0] - unpurged, slabs[LAZY][1])
    return Snapshot(numbers | held(counts), slabs, free_kib)


def steady(looks: Sequence[Snapshot]) -> Snapshot:
    """The last of several looks, with the least of each exact number: what comes and goes is no leak."""
    exact = {name: min(look.exact.get(name, n) for look in looks) for name, n in looks[-1].exact.items()}
    return evolve(looks[-1], exact=exact)


def held(counts: Mapping[str, int]) -> dict[str, int]:
    """What was taken and not given back since the counting began."""
    names = {name.removesuffix("_in") for name in counts if name.endswith("_in")}
    return {name: counts[f"{name}_in"] - counts.get(f"{name}_out", 0) for name in sorted(names)}


def leaks(before: Snapshot, after: Snapshot, cycles: int) -> list[str]:
    """What grew, in words; empty if nothing leaks.

    An object or a page per two cycles is a leak, once that is more than noise.
    """
    found = [
        f"{name}: {before.exact[name]} before, {n} after {cycles} cycles"
        for name, n in after.exact.items()
        if n > before.exact.get(name, n)
    ]
    for name, (used, each) in after.slabs.items():
        was = before.slabs.get(name, (0, each))[0]
        if used - was > max(cycles / 2, SLABS_OF_NOISE * each):
            found.append(f"kernel objects {name}: {was} before, {used} after {cycles} cycles")
    lost_kib = before.free_kib - after.free_kib
    if lost_kib > max(cycles / 2 * PAGE_KIB, MEMORY_NOISE_KIB):
        found.append(f"available memory: {lost_kib} KiB less after {cycles} cycles")
    return found


def lasting(before: Snapshot, look: Callable[[], Snapshot], cycles: int) -> list[str]:
    """What grew in every one of several looks at the board, in words of the last."""
    found: list[str] = []
    for _ in range(LOOKS):
        if not (found := leaks(before, look(), cycles)):
            break
    return found
