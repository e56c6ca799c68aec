# SPDX-License-Identifier: MIT
"""Resources that a board uses, and which of them have grown after some cycles. Pure.

Ref: Linux Documentation/filesystems/proc.rst (meminfo, slabinfo, vmallocinfo),
mm/vmalloc.c (vmalloc_info_show).
"""

import re
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve, field, frozen

SLAB = re.compile(r"^(\S+) +(\d+) +\d+ +\d+ +(\d+) +\d+ : ", re.MULTILINE)
NUMBER = re.compile(r"^([a-z_ ]+)=(\d+)$", re.MULTILINE)
SLABS_OF_NOISE = 8
"""CPUs keep slabs of their own, whose objects all count as used: at most this many may come and go."""
SNAPSHOTS = 10
"""A real leak shows in every snapshot; handles of the bench's own readers are missing in one of them."""
MEMORY_NOISE_KIB = 8192
PAGE_KIB = 4
RANGES = "vmap_area"
"""Address ranges in use: those that /proc/vmallocinfo lists without "unpurged". The cache's own number says
nothing: it has the freed ones, until they are tens of MB and out of the TLB, which on an emulator takes long;
and the kernel may merge it with other caches, as with that of trace events' fields. Ref: mm/slab_common.c
"""


@frozen
class Snapshot:
    """Resources of a board in use at one moment.

    exact: numbers that don't vary by themselves (mappings, descriptors, sessions ...), by name
    slabs: kernel objects in use and objects per slab, by cache
    free_kib: available memory
    """

    exact: Mapping[str, int]
    slabs: Mapping[str, tuple[int, int]] = field(repr=False)
    free_kib: int


def snapshot(text: str, counts: Mapping[str, int]) -> Snapshot:
    """Parse `name=number` lines and /proc/slabinfo as the board printed them.

    counts: calls by name, as probes counted them; calls of NAME_in minus those of NAME_out are in use
    """
    numbers = {name: int(n) for name, n in NUMBER.findall(text)}
    free_kib = numbers.pop("free_kib", 0)
    slabs = {name: (int(used), int(each)) for name, used, each in SLAB.findall(text)}
    ranges = numbers.pop("ranges", 0)
    if RANGES in slabs:
        slabs[RANGES] = (ranges, slabs[RANGES][1])
    return Snapshot(numbers | not_returned(counts), slabs, free_kib)


def steady(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The last of several snapshots, with the least of each exact number: what comes and goes is no leak."""
    last = snapshots[-1]
    return evolve(
        last, exact={name: min(s.exact.get(name, n) for s in snapshots) for name, n in last.exact.items()}
    )


def not_returned(counts: Mapping[str, int]) -> dict[str, int]:
    """Calls of NAME_in minus calls of NAME_out since counting started, by NAME."""
    names = {name.removesuffix("_in") for name in counts if name.endswith("_in")}
    return {name: counts[f"{name}_in"] - counts.get(f"{name}_out", 0) for name in sorted(names)}


def leaks(before: Snapshot, after: Snapshot, cycles: int) -> list[str]:
    """Growth between two snapshots, a line for each resource; empty if nothing leaks.

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


def persistent_leaks(before: Snapshot, take: Callable[[], Snapshot], cycles: int) -> list[str]:
    """Growth that is present in all of SNAPSHOTS snapshots, as the last one shows it; `take` takes one."""
    found: list[str] = []
    for _ in range(SNAPSHOTS):
        if not (found := leaks(before, take(), cycles)):
            break
    return found
