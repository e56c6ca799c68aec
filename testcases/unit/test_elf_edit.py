# SPDX-License-Identifier: MIT
"""Firmware that was changed after linking, and what the twin predicts of it, for every kind of core."""

import pytest

from mpbench.deployment.predict import expect
from mpbench.image.sign import sign
from mpbench.twin.loader import load
from testcases.elf_edit import data_only, end_address, patch_table, rebuild, segments, table
from testcases.peer.elves import Segment
from testcases.unit import image_rig

CORES = {"m33": "virtual-mp25", "m0": "virtual-mp25", "m4": "optee-4.10"}


@pytest.fixture(params=CORES)
def core(request):
    return request.param


@pytest.fixture
def alive(built, core):
    return (built / core / "alive.elf").read_bytes()


def shown(core, *elfs):
    profile = image_rig.board(CORES[core])
    image = sign(elfs, image_rig.key())
    return expect(load(image, profile, core), identity=f"alive {core}", profile=profile)


def test_rebuilt_firmware_runs(core, alive):
    """With its own segments only, and with one more, the prediction is that it runs."""
    assert shown(core, rebuild(alive)) == shown(core, alive)
    more = shown(core, rebuild(alive, Segment(end_address(alive), b"more")))
    assert (more.state, more.beating, more.identity) == ("running", True, f"alive {core}")
    assert len(more.memory.split("; ")) == len(shown(core, alive).memory.split("; ")) + 1


def test_without_its_table_there_is_no_heartbeat(core, alive):
    """Without a resource table it is accepted, and its heartbeat is undecided."""
    facts = shown(core, rebuild(alive, with_table=False))
    assert (facts.errno, facts.beating) == ("OK", None)


def test_a_second_elf_is_loaded_beside_it(core, alive):
    """Two ELF files in one signed image are both loaded."""
    assert shown(core, alive, data_only(Segment(end_address(alive), b"second"))).state == "running"


def test_a_changed_table_is_signed_with_its_segment(core, alive):
    """One word of the table changes in the file's only copy, which both TEE and Linux read."""
    changed = patch_table(alive, 0x14, 77)
    assert table(changed)[0][0x14] == 77
    assert table(changed)[1] == table(alive)[1]
    assert len(segments(changed)) == len(segments(alive)) == 4
    assert shown(core, changed).errno == "OK"
