# SPDX-License-Identifier: MIT
"""The twin's verdicts: every reason, corner by corner, as OP-TEE's sources have it."""

import hashlib
import random
import re
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbench import layout, twin
from mpbench.core.errors import UsageError
from mpbench.deployment.predict import expect
from mpbench.image import faults
from mpbench.image.fields import fields
from mpbench.image.inspect import as_text, inspect
from mpbench.image.sign import sign
from mpbench.layout import PtaCommand, Tee
from mpbench.twin.flip_map import MAX_STEPS, expectations, signature_of
from mpbench.twin.heap import SIZES, Heap
from mpbench.twin.loader import load
from mpbench.twin.machine import Loader
from mpbench.twin.profile import Profile, load_profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import Outcome, State, Write, flatten
from testcases.peer.elves import Draft, Elf, Segment, resource_table
from testcases.unit import test_twin_openstlinux
from testcases.unit.image_rig import BASE, CODE, TABLE_DA, board, firmware, image, key

TRUSTING = board().with_verifier(lambda _digest, _signature: True)
NARROW = evolve(TRUSTING, word_bits=32)
ST = load_profile("st-4.0-r2-mp257f-dk").with_verifier(lambda _digest, _signature: True)


def verdict(data: bytes, profile: Profile = TRUSTING, core: str | int = "m33") -> Outcome:
    """LOAD_FW on a core that is off."""
    return load(data, profile, core)


def changed(name: str, value: int, data: bytes | None = None) -> bytes:
    """The sound image (or another) with one field set."""
    image_ = bytearray(data or image())
    faults.put(image_, fields(bytes(image_))[name], value)
    return bytes(image_)


def drafted(*elfs: bytes, **kind: Any) -> bytes:
    """An unsigned signed image, for a board that trusts every signature."""
    return Draft(list(elfs) or [firmware()], **kind).build()


def header(tlv_len: int, sign_len: int, img_len: int, size: int = 64) -> bytes:
    """A header with these lengths and zeros after it."""
    return layout.HEADER.pack(layout.HEADER_MAGIC, 1, tlv_len, sign_len, img_len).ljust(size, b"\0")


def elf(*segments: Segment, **kind: Any) -> bytes:
    """An image of one ELF."""
    return drafted(Elf(segments or [Segment(BASE, b"data", 4)], **kind).build())


def with_table(table: bytes, da: int = BASE, **kind: Any) -> bytes:
    """An image whose resource table is this."""
    return elf(Segment(BASE, b"data", 4), table=table, table_da=da, **kind)


def overlapping() -> bytes:
    """One signed hash of zeros, 400 program headers, each with its own piece of many zeros."""
    many = Elf([Segment(BASE, bytes(4000) if i == 0 else b"", 4000) for i in range(400)]).build()
    data = bytearray(drafted(many))
    found = fields(bytes(data))
    start = found["elf0.data0"].at - found["elf0.e_ident"].at
    for i in range(400):
        faults.put(data, found[f"elf0.ph{i}.p_offset"], start + 4 * i)
        faults.put(data, found[f"elf0.ph{i}.p_filesz"], 2400)
    faults.put(data, found["hash0.p_filesz"], 2400)
    digest = found["hash0.sha256"]
    data[digest.at : digest.end] = hashlib.sha256(bytes(2400)).digest()
    return bytes(data)


CASES = {
    "empty-image": lambda: verdict(b""),
    "unknown-core": lambda: verdict(image(), core=9),
    "capabilities": lambda: verdict(image(), evolve(TRUSTING, formats=2)),
    "unaligned-buffer": lambda: Loader(TRUSTING).load("m33", image(), aligned=False),
    "lengths-overflow": lambda: verdict(header(0x7FFFFFF8, 0x7FFFFFF8, 8)),
    "too-short": lambda: verdict(image()[:12]),
    "zero-length": lambda: verdict(header(0, 8, 8)),
    "length-limit": lambda: verdict(header(8, 8, 1 << 31)),
    "bad-magic": lambda: verdict(changed("header.magic", 1)),
    "bad-version": lambda: verdict(changed("header.version", 2)),
    "wrong-size": lambda: verdict(image() + bytes(8)),
    "no-signtype": lambda: verdict(changed("tlv.SIGNTYPE.length", 2)),
    "unknown-signtype": lambda: verdict(changed("tlv.SIGNTYPE.value", 200)),
    "algorithm-unsupported": lambda: verdict(changed("tlv.SIGNTYPE.value", 2)),
    "signature-invalid": lambda: verdict(changed("tlv.IMGSIZE.value", 1), board()),
    "platform-fault": lambda: verdict(
        image(), evolve(TRUSTING, faults={PtaCommand.VERIFY_DIGEST: 0xFFFF000D})
    ),
    "elf-too-small": lambda: verdict(small_images()),
    "elf-sections-outside": lambda: verdict(changed("elf0.e_shoff", 0x7FFFFFF0)),
    "elf-ident": lambda: verdict(changed("elf0.e_ident", 0)),
    "elf-no-segments": lambda: verdict(changed("elf0.e_phnum", 0)),
    "no-hashtable": lambda: verdict(changed("tlv.HASHTABLE.type", 0x7777)),
    "hashtable-length": lambda: verdict(changed("tlv.HASHTABLE.length", 63)),
    "no-num-img": lambda: verdict(changed("tlv.NUM_IMG.type", 0x7777)),
    "num-img-length": lambda: verdict(changed("tlv.NUM_IMG.length", 2)),
    "num-img-zero": lambda: verdict(changed("tlv.NUM_IMG.value", 0)),
    "no-imgtype": lambda: verdict(changed("tlv.IMGTYPE.length", 0)),
    "imgtype-length": lambda: verdict(changed("tlv.IMGTYPE.length", 2)),
    "imgtype-not-elf": lambda: verdict(changed("tlv.IMGTYPE.value", 2)),
    "no-imgsize": lambda: verdict(changed("tlv.IMGSIZE.type", 0x7777)),
    "imgsize-length": lambda: verdict(changed("tlv.IMGSIZE.length", 5)),
    "imgsize-zero": lambda: verdict(changed("tlv.IMGSIZE.value", 0)),
    "phdr-unaligned": lambda: verdict(changed("elf0.e_phoff", 53)),
    "phdr-outside": lambda: verdict(changed("tlv.IMGSIZE.value", 80)),
    "segment-outside-image": lambda: verdict(changed("elf0.ph0.p_offset", 0x7FFFFFF0)),
    "segment-not-signed": lambda: verdict(changed("elf0.ph0.p_paddr", 0)),
    "hash-entry-not-load": lambda: verdict(changed("hash0.p_type", 0)),
    "segment-sizes-differ": lambda: verdict(changed("elf0.ph0.p_memsz", 0)),
    "segment-outside-images": lambda: verdict(tail_image()),
    "segment-outside-memory": lambda: verdict(elf(Segment(0x1000, b"data", 4))),
    "segment-hash": lambda: verdict(changed("elf0.data0", 0)),
    "clear-outside-memory": lambda: verdict(elf(Segment(BASE, b"data", 0x7FFFFFFF))),
    "sections-wrap": lambda: verdict(changed("elf0.e_shoff", 0xFFFFFFF0), NARROW),
    "sections-unaligned": lambda: verdict(changed("elf0.e_shoff", 0x41)),
    "sections-outside": lambda: verdict(changed("elf0.e_shnum", 0xFFFF)),
    "no-section-names": lambda: verdict(elf(sections=False)),
    "names-outside": lambda: verdict(changed("elf0.sh3.sh_size", 0x7FFFFFFF)),
    "name-outside": lambda: verdict(changed("elf0.sh1.sh_name", 0x7FFFFFFF)),
    "table-truncated": lambda: verdict(changed("elf0.rschead.sh_size", 0x7FFFFFFF)),
    "table-too-small": lambda: verdict(changed("elf0.rschead.sh_size", 15)),
    "table-unaligned": lambda: verdict(changed("elf0.rschead.sh_offset", 0x42)),
    "table-version": lambda: verdict(with_table(resource_table(version=0x80000001))),
    "table-reserved": lambda: verdict(with_table(resource_table(reserved=(0, 1)))),
    "table-incomplete": lambda: verdict(with_table(layout.RESOURCE_HEAD.pack(1, 9, 0, 0))),
    "table-outside-memory": lambda: verdict(with_table(resource_table(), da=0)),
    "second-table": lambda: verdict(drafted(firmware(), firmware())),
    "heap": lambda: verdict(image(), evolve(TRUSTING, heap_bytes=512)),
    "reads-outside": lambda: verdict(changed("elf0.e_phoff", 0x7FFFFFF0)),
    "work-limit": lambda: verdict(overlapping(), evolve(TRUSTING, heap_bytes=1 << 20)),
    "loaded": lambda: verdict(image()),
}


def small_images() -> bytes:
    """Images shorter than an ELF header."""
    draft = drafted()
    start = fields(draft)["elf0.e_ident"].at
    return changed("header.img_len", 48, draft)[:start] + bytes(48)


def tail_image() -> bytes:
    """Segment data at the very end of the file, and a header that says the images are shorter."""
    data = Elf([Segment(BASE)], tail=bytes(8)).build()
    assert len(data) % 8 in {0, 4}
    return Draft([data], img_cut=7).build()


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_reason_of_load_is_reached(name):
    """The reason decides, with its code, and nothing is loaded unless all went well."""
    outcome = CASES[name]()
    assert outcome.reason.name == name, outcome.detail
    assert outcome.code == (0xFFFF000D if name == "platform-fault" else REASONS[name].code)
    assert outcome.state is (State.LOADED if name == "loaded" else State.OFF)
    assert outcome.check == REASONS[name].check


def test_every_reason_has_a_case_here_or_in_the_state_machine():
    """The table of reasons holds nothing that no test reaches."""
    of_states = {
        *(
            "already-loaded",
            "already-off",
            "already-started",
            "core-is-running",
            "never-loaded",
            "not-running",
        ),
        *(
            "nothing-loaded",
            "no-core-dump",
            "platform-busy",
            "released",
            "release-unknown-core",
            "session-open",
        ),
        *("started", "stopped", "table", "unknown-command", "wrong-parameters"),
    }
    assert set(CASES) | of_states | set(test_twin_openstlinux.CASES) == set(REASONS)


# ------------------------------------------------------------------------------------------- corners


def test_the_first_record_of_a_type_wins():
    """A second NUM_IMG is never looked at; one before the first is."""
    assert verdict(drafted(extra=[(3, b"\0")])).accepted
    assert verdict(drafted(before=[(3, b"\0")])).reason.name == "num-img-zero"


def test_a_record_that_runs_past_the_area_is_skipped_and_the_walk_ends_there():
    """Its padding would lead outside as well, so nothing after it is found."""
    assert verdict(drafted(before=[(0x77, b"")]), NARROW).accepted
    wild = changed("tlv.0x77.length", 0x1000, drafted(before=[(0x77, b"")]))
    assert verdict(wild).reason.name == "no-signtype"


@pytest.mark.parametrize(("length", "found"), [(0xFFFFFFF8, False), (0xFFFFFFF9, True), (0xFFFFFFFF, True)])
def test_absurd_record_lengths_differ_by_word_size(length, found):
    """ROUNDUP_64 of 0xfffffff9 and more wraps to 0: 64 bits walk on inside the record, 32 bits stop."""
    wild = changed("tlv.0x77.length", length, drafted(before=[(0x77, b"")]))
    assert verdict(wild).accepted == found
    assert verdict(wild, NARROW).reason.name == "no-signtype"


def test_platform_records_cannot_be_looked_up_as_generic_ones():
    """The look-up takes 16 bits: 0x10003 is not NUM_IMG, and upstream never reads platform records."""
    assert verdict(drafted(before=[(0x10003, b"\0")])).accepted


@pytest.mark.parametrize(
    ("name", "unterminated", "found"),
    [
        (b".resource_table", False, True),
        (b".resource_tableX", False, False),
        (b".resource", False, False),
        (b".resource", True, True),
    ],
)
def test_section_names_are_compared_up_to_the_end_of_the_name_table(name, unterminated, found):
    """A longer name doesn't match, nor a shorter one, unless the end of the table cuts it short."""
    data = with_table(resource_table(), name=name, unterminated=unterminated)
    assert (verdict(data).table.size > 0) == found


def test_an_unterminated_last_name_matches_as_a_prefix():
    """The compare is bounded by the table's end: `.res` cut there is taken for `.resource_table`."""
    data = with_table(resource_table(), name=b".res", unterminated=True)
    names = fields(data)["elf0.names"]
    shorter = changed("elf0.sh3.sh_size", names.size - 1, data)
    assert verdict(shorter).table.size > 0


def test_a_large_e_phoff_is_a_wild_read_in_64_bits_and_a_near_one_in_32():
    """p_paddr is read before the header is checked; 2^32 - 16 lies just before the image in 32 bits."""
    wild = changed("elf0.e_phoff", 0xFFFFFFF0)
    assert verdict(wild).reason.name == "reads-outside"
    assert verdict(wild, NARROW).reason.name == "phdr-outside"


def test_absurd_image_sizes_differ_by_word_size():
    """IMGSIZE of 4 GiB: nothing is out of range in 64 bits, the address wraps in 32."""
    wild = changed("tlv.IMGSIZE.value", 0xFFFFFFF8)
    assert verdict(wild).accepted
    assert verdict(wild, NARROW).reason.name == "imgsize-zero"


def test_an_image_behind_the_end_of_the_file_is_read_outside():
    """IMGSIZE isn't compared with the file: the second image begins where nothing is."""
    data = drafted(firmware(), firmware())
    field = fields(data)["tlv.IMGSIZE.value"]
    wild = bytearray(data)
    wild[field.at : field.at + 4] = (0x100000).to_bytes(4, "little")
    assert verdict(bytes(wild)).reason.name == "reads-outside"


@pytest.mark.parametrize(
    ("kind", "kept", "reason"),
    [
        (0, 16, "reads-outside"),
        (0, 12, "reads-outside"),
        (1, 20, "reads-outside"),
        (1, 24, "segment-sizes-differ"),
    ],
)
def test_a_program_header_at_the_end_of_the_file_needs_only_the_words_that_are_read(kind, kept, reason):
    """p_type and p_paddr for any header; p_offset, p_filesz and p_memsz for a PT_LOAD."""
    data = bytearray(drafted(Elf([Segment(BASE, b"data", 4)] * 2).build()))
    found = fields(bytes(data))
    faults.put(data, found["tlv.IMGSIZE.value"], 0x7FFFFFF8)
    data[len(data) - kept :] = layout.PHDR.pack(kind, 0, 0, BASE, 8, 4, 5, 4)[:kept]
    faults.put(data, found["elf0.e_phoff"], len(data) - found["elf0.e_ident"].at - kept)
    assert verdict(bytes(data)).reason.name == reason


def test_names_at_the_end_of_the_file_are_read_byte_by_byte():
    """With a huge IMGSIZE the names may leave the file: one that differs early is fine, others are not."""
    elf_ = Elf([Segment(BASE, b"data", 4)]).build()
    data = drafted(elf_)
    found = fields(data)
    huge = changed("tlv.IMGSIZE.value", 0x7FFFFFF8, data)
    far = len(data) - found["elf0.e_ident"].at
    out = changed("elf0.sh2.sh_offset", far - 20, huge)
    assert verdict(changed("elf0.sh2.sh_size", 0x10000, out)).reason.name in {"loaded", "reads-outside"}
    gone = changed("elf0.sh2.sh_offset", far, huge)
    assert verdict(gone).reason.name == "reads-outside"
    wide = changed("elf0.sh2.sh_size", 0x100000, huge)
    assert verdict(wide).accepted
    assert verdict(changed("elf0.sh1.sh_name", 0x200000, wide)).reason.name == "name-outside"


def test_a_name_that_leaves_the_file_as_a_prefix_is_read_outside():
    """The last bytes of the file begin like `.resource_table`: the comparison continues after the end."""
    elf_ = Elf([Segment(BASE)], tail=b".resourc").build()
    data = changed("tlv.IMGSIZE.value", 0x7FFFFFF8, drafted(elf_))
    found = fields(drafted(elf_))
    at = found["elf0.data0"].at - found["elf0.e_ident"].at
    wild = changed("elf0.sh2.sh_size", 0x100, changed("elf0.sh2.sh_offset", at, data))
    padding = -len(elf_) % 8
    assert verdict(wild).reason.name == ("reads-outside" if padding == 0 else "loaded")


def test_segments_are_copied_before_later_ones_are_refused():
    """The first segment stays in memory, the wrong one is zeroed, the core stays off."""
    outcome = verdict(changed("elf0.data1", 0))
    assert [(r.pa, r.zeros) for r in outcome.memory] == [(BASE, False), (BASE + 80, True), (TABLE_DA, True)]
    assert outcome.memory[0].sha256 == hashlib.sha256(CODE).hexdigest()
    assert outcome.table.size == 0


def test_platform_calls_come_in_order_with_their_arguments():
    """Capabilities, verification, load and clear per segment, translation of the table."""
    calls = verdict(image()).calls
    assert [c.command.name for c in calls] == [
        *("HW_CAPABILITIES", "VERIFY_DIGEST", "LOAD_SEGMENT_SHA256", "SET_MEMORY"),
        *("LOAD_SEGMENT_SHA256", "FIRMWARE_DA_TO_PA"),
    ]
    assert (calls[2].da, calls[2].size) == (BASE, 80)
    assert (calls[3].da, calls[3].size) == (BASE + 80, 16)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (PtaCommand.HW_CAPABILITIES, "platform-fault"),
        (PtaCommand.LOAD_SEGMENT_SHA256, "platform-fault"),
        (PtaCommand.SET_MEMORY, "platform-fault"),
        (PtaCommand.FIRMWARE_DA_TO_PA, "table-outside-memory"),
    ],
)
def test_a_platform_command_that_fails_ends_the_load(command, reason):
    """Its code is the answer, but a failed translation is always ACCESS_DENIED."""
    outcome = verdict(image(), evolve(TRUSTING, faults={command: int(Tee.BUSY)}))
    assert outcome.reason.name == reason
    assert outcome.code == (Tee.BUSY if reason == "platform-fault" else Tee.ACCESS_DENIED)


def test_a_profile_without_a_key_is_misuse():
    """The twin never guesses whether a signature is good."""
    with pytest.raises(UsageError, match="virtual-mp25 has no key"):
        load(image(), load_profile("virtual-mp25"), "m33")


def test_a_core_the_profile_does_not_have_is_misuse():
    """By name; an unknown number is the board's business."""
    with pytest.raises(UsageError, match="no core 'm7'"):
        load(image(), TRUSTING, "m7")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_of_bytes_is_taken(kind):
    """bytes, bytearray, memoryview: the same answer."""
    assert load(kind(image()), TRUSTING, "m33") == verdict(image())


def test_a_verdict_copies_no_segment_data():
    """Whatever the image's size, a verdict holds a few kilobytes."""
    big = drafted(Elf([Segment(BASE, bytes(1 << 20), 1 << 20)]).build())
    verdict(big)
    tracemalloc.start()
    outcome = verdict(big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.accepted
    assert peak < 1 << 16


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_twin_raise(data):
    """Any bytes, bare and after a sound start, in both word sizes."""
    for profile in (TRUSTING, NARROW, ST):
        for prefix in (b"", image()[:20], image()[:300]):
            assert verdict(prefix + data, profile).reason.name in REASONS


def test_random_faults_never_make_the_twin_raise():
    """Structured faults reach the deeper checks; the state is OFF unless the image was loaded."""
    rng = random.Random(7)
    for _ in range(1500):
        changed, _ = faults.mutate(image(), rng)
        outcome = verdict(changed)
        assert (outcome.state is State.LOADED) == (outcome.code == 0)


# ---------------------------------------------------------------------------------- heap and memory


@pytest.mark.parametrize(("segments", "loads"), [(24, True), (26, True), (28, False)])
def test_the_default_heap_holds_24_segments_and_not_28(segments, loads):
    """Measured on the virtual board with a 2048-bit key: 24 load, 28 give OUT_OF_MEMORY."""
    many = Elf([Segment(BASE + 16 * i, b"data", 4) for i in range(segments)]).build()
    profile = evolve(TRUSTING, heap_bytes=4096, sessions=1)
    assert verdict(drafted(many), profile).accepted == loads


def test_the_heap_runs_out_at_each_allocation():
    """Header, digest, key information, hash table: four places, one code."""
    many = Elf([Segment(BASE + 16 * i, b"data", 4) for i in range(24)]).build()
    told = set()
    for size in range(512, 6000, 16):
        for data in (drafted(extra=[(0x11, bytes(600))]), drafted(many)):
            outcome = verdict(data, evolve(TRUSTING, heap_bytes=size))
            if outcome.reason.name == "heap":
                told.add(outcome.detail.split()[-1] if "copy" not in outcome.detail else "table")
                assert outcome.code == Tee.OUT_OF_MEMORY
    assert told == {"signature", "digest", "table"}


def test_a_heap_block_fits_exactly_or_leaves_room_for_a_free_block():
    """bget: position 0, or at least a quantum and a head are left."""
    heap = Heap(SIZES[64], 1024, 0, 0)
    heap.free = 64
    assert not heap.take(64)
    assert not heap.take(32)
    assert heap.take(16)
    assert heap.free == 32
    assert heap.take(16)
    assert heap.free == 0


def test_a_digest_and_key_information_are_given_back():
    """Whether they fit is asked once; the heap stays as it was."""
    heap = Heap(SIZES[64], 4096, 0, 0)
    free = heap.free
    assert heap.can_verify(0)
    assert heap.free == free
    heap.free = heap.sizes.digest + heap.sizes.block(8)
    assert heap.can_verify(8)
    assert not heap.can_verify(9)


def test_overlapping_writes_leave_what_was_written_last():
    """Pieces of an older write stay on both sides of a newer one."""
    left = flatten((Write(0, 100, 0), Write(40, 20), Write(90, 30, 500)))
    assert left == [Write(0, 40, 0), Write(40, 20), Write(60, 30, 60), Write(90, 30, 500)]
    assert flatten((Write(0, 8), Write(0, 8, 4), Write(20, 0))) == [Write(0, 8, 4)]


def test_writes_that_overlap_at_random_leave_what_the_last_one_wrote():
    """Address by address: the last write there, or none; the ranges are disjoint and in order."""
    rng = random.Random(7)
    for _ in range(300):
        some = tuple(
            Write(rng.randrange(40), rng.randrange(12), rng.choice([None, 100 * i]))
            for i in range(rng.randrange(9))
        )
        memory = {
            at: (w.offset is not None and w.offset + at - w.pa)
            for w in some
            for at in range(w.pa, w.pa + w.size)
        }
        left = flatten(some)
        found = {
            at: (w.offset is not None and w.offset + at - w.pa)
            for w in left
            for at in range(w.pa, w.pa + w.size)
        }
        assert found == memory
        assert all(a.pa + a.size <= b.pa for a, b in pairwise(left))


# ------------------------------------------------------------------------------- expect and flips


def test_a_refusal_shows_on_the_board():
    """errno of the driver, offline, the code, the TA's last line, no identity."""
    facts = expect(verdict(changed("elf0.data0", 0)), identity="alive m33", profile=TRUSTING)
    assert (facts.errno, facts.state, facts.tee_code) == ("EIO", "offline", 0xFFFF000F)
    assert facts.secure_log == "Fails to load segment, res = 0x0xffff000f"
    assert (facts.beating, facts.identity) == (False, "")
    assert expect(verdict(changed("elf0.ph0.p_paddr", 0))).secure_log == ""


def test_an_accepted_firmware_runs_and_says_who_it_is():
    """Without an identity nothing is said about the firmware."""
    facts = expect(verdict(image()), identity="alive m33")
    assert (facts.errno, facts.state, facts.tee_code, facts.beating) == ("OK", "running", 0, True)
    assert facts.identity == "alive m33"
    assert expect(verdict(image())).beating is None


def test_nothing_is_predicted_where_nobody_can_know():
    """Undefined behaviour, and a resource table that isn't where its bytes are."""
    assert expect(verdict(header(8, 8, 1 << 31))).errno is None
    moved = expect(verdict(faults.apply("rsc-moved", image())), identity="alive m33")
    assert (moved.tee_code, moved.state, moved.identity) == (0, None, None)
    assert expect(verdict(elf())).state == "running"


def over_its_headers() -> bytes:
    """A PT_LOAD that holds its own ELF and program headers, as linkers like to make them; then symbols."""
    elf_ = bytearray(firmware() + b"symbols that nobody reads")
    head = layout.EHDR.size
    layout.PHDR.pack_into(elf_, head, 1, 0, BASE, BASE, 300, 300, 5, 4)
    return sign([bytes(elf_)], key())


MAPPED = {
    "sound": (image(), board()),
    "signature not checked": (image(), TRUSTING),
    "headers in a segment": (over_its_headers(), board()),
    "wrong hash": (faults.apply("payload-last", image()), board()),
    "wrong size": (image() + bytes(8), board()),
    "no image": (bytes(range(256)), board()),
}


def test_a_map_asks_for_few_signatures():
    """A signature is checked for each bit that is signed: all but the image's own have one answer."""
    asked = []

    def verify(digest: bytes, signature: bytes) -> bool:
        asked.append((digest, signature))
        return asked[0] == (digest, signature)

    data = image()
    assert expectations(data, evolve(TRUSTING, verify=verify), 1) == expectations(data, board(), 1)
    assert len(asked) == 2


@pytest.mark.parametrize("name", MAPPED)
def test_the_map_says_for_every_byte_what_each_of_its_bits_does(name):
    """Bytes of every span, tried bit by bit with a whole load, agree with the map."""
    data, profile = MAPPED[name]
    spans = expectations(data, profile, 1)
    assert (spans[0].start, spans[-1].end) == (0, len(data))
    assert all(a.end == b.start and a.answers != b.answers for a, b in pairwise(spans))
    for span in spans:
        for at in {span.start, span.start + 1, (span.start + span.end) // 2, span.end - 1}:
            if at < span.end:
                assert tried(data, profile, at) == set(span.answers), hex(at)


def tried(data: bytes, profile: Profile, at: int) -> set[tuple[str, int | None]]:
    """Answers to each flip of a byte."""
    answers = set()
    for bit in range(8):
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        outcome = load(flipped, profile, "m33")
        answers.add((outcome.reason.name, outcome.code))
    return answers


def test_a_map_that_would_take_too_long_is_refused():
    """Headers without end, each of which every flip would meet: the numbers are named."""
    many = sign([Elf([Segment(BASE + 16 * i, b"x", 1) for i in range(500)]).build()], key())
    with pytest.raises(UsageError, match=rf"^no map of this image: \d+ bytes .*at most {MAX_STEPS // 8} of"):
        expectations(many, evolve(TRUSTING, heap_bytes=1 << 20), 1)


def test_the_map_of_something_that_is_no_image_is_a_map_as_well():
    """Too short for a header, and lengths that lead outside."""
    assert signature_of(b"short") == (0, 0)
    assert {a for s in expectations(b"short", TRUSTING, 1) for a, _ in s.answers} == {"too-short"}
    assert signature_of(header(8, 8000, 8)) == (0, 0)
    assert expectations(b"", TRUSTING, 1) == []


def test_two_segments_with_the_same_data_are_one_stretch():
    """Program headers that share file data don't make the map count bytes twice."""
    data = bytearray(sign([Elf([Segment(BASE, b"data", 4), Segment(BASE + 16, b"data", 4)]).build()], key()))
    found = fields(bytes(data))
    faults.put(data, found["elf0.ph1.p_offset"], found["elf0.ph0.p_offset"].number(data))
    spans = expectations(bytes(data), TRUSTING, 1)
    assert all(a.end == b.start for a, b in pairwise(spans))


def encrypted(cipher: bytes = b"\1") -> bytes:
    """One of ST's encrypted images, as far as its format is public: the data stand for what AES made."""
    plain, secret, vector = b"plain text, 16 b", b"cipher text, 16b", bytes(range(16))
    elf_ = Elf([Segment(BASE, secret, len(secret))]).build()
    head = elf_[layout.EHDR.size : layout.EHDR.size + layout.PHDR.size]
    entry = head + hashlib.sha256(secret).digest() + vector
    data = drafted(elf_, extra=[(0x06, cipher), (0x12, entry)])
    data = changed("tlv.IMGTYPE.value", 2, data)
    digest = fields(data)["hash0.sha256"]
    return data[: digest.at] + hashlib.sha256(plain).digest() + data[digest.end :]


def test_inspect_shows_cipher_vector_and_whose_hash_the_data_have():
    """The data of an encrypted segment have the hash of ENCTABLE, not that of HASHTABLE."""
    report = inspect(encrypted(), "x.bin")
    (shown,) = report["images"]
    assert shown["type"] == "encrypted ELF (AES-CBC)"
    (row,) = shown["segments"]
    assert row["iv"] == bytes(range(16)).hex()
    assert row["hash"] == row["encrypted_hash"] != row["signed_hash"]
    assert "hash matches, encrypted, IV 000102" in as_text(report)
    assert "unknown cipher" in as_text(inspect(encrypted(cipher=b"\7"), "x.bin"))


TWIN = Path(twin.__file__).parent


@pytest.mark.parametrize("name", REASONS)
def test_a_reason_leads_to_the_check_that_decides_it(name):
    """reasons.py names the C function; one other file of the twin has both the reason and the function."""
    files = [path.read_text() for path in sorted(TWIN.glob("*.py")) if path.name != "reasons.py"]
    deciding = [text for text in files if f'"{name}"' in text]
    functions = re.findall(r"\w{3,}", REASONS[name].where)
    assert deciding
    assert not functions or any(function in text for function in functions for text in deciding)
