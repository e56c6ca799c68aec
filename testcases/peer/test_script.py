# SPDX-License-Identifier: MIT
"""The signer against OP-TEE's own scripts/sign_rproc_fw.py, and the twin on what that script signs."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.image.fields import fields, images_at, signature_at
from mpbench.image.sign import sign
from mpbench.twin.loader import load
from mpbench.twin.profile import load_profile
from testcases.peer.elves import Elf, Segment
from testcases.unit.image_rig import BASE, board, ec_key, firmware, key, write_key

OTHER = Elf([Segment(BASE + 0x1000, b"odd length!", 64)]).build() + b"x"


def script(optee: Path, folder: Path, *options: str) -> bytes:
    """What OP-TEE's script makes of these options."""
    out = folder / "script.bin"
    command = [sys.executable, str(optee / "scripts" / "sign_rproc_fw.py"), *options, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return out.read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Two ELF files, key information and the tests' keys."""
    (tmp_path / "fw.elf").write_bytes(firmware())
    (tmp_path / "app.elf").write_bytes(OTHER)
    (tmp_path / "info").write_bytes(b"slot 3")
    write_key(tmp_path / "k.pem", key())
    write_key(tmp_path / "ec.pem", ec_key())
    return tmp_path


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_images_are_byte_for_byte_those_of_the_script(optee, desk, bits):
    """Three key sizes, one ELF."""
    private = rsa.generate_private_key(65537, bits)
    write_key(desk / "this.pem", private)
    assert sign([firmware()], private) == script(optee, desk, "--in", "fw.elf", "--key", "this.pem")


def test_several_elf_files_key_information_and_platform_records_are_the_scripts(optee, desk):
    """Two ELF files (one of odd length), PKEYINFO, a number and a text as platform records."""
    options = ["--in", "fw.elf", "--in", "app.elf", "--key", "k.pem", "--key_info", "info"]
    options += ["--plat-tlv", "0x10001", "0x80100000", "--plat-tlv", "0x10005", "text"]
    records = {0x10001: b"\x00\x00\x10\x80", 0x10005: b"text"}
    ours = sign([firmware(), OTHER], key(), key_info=b"slot 3", plat_tlvs=records)
    assert ours == script(optee, desk, *options)


def test_an_ecdsa_image_differs_from_the_scripts_in_the_signature_only(optee, desk):
    """ECDSA signatures are random; all the rest is the same."""
    theirs = script(optee, desk, "--in", "fw.elf", "--key", "ec.pem", "--key_type", "ECC")
    ours = sign([firmware()], ec_key())
    assert ours[: signature_at(ours)] == theirs[: signature_at(theirs)]
    assert ours[images_at(ours) :] == theirs[images_at(theirs) :]
    assert fields(ours).keys() == fields(theirs).keys()


def test_the_twin_accepts_what_the_script_signs(optee, desk):
    """With the right key; with another it is the signature."""
    theirs = script(optee, desk, "--in", "fw.elf", "--key", "k.pem")
    assert load(theirs, board(), "m33").accepted
    other = load_profile("virtual-mp25", rsa.generate_private_key(65537, 2048).public_key())
    assert load(theirs, other, "m33").reason.name == "signature-invalid"


def test_an_encrypted_key_signs_like_the_script_with_the_same_pass_phrase(optee, desk):
    """The key decides, not how it is stored."""
    write_key(desk / "enc.pem", key(), b"open sesame")
    theirs = script(optee, desk, "--in", "fw.elf", "--key", "enc.pem", "--key_pwd", "open sesame")
    assert theirs == sign([firmware()], key())
