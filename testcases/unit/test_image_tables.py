# SPDX-License-Identifier: MIT
"""Resource tables, ELF files, core dumps under `inspect`; warnings of `sign`; detached signing."""

import hashlib
import json
import os
import struct

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from mpbench.commands.main import main
from mpbench.image import advice
from mpbench.image.keys import made_by
from mpbench.image.resource_table import as_text, entries
from mpbench.image.signing_target import LoadableMemory, SigningTarget
from testcases.peer.elves import Elf, Segment
from testcases.unit.image_rig import BASE, TABLE_DA, ec_key, firmware, image, key, write_key, write_public

TARGET = SigningTarget(
    [LoadableMemory("firmware", BASE, 0x1000), LoadableMemory("ipc", 0x81200000, 0x10000)],
)


def table(*rows: bytes) -> bytes:
    """A resource table with these entries."""
    head = struct.pack("<4I", 1, len(rows), 0, 0)
    at, offsets, body = len(head) + 4 * len(rows), [], b""
    for row in rows:
        offsets.append(at + len(body))
        body += row
    return head + struct.pack(f"<{len(rows)}I", *offsets) + body


def trace(da: int = 0x81200000, reserved: int = 0) -> bytes:
    return struct.pack("<4I32s", 2, da, 0x100, reserved, b"log")


def vdev(*rings: tuple[int, ...], count: int | None = None, ident: int = 7) -> bytes:
    number = len(rings) if count is None else count
    head = struct.pack("<6IBB2s", 3, ident, 0, 1, 0, 0, 0, number, b"\0\0")
    return head + b"".join(struct.pack("<5I", *ring) for ring in rings)


def carveout() -> bytes:
    return struct.pack("<6I32s", 0, 0x81000000, 0x81000000, 0x2000, 1, 0, b"shared")


def elf_with(content: bytes, vectors: bytes = b"code" * 20, memsz: int = 0x60) -> bytes:
    segments = [Segment(BASE, vectors, memsz), Segment(TABLE_DA, content, len(content))]
    return Elf(segments, content, TABLE_DA).build()


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        (trace(), ["trace 'log' at 0x81200000, 0x100 bytes"]),
        (trace(reserved=1), ["trace 'log' at 0x81200000, 0x100 bytes; its reserved bytes are not zero"]),
        (carveout(), ["carveout 'shared' da 0x81000000, pa 0x81000000, 0x2000 bytes, flags 0x1"]),
        (
            vdev((0xFFFFFFFF, 16, 8, 1, 0), (0x81204000, 16, 8, 2, 0)),
            [
                "vdev id 7 (RPMsg), notifyid 0, features 0x1, config 0 bytes",
                "  vring 0: da chosen by Linux, 8 buffers, align 16, notifyid 1",
                "  vring 1: da 0x81204000, 8 buffers, align 16, notifyid 2",
            ],
        ),
        (
            vdev((0x81204000, 16, 8, 1, 0), count=9),
            [
                "vdev id 7 (RPMsg), notifyid 0, features 0x1, config 0 bytes; "
                "has 9 vrings; the table ends after 1",
                "  vring 0: da 0x81204000, 8 buffers, align 16, notifyid 1",
            ],
        ),
        (struct.pack("<2I", 128, 1), ["vendor number 128"]),
        (struct.pack("<2I", 77, 1), ["unknown number 77"]),
        (struct.pack("<2I", 2, 1), ["trace number 2; its 44 bytes end after the table's end, 28"]),
    ],
)
def test_an_entry_is_shown_with_its_own_fields(row, lines):
    """Each kind of entry by its structure; what cannot be read says why."""
    (entry,) = entries(table(row))
    assert as_text(entry) == lines
    assert json.loads(json.dumps(entry)) == entry


def test_an_entry_outside_the_table_is_said():
    """An offset at or after the end, and a table without room for its offsets."""
    (entry,) = entries(struct.pack("<5I", 1, 1, 0, 0, 400))
    assert as_text(entry) == ["unknown; starts at or after the table's end, 20"]
    assert entries(struct.pack("<4I", 1, 0xFFFFFFFF, 0, 0)) == []
    assert entries(b"short") == []


@pytest.mark.parametrize(
    ("elf", "words"),
    [
        (elf_with(bytes(64)), "fw: .resource_table is zeros"),
        (elf_with(table(trace(reserved=1))), "the trace entry its reserved bytes are not zero"),
        (elf_with(table(trace(0x1000))), "trace buffer 'log' 0x1000..0x1100 is outside the core's memory"),
        (elf_with(table(vdev((0x1000, 16, 8, 1, 0)))), "vring 0 0x1000..0x10e6 is outside"),
        (elf_with(table(trace()), memsz=0x200), "segments 0x80100000..0x80100200 and 0x80100100"),
    ],
)
def test_sign_warns_of_what_the_board_would_run_into(elf, words):
    """One warning, which says what the board would show."""
    (line,) = advice.warnings([elf], ["fw"], key().public_key(), TARGET)
    assert words in line


def test_a_vring_that_linux_places_needs_no_warning():
    """An address of all ones."""
    sound = elf_with(table(trace(), vdev((0xFFFFFFFF, 16, 8, 1, 0), (0x81204000, 16, 8, 2, 0))))
    assert advice.warnings([sound], ["fw"], key().public_key(), TARGET) == []


def test_a_table_that_is_linked_elsewhere_than_it_is_loaded():
    """VMA and LMA differ: Linux reads where it is linked."""
    elf = bytearray(firmware())
    at = 52 + 32
    head = list(struct.unpack_from("<8I", elf, at))
    head[3] = BASE + 0x800
    struct.pack_into("<8I", elf, at, *head)
    lines = advice.warnings([bytes(elf)], ["fw"], key().public_key(), TARGET)
    assert ".resource_table is linked at 0x80100100 and loaded at 0x80100800" in lines[0]


@pytest.mark.parametrize(
    ("vectors", "boot", "words"),
    [
        (struct.pack("<2I", BASE + 0x1000, BASE + 9), BASE, None),
        (struct.pack("<2I", BASE + 0x1000, BASE + 9), 0x80000000, "BOOTADDR 0x80000000 is in no segment"),
        (struct.pack("<2I", 0x20000000, BASE + 9), BASE, "initial stack pointer 0x20000000 at BOOTADDR"),
        (
            struct.pack("<2I", BASE + 0x1000, BASE + 8),
            BASE,
            "reset vector 0x80100008 at BOOTADDR is no Thumb",
        ),
        (struct.pack("<2I", BASE + 0x1000, 0x91), BASE, "reset vector 0x91 at BOOTADDR is in no segment"),
    ],
)
def test_the_vectors_at_bootaddr_are_looked_at(vectors, boot, words):
    """Stack pointer and reset vector, where a BOOTADDR says that the core takes them."""
    elf = elf_with(table(trace()), vectors + bytes(16))
    tlvs = {0x10001: boot.to_bytes(4, "little")}
    lines = advice.warnings([elf], ["fw"], key().public_key(), TARGET, tlvs)
    assert [words in line for line in lines] == [True] * (words is not None)


def test_an_ecdsa_key_is_warned_of():
    """Upstream's OP-TEE takes RSA only."""
    (line,) = advice.warnings([firmware()], ["fw"], ec_key().public_key(), TARGET)
    assert "verifies RSA only on STM32MP and answers 0xffff000a" in line


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A directory with firmware, keys and an image."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fw.elf").write_bytes(firmware())
    (tmp_path / "fw.bin").write_bytes(image())
    write_key(tmp_path / "k.pem", key())
    write_public(tmp_path / "p.pem", key())
    write_public(tmp_path / "e.pem", ec_key())
    return tmp_path


def test_strict_makes_a_warning_an_error(desk, capsys):
    """Exit code 2, and nothing is written."""
    (desk / "zero.elf").write_bytes(elf_with(bytes(64)))
    assert main(["sign", "--key", "k.pem", "--strict", "-o", "out.bin", "zero.elf"]) == 2
    assert "zero.elf: .resource_table is zeros" in capsys.readouterr().err
    assert not (desk / "out.bin").exists()
    assert main(["sign", "--key", "k.pem", "--strict", "-o", "out.bin", "fw.elf"]) == 0


def test_an_rsa_signature_made_elsewhere_gives_the_same_image(desk, capsys):
    """The digest goes out, the signature comes back: the image is that of the key's file."""
    assert main(["sign", "--key", "p.pem", "--digest-out", "digest", "fw.elf"]) == 0
    assert capsys.readouterr().out == "digest: 32 bytes\n"
    digest = (desk / "digest").read_bytes()
    made = key().sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    (desk / "signature").write_bytes(made)
    assert main(["sign", "--key", "p.pem", "--signature-in", "signature", "-o", "out.bin", "fw.elf"]) == 0
    assert (desk / "out.bin").read_bytes() == image()


@pytest.mark.parametrize("form", ["der", "raw"])
def test_an_ecdsa_signature_made_elsewhere_is_taken_as_der_or_raw(desk, form):
    """As OpenSSL writes it, or r and s."""
    assert main(["sign", "--key", "e.pem", "--digest-out", "digest", "fw.elf"]) == 0
    der = ec_key().sign((desk / "digest").read_bytes(), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    r, s = utils.decode_dss_signature(der)
    (desk / "signature").write_bytes(der if form == "der" else r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    assert main(["sign", "--key", "e.pem", "--signature-in", "signature", "-o", "out.bin", "fw.elf"]) == 0
    out = (desk / "out.bin").read_bytes()
    length = int.from_bytes(out[8:12], "little")
    end = 20 + -(-length // 8) * 8
    assert hashlib.sha256(out[:end]).digest() == (desk / "digest").read_bytes()
    assert made_by(ec_key().public_key(), out[:end], out[end : end + 64])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key", "p.pem", "--signature-in", "p.pem", "-o", "o"], "p.pem: a signature of"),
        (["--key", "p.pem", "--signature-in", "zeros", "-o", "o"], "zeros: not this key's signature"),
        (["--key", "e.pem", "--signature-in", "p.pem", "-o", "o"], "p.pem: neither r and s of 32 bytes"),
        (["--key", "p.pem", "--signature-in", "zeros"], "give the file to write"),
        (["--key", "p.pem", "--digest-out", "d", "-o", "o"], "give the file to write"),
        (["--key", "p.pem", "--digest-out", "fw.elf"], "fw.elf"),
        (["--key", "p.pem", "--signature-in", "zeros", "-o", "zeros"], "zeros"),
        (["--key", "p.pem", "-o", "o"], "no private key"),
    ],
)
def test_a_wrong_detached_signature_is_one_line(desk, capsys, arguments, words):
    """Exit code 2; nothing is written, no input is changed."""
    (desk / "zeros").write_bytes(bytes(256))
    assert main(["sign", *arguments, "fw.elf"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not {"o", "d"} & {p.name for p in desk.iterdir()}
    assert (desk / "fw.elf").read_bytes() == firmware()
    assert (desk / "zeros").read_bytes() == bytes(256)


@pytest.mark.usefixtures("desk")
def test_inspect_shows_an_unsigned_elf(capsys):
    """Its kind, segments and resource table."""
    assert main(["inspect", "fw.elf"]) == 0
    out = capsys.readouterr().out
    assert "unsigned firmware, 32 bits, EM_ARM, entry 0x80100000" in out
    assert "PT_LOAD at 0x80100000, 0x50 bytes of 0x60" in out
    assert "resource table at 0x80100100" in out


def test_inspect_shows_a_core_dump(desk, capsys):
    """An ELF of type ET_CORE without sections, as the kernel writes it; one that was cut says so."""
    dump = bytearray(Elf([Segment(BASE, b"memory", 6)], sections=False).build())
    dump[16:18] = (4).to_bytes(2, "little")
    (desk / "dump").write_bytes(dump)
    assert main(["inspect", "dump", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["machine"], report["resource_table"]) == ("core dump", "EM_ARM", None)
    assert [row["complete"] for row in report["segments"]] == [True]
    (desk / "dump").write_bytes(dump[:-1])
    assert main(["inspect", "dump"]) == 0
    assert "PT_LOAD at 0x80100000" in (out := capsys.readouterr().out)
    assert "ENDS AFTER THE FILE'S END" in out


@pytest.mark.usefixtures("desk")
def test_inspect_shows_what_differs_between_two_files(capsys):
    """Only what differs, as text and as JSON; a file against itself has no difference."""
    assert main(["inspect", "fw.bin", "--against", "fw.bin"]) == 0
    assert "0 values differ" in capsys.readouterr().out
    assert main(["sign", "--key", "k.pem", "--plat-tlv", "BOOTADDR=0x80100000", "-o", "b.bin", "fw.elf"]) == 0
    capsys.readouterr()
    assert main(["inspect", "b.bin", "--against", "fw.bin"]) == 0
    out = capsys.readouterr().out
    assert "  header.tlv_length: " in out or "tlv" in out
    assert "images[0].segments" not in out
    assert main(["inspect", "b.bin", "--against", "fw.bin", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"path": "file", "against": "fw.bin", "image": "b.bin"} in rows
    assert any(row["against"] == "absent" for row in rows)


def test_two_files_are_read_once_each(desk, capsys):
    """A shell's `<(zcat fw.bin.gz)` is a pipe: what was read is gone."""
    pipe, end = os.pipe()
    with open(pipe, "rb"), open(end, "wb") as feed:
        feed.write((desk / "fw.bin").read_bytes())
        feed.close()
        assert main(["inspect", "fw.elf", "--against", f"/dev/fd/{pipe}"]) == 0
    change = f"/dev/fd/{pipe} -> fw.elf"
    assert capsys.readouterr().out == f"{change}: 1 value differs\n  file: {change}\n"


@pytest.mark.usefixtures("desk")
def test_a_tlv_more_is_one_difference(capsys):
    """What comes after it moves, and has not changed; it is named, wherever it stands among the others."""
    assert main(["sign", "--key", "k.pem", "--plat-tlv", "BOOTADDR=0x80100000", "-o", "b.bin", "fw.elf"]) == 0
    assert main(["inspect", "b.bin", "--against", "fw.bin", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert [row["path"] for row in rows] == ["file", "size", "sha256", "header.tlv_len", "tlvs[BOOTADDR]"]
    assert (rows[-1]["against"], rows[-1]["image"]["number"]) == ("absent", 0x80100000)
    assert main(["inspect", "b.bin", "--against", "fw.bin"]) == 0
    assert "  tlvs[BOOTADDR]: absent -> type 0x10001, name BOOTADDR" in capsys.readouterr().out


def test_a_damaged_elf_is_one_line(desk, capsys):
    """Cut short inside its headers."""
    (desk / "cut.elf").write_bytes(firmware()[:60])
    assert main(["inspect", "cut.elf"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("desk")
def test_an_elf_is_compared_with_the_elf_in_a_signed_image(capsys):
    """The same file in it differs in its name only, either way round; another one in what it has."""
    for one, other in (("fw.elf", "fw.bin"), ("fw.bin", "fw.elf")):
        assert main(["inspect", one, "--against", other, "--json"]) == 0
        assert [row["path"] for row in json.loads(capsys.readouterr().out)] == ["file"]


def test_an_elf_is_compared_with_the_only_elf_of_an_image(desk, capsys):
    """One that has changed since."""
    (desk / "new.elf").write_bytes(Elf([Segment(BASE, b"new", 3)], None).build())
    assert main(["inspect", "new.elf", "--against", "fw.bin", "--json"]) == 0
    paths = [row["path"] for row in json.loads(capsys.readouterr().out)]
    assert any(path.startswith("segments[") for path in paths)
    assert not any(path.startswith(("tlvs", "images")) for path in paths)
