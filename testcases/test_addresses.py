# SPDX-License-Identifier: MIT
"""Link addresses: every byte of a firmware must lie in memory of its core, by the core's own addresses."""

from itertools import pairwise

import pytest

from mpbench.layout import Tee
from testcases.elf_edit import rebuild, segments
from testcases.field_sets import OUTCOME
from testcases.peer.elves import Segment
from testcases.requirements import AUTHENTICATION

pytestmark = AUTHENTICATION

DATA = bytes(range(1, 33))
HALF = len(DATA) // 2
READ_ONLY = 4


@pytest.fixture
def regions(profile, core):
    """Memory regions of the core, by ascending device address."""
    return sorted(profile.core(core).regions, key=lambda region: region.da)


def is_memory(regions, da):
    """Whether the device address `da` is memory of the core."""
    return any(region.da <= da < region.da + region.size for region in regions)


@pytest.fixture
def with_segment(bench, core, alive, signed):
    """Function that deploys the firmware with one more segment at a device address, correctly signed."""

    def deploy(da, data=DATA):
        image = signed(core, rebuild(alive, Segment(da, data, len(data), flags=READ_ONLY)))
        step = bench.deploy(core, image, f"alive {core}", name=f"a segment at {da:#x}")
        step.check(*OUTCOME)
        return step

    return deploy


@pytest.fixture
def denied(with_segment, bench):
    """Function that deploys as `with_segment`: the TEE refuses it, and the core is offline."""

    def deploy(da):
        step = with_segment(da)
        refused = Tee.ACCESS_DENIED if bench.profile.loader == "upstream" else step.predicted.tee_code
        assert step.observed.tee_code == refused != 0
        assert step.observed.state == "offline"

    return deploy


def test_a_segment_anywhere_in_memory_is_loaded(with_segment, bench, core, regions, alive):
    """A segment that ends with the last byte of a region is loaded to the address that the core uses."""
    ends = [region.da + region.size - len(DATA) for region in regions]
    used = [range(s.paddr, s.paddr + s.memsz) for s in segments(alive)]
    free = [da for da in ends if not any(u.start < da + len(DATA) and da < u.stop for u in used)]
    assert free, "the firmware uses the end of every region"
    for da in free:
        assert with_segment(da).observed.state == "running"
        bench.stop(core)


def test_a_segment_outside_is_refused(denied, regions):
    """A correctly signed segment at an address after all memory of the core is refused."""
    last = regions[-1]
    denied(last.da + last.size + 0x10000)


def test_a_segment_across_the_end_of_a_region_is_refused(denied, regions):
    """A segment that starts inside a region and ends where the core has no memory is refused as a whole."""
    ends = [r.da + r.size for r in regions if not is_memory(regions, r.da + r.size)]
    assert ends
    for end in ends:
        denied(end - HALF)


def test_a_segment_across_two_regions_is_refused(denied, regions):
    """A segment across the boundary of two regions is refused, also where they are adjacent for the core.

    Their physical memory need not be adjacent.
    """
    seams = [b.da for a, b in pairwise(regions) if a.da + a.size == b.da]
    if not seams:
        pytest.skip("this core has no two adjacent regions")
    for seam in seams:
        denied(seam - HALF)


def test_firmware_linked_at_physical_addresses_is_refused(denied, regions):
    """A segment linked at the physical address that Linux uses, instead of the core's, is refused."""
    foreign = [r.pa for r in regions if not is_memory(regions, r.pa)]
    if not foreign:
        pytest.skip("this core has its memory at the same addresses as Linux: none is translated")
    for pa in foreign:
        denied(pa)
