# SPDX-License-Identifier: MIT
"""The resource table that Linux finds in memory, and what a board therefore shows."""

import struct

from attrs import evolve

from mpbench import layout
from mpbench.deployment.facts import ZEROS, MemoryRange, memory_word
from mpbench.deployment.predict import expect, has_vectors, table_answer, to_look_at
from mpbench.image import faults
from mpbench.image.fields import fields
from mpbench.image.sign import sign
from mpbench.twin import linux
from mpbench.twin.loader import load
from testcases.peer.elves import Elf, Segment
from testcases.tables import entry, table, trace
from testcases.unit.image_rig import BASE, OPEN_BOARD, TABLE_DA, board, firmware, image, key


def verdict(data, core="m33", name=str(OPEN_BOARD)):
    return load(data, board(name), core)


def shown(data, core="m33", name=str(OPEN_BOARD)):
    return expect(verdict(data, core, name), identity="alive m33", profile=board(name))


def test_a_table_is_sound_by_its_head():
    """Version 1, nothing reserved, room for the offsets."""
    sound = table(trace())
    assert linux.is_sound(sound)
    assert not linux.is_sound(sound[:12])
    for at, value in ((0, 2), (4, 1000), (8, 1), (12, 1)):
        assert not linux.is_sound(sound[:at] + struct.pack("<I", value) + sound[at + 4 :])


def test_only_a_trace_entry_lets_the_firmware_be_heard():
    """Without a table, or with one that names no trace buffer, no heartbeat is observed."""
    assert linux.has_trace(table(trace()))
    assert not linux.has_trace(table(entry(99, 7)))
    assert not linux.has_trace(b"")


def test_a_moved_table_is_refused_by_a_driver_that_looks_at_it():
    """The TEE accepts the image; Linux finds no table there: EINVAL, no TEE code, memory cleared."""
    facts = shown(faults.apply("rsc-moved", image()))
    assert (facts.errno, facts.state, facts.tee_code, facts.secure_log) == ("EINVAL", "offline", 0, "")
    assert (facts.beating, facts.identity, facts.memory) == (False, "", ZEROS)


def test_a_release_that_the_tee_does_not_know_is_what_linux_shows():
    """ST's application keeps an image that Linux refused, and the driver's RELEASE_FW is refused as well."""
    moved = verdict(faults.apply("rsc-moved", image()))
    facts = expect(moved, profile=evolve(board(), loader="st-4.0-r2"))
    assert (facts.errno, facts.state, facts.tee_code, facts.memory) == ("EINVAL", "offline", 0xFFFF0006, None)
    facts = expect(moved, profile=evolve(board(), loader="st-4.0-r2", driver="st"))
    assert (facts.errno, facts.tee_code, facts.memory) == ("EINVAL", 0, None)
    unknown = evolve(board(), loader="st-4.0-r2", checks_table=False)
    assert expect(moved, profile=unknown).tee_code is None


def test_of_a_driver_that_looks_at_nothing_a_moved_table_predicts_little():
    """Without the driver's check, Linux' use of the bytes in memory is not predictable."""
    moved = faults.apply("rsc-moved", image())
    facts = expect(verdict(moved), identity="alive m33")
    assert (facts.errno, facts.state, facts.tee_code) == (None, None, 0)


def test_a_table_that_was_not_loaded_is_zeros():
    """The segment that held it is missing: what Linux reads is cleared memory."""
    outcome = verdict(faults.apply("elf-phnum-less", image()))
    assert outcome.accepted
    assert not outcome.complete
    assert not any(linux.table_in_memory(outcome))
    assert table_answer(outcome, board()).errno == "EINVAL"


def test_a_table_outside_what_linux_has_is_refused():
    """OP-TEE has loaded it into memory that Linux' device tree does not give the core."""
    outcome, known = verdict(image()), board()
    assert table_answer(outcome, known).errno == "OK"
    kept = [c for c in known.core("m33").carveouts if not c.holds(outcome.table.pa, outcome.table.size)]
    cores = tuple(evolve(core, carveouts=tuple(kept)) for core in known.cores)
    assert table_answer(outcome, evolve(known, cores=cores)).errno == "EINVAL"


def test_without_its_vectors_no_core_lives():
    """The segment with the vector table was left out: it is started, and nothing beats."""
    outcome = verdict(faults.apply("segment-type", image()))
    assert not has_vectors(outcome, board())
    facts = shown(faults.apply("segment-type", image()))
    assert (facts.state, facts.beating, facts.identity) == ("running", False, "")


def test_with_another_segment_missing_nothing_is_said_of_its_life():
    """Vectors are there, a segment is not: firmware may or may not live."""
    extra = Elf(
        [Segment(BASE, b"code" * 20), Segment(TABLE_DA, table(trace())), Segment(BASE + 0x800, b"more")],
        table(trace()),
        TABLE_DA,
    ).build()
    data = bytearray(sign([extra], key()))
    at = fields(bytes(data))["elf0.ph2.p_type"].at
    data[at : at + 4] = bytes(4)
    facts = shown(bytes(data))
    assert (facts.state, facts.beating, facts.identity) == ("running", None, None)


def test_firmware_without_a_table_runs_unheard():
    """It is accepted and runs; about its heart nothing is predicted."""
    facts = shown(faults.apply("rsc-empty", image()))
    assert (facts.errno, facts.state, facts.beating, facts.identity) == ("OK", "running", None, None)


def test_memory_of_running_firmware_is_what_it_cannot_write_to():
    """Segments that the signed headers call writable are left out; after a refusal all memory counts."""
    outcome = verdict(image())
    places = to_look_at(outcome, board(), "m33")
    assert places == ((BASE, 80), (TABLE_DA, len(table(trace()))))
    refused = verdict(faults.apply("payload-first", image()))
    regions = board().core("m33").regions
    assert to_look_at(refused, board(), "m33") == tuple((r.pa, r.size) for r in regions)
    writable = bytearray(image())
    at = fields(image())["hash1.p_flags"].at
    writable[at] |= layout.PF_W
    assert to_look_at(verdict(faults.resigned(bytes(writable), key())), board(), "m33") == ((BASE, 80),)


def test_memory_that_others_write_at_boot_is_not_looked_at_after_a_refusal():
    """What a refused image leaves there is not known."""
    known = board().core("m33")
    first, *others = known.regions
    written = evolve(board(), cores=(evolve(known, written_at_boot=(first.name,)),))
    refused = verdict(faults.apply("payload-first", image()))
    assert to_look_at(refused, written, "m33") == tuple((r.pa, r.size) for r in others)
    assert to_look_at(verdict(image()), written, "m33") == to_look_at(verdict(image()), board(), "m33")


def test_a_segment_of_zeros_is_called_so():
    """Zeros have a name of their own, in a prediction as in an observation."""
    elf = Elf([Segment(BASE, bytes(64))], None).build()
    assert shown(sign([elf], key())).memory == ZEROS
    assert firmware() != elf


def test_memory_in_words():
    """Ranges that are all zeros are one word; others name their place and their hash; none says nothing."""
    zeros, code = MemoryRange(0x1000, 16, ZEROS).line, MemoryRange(0x2000, 4, "ab" * 32).line
    assert memory_word([zeros, zeros]) == ZEROS
    assert memory_word([zeros, code]) == "0x1000+0x10 zeros; 0x2000+0x4 abababababababab"
    assert memory_word([]) is None
