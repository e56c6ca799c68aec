# SPDX-License-Identifier: MIT
"""Where firmware is linked: every byte has to lie in memory of its core, by the core's own addresses."""

from itertools import pairwise

import pytest

from mpbench.layout import Tee
from testcases.compared import LIFE
from testcases.peer.elves import Segment
from testcases.rebuilt import rebuilt, segments
from testcases.requirements import AUTHENTICATION

pytestmark = AUTHENTICATION

DATA = bytes(range(1, 33))
HALF = len(DATA) // 2
READ_ONLY = 4


@pytest.fixture
def regions(profile, core):
    """Memory of the core, by ascending device address."""
    return sorted(profile.core(core).regions, key=lambda region: region.da)


def is_memory(regions, da):
    """Whether that byte is memory of the core."""
    return any(region.da <= da < region.da + region.size for region in regions)


@pytest.fixture
def with_segment(bench, core, alive, signed):
    """Deploy the firmware with one more segment, correctly signed, at a device address."""

    def deploy(da, data=DATA):
        image = signed(core, rebuilt(alive, Segment(da, data, len(data), flags=READ_ONLY)))
        step = bench.deploy(core, image, f"alive {core}", name=f"a segment at {da:#x}")
        step.check(*LIFE)
        return step

    return deploy


def denied(step):
    """The TEE refused it, and the core stays off. That nothing of it stays in memory is compared above."""
    assert step.observed.tee_code == Tee.ACCESS_DENIED
    assert step.observed.state == "offline"


def test_a_segment_anywhere_in_memory_is_loaded(with_segment, bench, core, regions, alive):
    """Segments that end with the last byte of a region are loaded to where the core looks for them."""
    for region in regions:
        da = region.da + region.size - len(DATA)
        if any(s.paddr < da + len(DATA) and da < s.paddr + s.memsz for s in segments(alive)):
            continue
        assert with_segment(da).observed.state == "running"
        bench.stop(core)


def test_a_segment_outside_is_refused(with_segment, regions):
    """A segment linked behind all memory of the core is refused, however well it is signed."""
    last = regions[-1]
    denied(with_segment(last.da + last.size + 0x10000))


def test_a_segment_across_the_end_of_a_region_is_refused(with_segment, regions):
    """A segment that begins inside a region and ends where the core has no memory is refused as a whole."""
    ends = [r.da + r.size for r in regions if not is_memory(regions, r.da + r.size)]
    assert ends
    for end in ends:
        denied(with_segment(end - HALF))


def test_a_segment_across_two_regions_is_refused(with_segment, regions):
    """Two regions may follow each other for the core; behind them lies memory that does not. No segment may
    reach from one into the other."""
    seams = [b.da for a, b in pairwise(regions) if a.da + a.size == b.da]
    if not seams:
        pytest.skip("no two regions of this core follow each other")
    for seam in seams:
        denied(with_segment(seam - HALF))


def test_firmware_linked_at_physical_addresses_is_refused(with_segment, regions):
    """What Linux calls its address means nothing to the core: a segment linked there is refused."""
    foreign = [r.pa for r in regions if not is_memory(regions, r.pa)]
    if not foreign:
        pytest.skip("this core sees its memory where Linux does: no address is translated")
    for pa in foreign:
        denied(with_segment(pa))
