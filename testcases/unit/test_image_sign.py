# SPDX-License-Identifier: MIT
"""Signed images: layout, keys, errors, warnings, stripping, files."""

import getpass
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.core.secrets import forget, redact
from mpbench.image import advice, files
from mpbench.image.default_key import default_key
from mpbench.image.fields import fields
from mpbench.image.keys import (
    PassphraseNeeded,
    check_kind,
    fingerprint,
    load_private_key,
    load_public_key,
    made_by,
    published_as,
)
from mpbench.image.sign import sign
from mpbench.image.signing_target import LoadableMemory, SigningTarget
from mpbench.image.strip import strip
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.unit.image_rig import BASE, ec_key, firmware, image, key, write_key, write_public


def test_the_parts_of_an_image_follow_each_other_padded():
    """Header, TLVs, signature and ELF add up to the file, and the signature fits header and TLVs."""
    magic, version, tlv_len, sign_len, img_len = layout.HEADER.unpack_from(image())
    assert (magic, version, sign_len) == (layout.HEADER_MAGIC, 1, 256)
    assert len(image()) == 20 + tlv_len + sign_len + img_len
    assert made_by(key().public_key(), image()[: 20 + tlv_len], image()[20 + tlv_len :][:sign_len])


def test_the_records_come_in_the_order_of_op_tees_script():
    """SIGNTYPE, NUM_IMG, IMGTYPE, IMGSIZE, HASHTYPE, HASHTABLE, then key information and platform records."""
    signed = sign([firmware()], key(), key_info=b"which key", plat_tlvs={0x10001: b"abc"})
    names = [n.split(".")[1] for n in fields(signed) if n.startswith("tlv.") and n.endswith(".type")]
    order = ["SIGNTYPE", "NUM_IMG", "IMGTYPE", "IMGSIZE", "HASHTYPE", "HASHTABLE", "PKEYINFO", "BOOTADDR"]
    assert names == order


def test_two_elf_files_share_one_hash_table():
    """Sizes and types are listed per file, hash entries one after the other."""
    signed = sign([firmware(), firmware()], key())
    found = fields(signed)
    assert found["tlv.NUM_IMG.value"].number(signed) == 2
    assert found["tlv.IMGSIZE.value"].size == 8
    assert found["tlv.HASHTABLE.value"].size == 4 * layout.HASH_ENTRY.size
    assert "elf1.e_ident" in found


def test_an_ecdsa_signature_is_raw_r_and_s():
    """SIGNTYPE 2, 64 bytes, and it verifies."""
    signed = sign([firmware()], ec_key())
    found = fields(signed)
    where = found["signature"]
    assert (found["tlv.SIGNTYPE.value"].number(signed), where.size) == (2, 64)
    assert made_by(ec_key().public_key(), signed[: where.at], signed[where.at : where.end])
    assert not made_by(ec_key().public_key(), signed[: where.at - 1], signed[where.at : where.end])


@pytest.mark.parametrize(
    ("elf", "complaint"),
    [
        (b"nothing", "fw: offset 0: "),
        (b"\x7fELF\x02" + firmware()[5:], "64-bit ELF"),
        (firmware()[:18] + b"\x03" + firmware()[19:], "offset 0x12: machine EM_386; EM_ARM is needed"),
        (Elf([]).build(), "offset 0x2c: no program headers"),
        (firmware()[:42] + b"\x38" + firmware()[43:], "program headers of 56 bytes do not fit"),
        (
            firmware()[:56] + b"\xff\xff\xff\x00" + firmware()[60:],
            "program header 0 takes 80 bytes at offset 0xffffff",
        ),
    ],
)
def test_an_elf_the_loader_would_not_take_is_refused_with_file_and_offset(elf, complaint):
    """The error names the file, the offset and what would be right."""
    with pytest.raises(UsageError, match=r"fw: offset|fw: program") as error:
        sign([elf], key(), names=["fw"])
    assert complaint in str(error.value)


def test_no_elf_and_too_many_are_refused():
    """NUM_IMG is one byte and 0 is refused by the loader."""
    for elfs in ([], [firmware()] * 256):
        with pytest.raises(UsageError, match="1 to 255"):
            sign(elfs, key())


def test_a_platform_record_outside_its_range_is_refused():
    """0x10000 to 0x1ffff are the platform's."""
    with pytest.raises(UsageError, match=r"platform TLV 0x20000 is outside 0x10000 to 0x1ffff"):
        sign([firmware()], key(), plat_tlvs={0x20000: b""})


# ---------------------------------------------------------------------------------------------- keys


def test_a_key_that_others_can_read_is_refused(tmp_path):
    """A signing key with mode 0640 is no secret; the error says what to do."""
    path = write_key(tmp_path / "k.pem", key())
    path.chmod(0o640)
    with pytest.raises(UsageError, match=r"mode 0640 lets others read it; run `chmod 600"):
        load_private_key(path)


def test_an_encrypted_key_wants_its_pass_phrase(tmp_path):
    """Without one, with a wrong one, and with one for a key that has none: three different errors."""
    path = write_key(tmp_path / "k.pem", key(), b"open sesame")
    assert fingerprint(load_private_key(path, b"open sesame").public_key()) == fingerprint(key().public_key())
    with pytest.raises(PassphraseNeeded, match="encrypted"):
        load_private_key(path)
    with pytest.raises(UsageError, match="wrong pass phrase"):
        load_private_key(path, b"wrong")
    with pytest.raises(UsageError, match="is not encrypted"):
        load_private_key(write_key(tmp_path / "p.pem", key()), b"x")


def test_files_that_hold_no_key_are_refused(tmp_path):
    """Missing, unreadable as a file, and not PEM."""
    with pytest.raises(UsageError, match="No such file"):
        load_private_key(tmp_path / "none.pem")
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    rubbish.chmod(0o600)
    with pytest.raises(UsageError, match="no private key in PEM form"):
        load_private_key(rubbish)
    with pytest.raises(UsageError, match="no key in PEM form"):
        load_public_key(rubbish)
    with pytest.raises(UsageError, match="Is a directory"):
        load_public_key(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "RSA key of 1024 bits; 2048 to 4096"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "secp384r1; only P-256"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519PrivateKey; RSA or ECDSA P-256 is needed"),
    ],
)
def test_keys_of_other_kinds_are_refused(wrong, complaint):
    """RSA of 2048 to 4096 bits or ECDSA P-256, nothing else."""
    with pytest.raises(UsageError, match=complaint):
        check_kind(wrong(), "k.pem")


def test_a_public_key_is_read_from_either_half(tmp_path):
    """`--key` takes the public key file, or the private one; other kinds are refused."""
    private, public = write_key(tmp_path / "k.pem", key()), write_public(tmp_path / "p.pem", key())
    assert fingerprint(load_public_key(private)) == fingerprint(load_public_key(public))
    other: Any = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(UsageError, match="RSA or ECDSA"):
        load_public_key(write_public(tmp_path / "ed.pem", other))


def test_op_tees_public_default_key_is_known():
    """The constant and its fingerprint in layout.py belong together."""
    assert published_as(default_key()) == layout.PUBLISHED_KEYS[layout.DEFAULT_KEY_SHA256]
    assert published_as(key().public_key()) == ""


@pytest.mark.parametrize(
    ("file", "variable", "phrase"), [("f", None, b"in a file"), (None, "PHRASE", b"in the air")]
)
def test_a_pass_phrase_comes_from_a_file_or_the_environment(tmp_path, monkeypatch, file, variable, phrase):
    """The first line of the file, or the variable; never the command line."""
    (tmp_path / "f").write_text("in a file\nand more\n")
    (tmp_path / "f").chmod(0o600)
    monkeypatch.setenv("PHRASE", "in the air")
    path = write_key(tmp_path / "k.pem", key(), phrase)
    opened = files.open_key(path, tmp_path / file if file else None, variable)
    assert fingerprint(opened.public_key()) == fingerprint(key().public_key())


def test_a_pass_phrase_is_asked_for_when_nobody_gave_one(tmp_path, monkeypatch):
    """The prompt is the last resort, and only for a key that is encrypted."""
    monkeypatch.setattr(getpass, "getpass", lambda _: "typed")
    path = write_key(tmp_path / "k.pem", key(), b"typed")
    assert fingerprint(files.open_key(path, None, None).public_key()) == fingerprint(key().public_key())


@pytest.mark.parametrize("phrase", [b"very typed phrase", b"caf\xe9 caf\xe9"])
def test_a_pass_phrase_is_a_secret_wherever_it_comes_from(tmp_path, monkeypatch, phrase):
    """Typed, from a variable or a file: nothing prints it from then on, in no form of its bytes."""
    (tmp_path / "phrase").write_bytes(phrase + b"\n")
    (tmp_path / "phrase").chmod(0o600)
    monkeypatch.setitem(os.environ, "PHRASE", os.fsdecode(phrase))
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: os.fsdecode(phrase))
    sources = (
        lambda: files.asked("k.pem"),
        lambda: files.passphrase(tmp_path / "phrase", None),
        lambda: files.passphrase(None, "PHRASE"),
    )
    for source in sources:
        forget()
        assert source() == phrase
        for errors in ("surrogateescape", "backslashreplace", "replace"):
            assert redact(f"is {phrase.decode('utf-8', errors)}!") == "is ***!"
    forget()


@pytest.mark.parametrize("trouble", [EOFError(), getpass.GetPassWarning("no echo control")], ids=str)
def test_without_a_terminal_nobody_is_asked(tmp_path, monkeypatch, trouble):
    """A pass phrase that would be shown, or that cannot be typed: one line names the options."""

    def fail(_prompt: str) -> str:
        raise trouble

    monkeypatch.setattr(getpass, "getpass", fail)
    path = write_key(tmp_path / "k.pem", key(), b"typed")
    with pytest.raises(UsageError, match=r"k\.pem: the key is encrypted, no terminal .* --passphrase-file"):
        files.open_key(path, None, None)


def test_an_empty_or_missing_pass_phrase_is_an_error(tmp_path):
    """An empty file and an unset variable are named."""
    (tmp_path / "empty").touch(mode=0o600)
    with pytest.raises(UsageError, match="no pass phrase in it"):
        files.passphrase(tmp_path / "empty", None)
    (tmp_path / "open").write_text("phrase\n")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(
        UsageError, match=r"pass phrase file .*/open: mode 0644 lets others read it; run `chmod"
    ):
        files.passphrase(tmp_path / "open", None)
    with pytest.raises(UsageError, match="NOT_SET is not set"):
        files.passphrase(None, "NOT_SET")


def test_a_pass_phrase_that_is_no_utf_8_is_taken_as_its_bytes(tmp_path, monkeypatch):
    """From a file, from the environment and from the terminal."""
    phrase = b"caf\xe9"
    path = write_key(tmp_path / "k.pem", key(), phrase)
    (tmp_path / "phrase").write_bytes(phrase + b"\n")
    (tmp_path / "phrase").chmod(0o600)
    monkeypatch.setitem(os.environ, "PHRASE", os.fsdecode(phrase))
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: os.fsdecode(phrase))
    for file, env in ((tmp_path / "phrase", None), (None, "PHRASE"), (None, None)):
        assert files.open_key(path, file, env).public_key() == key().public_key()


# -------------------------------------------------------------------------------------------- advice

TARGET = SigningTarget(
    [LoadableMemory("firmware", BASE, 0x1000), LoadableMemory("ipc", 0x81200000, 0x1000)],
)


def warn(*segments: Segment, table: bytes | None = resource_table(), **kind: Any) -> list[str]:
    """Warnings for one ELF."""
    elf = Elf(segments, table, BASE, **kind).build()
    return advice.warnings([elf], ["fw"], key().public_key(), TARGET)


def test_a_sound_firmware_needs_no_warning():
    """No line for the tests' firmware."""
    assert advice.warnings([firmware()], ["fw"], key().public_key(), TARGET) == []


def test_an_exidx_that_hides_a_load_is_warned_of():
    """The loader compares the PT_LOAD with the first entry at its address."""
    (line,) = warn(Segment(BASE, b"x", 1, layout.PT_ARM_EXIDX), Segment(BASE, b"data", 4))
    assert "fw: a PT_ARM_EXIDX at 0x80100000 precedes the PT_LOAD" in line


def test_two_loads_at_one_address_are_warned_of():
    """The second is compared with the first one's hash."""
    line, overlap = warn(Segment(BASE, b"1", 1), Segment(BASE, b"22", 2))
    assert "a program header of type 0x1" in line
    assert "overlap: the later one in the file wins" in overlap


def test_segments_outside_the_memory_are_warned_of():
    """The line names the segment and the memory there is."""
    line, table = warn(Segment(BASE + 0xFFF, b"12", 2))
    assert "fw: .resource_table 0x80100000 is in no segment: nothing loads it" in table
    assert line == (
        "fw: segment 0x80100fff..0x80101001 is outside the core's memory "
        "(firmware 0x80100000..0x80101000, ipc 0x81200000..0x81201000)"
    )


def test_missing_and_superfluous_resource_tables_are_warned_of():
    """None, two, and no section headers at all."""
    assert "no .resource_table" in warn(Segment(BASE, b"x", 1), table=None)[0]
    two = advice.warnings([firmware()] * 2, ["a", "b"], key().public_key())
    assert two == ["a and b each have a .resource_table: the loader takes only one"]
    assert "fw: no section headers" in warn(Segment(BASE, b"x", 1), sections=False)[0]


def test_many_segments_and_the_default_key_are_warned_of():
    """More than 24 program headers may not fit the TA's heap; the default key is public."""
    many = [Segment(BASE + 4 * i, b"data", 4) for i in range(25)]
    assert "25 program headers" in warn(*many)[0]
    assert "public default key" in advice.warnings([firmware()], ["fw"], default_key(), TARGET)[0]


# --------------------------------------------------------------------------------------------- strip


def test_stripping_keeps_what_is_loaded_and_drops_the_rest():
    """Program headers and data stay at their offsets; the resource table is still found by its name."""
    elf = firmware() + b"symbols" * 100
    stripped = strip(elf, "fw")
    assert len(stripped) < len(elf)
    end = layout.EHDR.size + 2 * layout.PHDR.size
    assert stripped[layout.EHDR.size : end] == elf[layout.EHDR.size : end]
    found = fields(sign([stripped], key()))
    assert "elf0.rsc.ver" in found
    assert "elf0.sh3.sh_name" in found
    assert "elf0.sh4.sh_name" not in found


def test_stripping_an_elf_without_sections_changes_nothing():
    """There is nothing to drop."""
    elf = Elf([Segment(BASE, b"data", 4)], sections=False).build()
    assert strip(elf, "fw") == elf


def test_broken_section_headers_are_refused_by_strip():
    """The error names the file and the offset of the section headers."""
    broken = bytearray(firmware())
    broken[48:50] = b"\xff\xff"
    with pytest.raises(UsageError, match=r"fw: offset 0x[0-9a-f]+: 65535 section headers do not fit"):
        strip(bytes(broken), "fw")
