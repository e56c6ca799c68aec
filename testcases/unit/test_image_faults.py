# SPDX-License-Identifier: MIT
"""Faults put into images, and what inspect shows of an image."""

import json
import random
from itertools import pairwise

import pytest

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.image import faults
from mpbench.image.advice import warnings
from mpbench.image.bounds import MAX_ENTRIES
from mpbench.image.fields import fields, header, image_sizes
from mpbench.image.inspect import as_text, inspect
from mpbench.image.sign import sign
from mpbench.image.signing_target import LoadableMemory, SigningTarget
from mpbench.image.strip import strip
from mpbench.twin.loader import load
from testcases.peer.elves import Elf, Segment
from testcases.unit.image_rig import BASE, board, ec_key, firmware, image, key, write_public

ACCEPTED = {
    *("elf-type", "elf-machine", "elf-entry", "elf-phoff", "elf-phnum-less", "segment-type"),
    *("rsc-moved", "rsc-empty", "rsc-nameless", "hashtype-missing", "hashtype-unknown", "hashtype-long"),
}
"""Faults that upstream's loader takes, because those bytes are not protected or not read."""


def test_there_are_at_least_forty_named_faults_and_all_apply_to_a_sound_image():
    """An ordinary image has every field that a named fault changes."""
    assert len(faults.FAULTS) >= 40
    assert set(faults.applicable(image())) == set(faults.FAULTS)


@pytest.mark.parametrize("name", sorted(faults.FAULTS))
def test_every_named_fault_is_refused_or_known_to_be_accepted(name):
    """Each fault changes the image and none leaves the twin without an answer."""
    changed = faults.apply(name, image(), key())
    outcome = load(changed, board(), "m33")
    assert changed != image()
    assert outcome.code is not None
    assert outcome.accepted == (name in ACCEPTED), outcome.reason.name


def test_the_named_faults_reach_every_check_of_upstreams_loader():
    """Each numbered check but the platform's capabilities decides for at least one fault."""
    checks = {load(faults.apply(n, image(), key()), board(), "m33").check.split()[0] for n in faults.FAULTS}
    assert checks >= {str(n) for n in range(2, 15)}


def test_faults_for_ecdsa_images_apply_as_well():
    """Signing again uses the key's own algorithm."""
    signed = sign([firmware()], ec_key())
    changed = faults.apply("num-img-zero", signed, ec_key())
    assert fields(changed)["tlv.NUM_IMG.value"].number(changed) == 0
    assert changed[:20] == signed[:20]


@pytest.mark.parametrize(
    ("name", "target", "private", "complaint"),
    [
        ("no-such-fault", image(), None, "unknown fault 'no-such-fault'; known: header-magic"),
        ("rsc-version", image()[:600], None, "the image has no elf0.rsc.ver"),
        ("num-img-zero", image(), None, "needs the signing key"),
    ],
)
def test_a_fault_that_cannot_be_put_is_an_error(name, target, private, complaint):
    """Unknown name, missing field, missing key."""
    with pytest.raises(UsageError, match=complaint):
        faults.apply(name, target, private)


def test_random_faults_repeat_from_their_seed_and_stay_in_the_domain():
    """The same seed gives the same image; no header length ever reaches 2^31."""
    first = [faults.mutate(image(), random.Random(seed)) for seed in range(300)]
    again = [faults.mutate(image(), random.Random(seed)) for seed in range(300)]
    assert first == again
    assert all(length < layout.LENGTH_LIMIT for changed, _ in first for length in header(changed)[2:])
    assert len({what.split(":")[0] for _, what in first}) > 50


def test_random_faults_can_be_signed_again():
    """With the key, about half of the images have a good signature, so that later checks are reached."""
    rng = random.Random(1)
    checks = [load(faults.mutate(image(), rng, key=key())[0], board(), "m33").check for _ in range(60)]
    assert {"5 signature", "0 state"} <= set(checks)


def test_a_file_without_fields_is_cut_or_grown():
    """Even an empty file can get a fault."""
    changed, what = faults.mutate(b"", random.Random(3))
    assert what == f"{len(changed)} bytes appended"


def test_a_header_length_of_two_gib_is_put_back():
    """within_domain restores the header and keeps the rest."""
    wild = image()[:8] + b"\xff\xff\xff\xff" + image()[12:] + b"tail"
    assert faults.within_domain(wild, image()) == image() + b"tail"


def test_an_image_too_short_for_its_signature_is_not_signed_again():
    """resigned leaves what it can't sign."""
    assert faults.resigned(image()[:100], key()) == image()[:100]


def test_fields_survive_any_bytes():
    """Truncations at every length and a hostile count of sections: no error, no field outside the file."""
    for size in range(0, len(image()), 7):
        cut = image()[:size]
        assert all(f.end <= size for f in fields(cut).values())
    assert image_sizes(image(), None) == [len(firmware()) + -len(firmware()) % 8]
    many = Elf([Segment(BASE)] * (MAX_ENTRIES + 5), sections=False).build()
    assert f"elf0.ph{MAX_ENTRIES - 1}.p_type" in fields(sign([many], key()))


@pytest.mark.parametrize("at", [32, 48, 50])
def test_fields_leave_out_section_headers_that_do_not_fit(at):
    """e_shoff, e_shnum and e_shstrndx that point outside."""
    elf = bytearray(firmware())
    elf[at : at + 2] = b"\xff\xff"
    signed = sign([bytes(elf)], key())
    assert "elf0.names" not in fields(signed)


# ------------------------------------------------------------------------------------------- inspect


def test_inspect_names_the_key_that_made_the_signature():
    """Of several public keys, the right one; with another key, none."""
    report = inspect(image(), "fw", [("mine", key().public_key()), ("other", ec_key().public_key())])
    assert [m["key"] for m in report["signature"]["made_by"]] == ["mine"]
    assert inspect(image(), "fw")["signature"]["made_by"] == []


def test_inspect_gives_every_byte_once():
    """The ranges follow each other from the first byte to the last."""
    rows = inspect(image(), "fw")["ranges"]
    assert rows[0]["from"] == 0
    assert rows[-1]["to"] == len(image())
    assert all(a["to"] == b["from"] for a, b in pairwise(rows))
    by = {r["what"]: r["by"] for r in rows}
    assert by["TLVs"] == "signature"
    assert by["elf0: data of segment 0"] == "hash"
    assert by["elf0: ELF header"] == "none"


def test_inspect_shows_segments_hashes_and_resource_table():
    """Values are those of the ELF, the hash fits what was signed, and the report is JSON."""
    report = inspect(image(), "fw")
    (elf,) = report["images"]
    assert elf["segments"][0]["p_paddr"] == BASE
    assert elf["segments"][0]["hash"] == elf["segments"][0]["signed_hash"]
    assert elf["resource_table"]["entries"] == [
        {"type": "trace", "number": 2, "offset": 20, "da": 0x81200000, "len": 0x100, "name": "trace0"}
    ]
    assert json.loads(json.dumps(report)) == report


def test_inspect_tells_what_does_not_fit_in_words():
    """A wrong hash, an unsigned address, no resource table, an unknown signature type."""
    text = as_text(inspect(faults.apply("payload-first", image()), "fw"))
    assert "HASH DIFFERS" in text
    assert "resource table at 0x80100100" in text
    assert "NOT SIGNED" in as_text(inspect(faults.apply("segment-paddr", image()), "fw"))
    bare = sign([Elf([Segment(BASE, b"data", 4)]).build()], key())
    assert "no resource table" in as_text(inspect(bare, "fw"))
    assert "unknown (3)" in as_text(inspect(faults.apply("signtype-unknown", image(), key()), "fw"))


def test_inspect_shows_the_padding_of_a_short_signature():
    """The bytes between signature and images are not protected."""
    wild = image()[:12] + (250).to_bytes(4, "little") + image()[16:]
    assert "padding of the signature" in as_text(inspect(wild, "fw"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "fw: offset 0x0: the file ends inside the header of 20 bytes"),
        (firmware(), "fw: offset 0x0: magic 0x464c457f instead of 0x3543a468; an unsigned ELF"),
        (b"x" * 40, "not a signed image"),
        (image()[:4] + b"\2" + image()[5:], "fw: offset 0x4: version 2 instead of 1"),
        (image()[:-8], "the header's lengths add up to"),
    ],
)
def test_inspect_refuses_what_is_no_signed_image(data, complaint):
    """The error names file and offset."""
    with pytest.raises(UsageError) as error:
        inspect(data, "fw")
    assert complaint in str(error.value)


def test_public_keys_are_written_for_the_tests(tmp_path):
    """The rig's public key file is what `--key` reads."""
    assert b"PUBLIC KEY" in write_public(tmp_path / "p.pem", key()).read_bytes()


def many_headers(number: int) -> bytes:
    return Elf([Segment(BASE + 16 * i) for i in range(number)], sections=False).build()


@pytest.mark.slow
def test_inspect_refuses_what_it_cannot_list():
    """The count and the bound are named, whichever of them is too large; none of it is shown in part."""
    last = inspect(sign([many_headers(MAX_ENTRIES)], key()), "fw")["images"][0]["segments"]
    assert len(last) == MAX_ENTRIES
    too_many = sign([many_headers(MAX_ENTRIES + 1)], key())
    with pytest.raises(UsageError, match=r"^fw: 4097 program headers; at most 4096 can be shown$"):
        inspect(too_many, "fw")
    tlvs = sign([firmware()], key(), plat_tlvs={0x10000 + i: b"" for i in range(MAX_ENTRIES)})
    with pytest.raises(UsageError, match=r"^fw: 4102 TLVs; at most 4096 can be shown$"):
        inspect(tlvs, "fw")
    sections = Elf([Segment(BASE)], others=[b"x"] * MAX_ENTRIES).build()
    with pytest.raises(UsageError, match=r"^fw: 4099 section headers; at most 4096 can be shown$"):
        inspect(sign([sections], key()), "fw")


def overlapping() -> bytes:
    """40 program headers that all have the same 4 KiB of data."""
    elf = bytearray(Elf([Segment(BASE + 16 * i, b"", 0) for i in range(40)]).build() + bytes(4096))
    for i in range(40):
        at = 52 + 32 * i
        elf[at + 4 : at + 8], elf[at + 16 : at + 20] = bytes(4), (len(elf)).to_bytes(4, "little")
    return bytes(elf)


def test_program_headers_that_overlap_are_not_hashed_for_ever():
    """Neither signed nor shown: the bytes and the bound are named."""
    elf = overlapping()
    words = rf"fw: the program headers overlap: {40 * len(elf)} bytes of data in {len(elf)} bytes of file; "
    with pytest.raises(UsageError, match=f"^{words}at most 16 times the file are hashed$"):
        sign([elf], key(), names=["fw"])
    made = bytearray(sign([many_headers(40) + bytes(len(elf) - len(many_headers(40)))], key()))
    made[-len(elf) - (-len(elf) % 8) :] = elf + bytes(-len(elf) % 8)
    with pytest.raises(UsageError, match=r"^fw: the program headers overlap: "):
        inspect(bytes(made), "fw")


def test_a_range_beyond_the_512th_is_still_what_it_is():
    """Every header and every segment has its own range, however many there are."""
    elf = Elf([Segment(BASE + 16 * i, b"data", 4) for i in range(600)]).build()
    rows = inspect(sign([elf], key()), "fw")["ranges"]
    assert sum(row["what"].startswith("elf0: data of segment") for row in rows) == 600
    assert sum(row["what"].startswith("elf0: program header") for row in rows) == 600


def test_warnings_of_one_kind_are_cut():
    """Twenty lines and the number of the rest."""
    elf = Elf([Segment(0x1000 + 16 * i, b"data", 4) for i in range(30)]).build()
    lines = warnings([elf], ["fw"], key().public_key(), SigningTarget([LoadableMemory("ram", BASE, 16)]))
    assert lines[19].startswith("fw: segment 0x1130..0x1134 is outside the core's memory")
    assert lines[20] == "and 10 more of these"


@pytest.mark.parametrize("at", [32, 48, 50])
def test_section_headers_that_do_not_fit_are_none(at):
    """e_shoff, e_shnum, e_shstrndx that lead outside: the warning of an ELF without sections."""
    elf = bytearray(firmware())
    elf[at : at + 2] = b"\xff\xff"
    assert warnings([bytes(elf)], ["fw"], key().public_key())[0].startswith(
        "fw: no section headers: the loader"
    )


def test_a_program_header_beyond_the_file_is_not_stripped():
    """Its end and the file's are named."""
    elf = bytearray(firmware())
    elf[52 + 16 : 52 + 20] = b"\xff\xff\xff\xff"
    words = r"^fw: a program header takes data up to 0x100000073, the file ends at 0x210$"
    with pytest.raises(UsageError, match=words):
        strip(bytes(elf), "fw")
