# SPDX-License-Identifier: MIT
"""Warnings of `sign` that come from a profile: rights of memory, BOOTADDR, keys."""

import struct
from pathlib import Path

import pytest

from mpbench import layout
from mpbench.commands.main import main
from mpbench.commands.signing import signing_target
from mpbench.image import advice, keys
from mpbench.image.sign import sign
from mpbench.image.signing_target import SigningTarget
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.tables import devmem
from testcases.unit.image_rig import ec_key, key, write_key
from testcases.unit.test_image_tables import table, trace, vdev

DK = "st-4.0-r2-mp257f-dk"
BOOT, IPC, DATA = 0x80100000, 0x81200000, 0x80A00000
WORDS = (DATA + 0x1000).to_bytes(4, "little") + (BOOT + 9).to_bytes(4, "little")
CLOSED = "closed to Linux by the firewall (profile st-4.0-r2-mp257f-dk)"


def firmware(content: bytes, table_da: int = IPC, *more: Segment) -> bytes:
    """Vectors at BOOT and a resource table; its `content` is loaded."""
    segments = [Segment(BOOT, WORDS + bytes(56), 64), Segment(table_da, content, len(content)), *more]
    return Elf(segments, content, table_da).build()


def warn(elf: bytes, profile: str = DK, public: keys.PublicKey | None = None, /, **records: int) -> list[str]:
    """Warnings about an image for the first core of a profile; records: platform TLVs."""
    plat = {int(layout.Tlv[name]): value.to_bytes(4, "little") for name, value in records.items()}
    target: SigningTarget = signing_target(profile, None)
    return advice.warnings([elf], ["fw"], public or key().public_key(), target, plat)


@pytest.mark.parametrize("profile", ["st-3.19-mp257f-dk", "st-4.0-r1-mp257f-ev1", DK])
def test_firmware_as_st_links_it_needs_no_warning(profile: str):
    """Code in cm33_cube_fw, stack in cm33_cube_data, table and trace buffer in ipc_shmem, BOOTADDR."""
    assert warn(firmware(table(trace(IPC + 0x1000))), profile, BOOTADDR=BOOT) == []


@pytest.mark.parametrize(
    ("elf", "words"),
    [
        (firmware(resource_table(), DATA), f"fw: .resource_table 0x80a00000 is in cm33_cube_data, {CLOSED}"),
        (
            firmware(table(trace(DATA))),
            f"trace buffer 'log' 0x80a00000..0x80a00100 is in cm33_cube_data, {CLOSED}",
        ),
        (
            firmware(table(vdev((DATA, 16, 8, 1, 0)))),
            f"vring 0 0x80a00000..0x80a000e6 is in cm33_cube_data, {CLOSED}",
        ),
        (
            firmware(table(trace(IPC + 0x1000)), IPC, Segment(0x80000000, b"code", 4)),
            "segment 0x80000000 is in tfm_code, for secure code of the core only",
        ),
    ],
    ids=["table", "trace", "vring", "secure"],
)
def test_memory_that_linux_may_not_read_is_warned_of(elf: bytes, words: str):
    """The line names the memory, the profile and what the board shows."""
    (line,) = warn(elf, BOOTADDR=BOOT)
    assert words in line
    assert "IAC exception ID" in line or "BOOTSEC=1" in line


def test_secure_firmware_may_use_secure_memory():
    """With BOOTSEC there is nothing to warn of; and on a board without a firewall all is open."""
    elf = firmware(table(trace(IPC + 0x1000)), IPC, Segment(0x80000000, b"code", 4))
    assert warn(elf, BOOTADDR=BOOT, BOOTSEC=1) == []
    m4 = Elf([Segment(0, b"\0\0\x04\x10\x09\0\0\0" + bytes(56), 64)], table(trace(0x10040000)), 0x10).build()
    (line,) = warn(m4, "st-4.0-r1-mp157f-dk2")
    assert ".resource_table 0x10 is in retram, closed to Linux" in line
    assert warn(m4, "st-3.19-mp157f-dk2") == warn(m4, "st-linux-mp157f-dk2") == []


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (
            {},
            "no BOOTADDR: OP-TEE of profile st-4.0-r2-mp257f-dk loads the image and refuses to start it",
        ),
        ({"BOOTADDR": BOOT + 0x1000}, "BOOTADDR 0x80101000 is in no segment of the file"),
        (
            {"BOOTADDR": BOOT + 4},
            "BOOTADDR 0x80100004 is no multiple of 128: the core takes its vectors at 0x80100000",
        ),
        (
            {"BOOTADDR": 0x90000000},
            "BOOTADDR 0x90000000 is outside the core's memory: OP-TEE prints `Invalid boot",
        ),
    ],
)
def test_a_boot_address_is_compared_with_image_and_profile(records: dict[str, int], words: str):
    """None, one without vectors, one that the register cuts, one that OP-TEE refuses."""
    assert words in "\n".join(warn(firmware(table(trace(IPC + 0x1000))), **records))


def test_vectors_of_an_m4_are_looked_at_where_it_has_them():
    """Address 0, without a BOOTADDR."""
    elf = Elf([Segment(0x10000000, b"code", 4)], resource_table(), 0x10040000).build()
    lines = warn(elf, "optee-4.10-mp15")
    assert (
        "fw: 0x0 is in no segment of the file: the core takes its vectors there, and locks up at once"
        in lines
    )


def test_both_published_keys_are_named(monkeypatch: pytest.MonkeyPatch):
    """By the fingerprint of the public half; a key of one's own has no name."""
    own = key().public_key()
    assert sorted(layout.PUBLISHED_KEYS.values()) == ["OP-TEE's public default key", "ST's published key"]
    assert keys.published_as(own) == ""
    st = next(print_ for print_, name in layout.PUBLISHED_KEYS.items() if name.startswith("ST"))
    monkeypatch.setattr(keys, "fingerprint", lambda _key: st)
    assert warn(firmware(table(trace(IPC + 0x1000))), BOOTADDR=BOOT) == [
        "this is ST's published key: anybody can sign firmware for a board that accepts it"
    ]


def test_an_ecdsa_key_does_not_fit_the_profile():
    """Its OP-TEE verifies RSA only."""
    (line,) = warn(firmware(table(trace(IPC + 0x1000))), DK, ec_key().public_key(), BOOTADDR=BOOT)
    assert line.startswith("an ECDSA key: OP-TEE of profile st-4.0-r2-mp257f-dk verifies RSA only")


def test_an_ecdsa_key_fits_an_op_tee_that_takes_its_key_from_the_image(tmp_path: Path):
    """ST's OP-TEE 4.0 r2 with CFG_REMOTEPROC_PUB_KEY_VERIFY."""
    path = tmp_path / "own.yaml"
    path.write_text(f"derives: {DK}\nname: own\nkey_in_image: true\n")
    elf = firmware(table(trace(IPC + 0x1000)))
    assert warn(elf, str(path), ec_key().public_key(), BOOTADDR=BOOT) == []


def test_strict_writes_nothing_for_a_table_that_linux_may_not_read(tmp_path, monkeypatch, capsys):
    """Exit code 2, one line with the first warning and how many there are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fw.elf").write_bytes(firmware(resource_table(), DATA))
    write_key(tmp_path / "k.pem", key())
    words = ["sign", "fw.elf", "--key", "k.pem", "-o", "o", "--profile", DK]
    assert main([*words, "--strict"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mpbench: error: fw.elf: .resource_table 0x80a00000 is in cm33_cube_data, closed")
    assert error.endswith("(--strict: 2 in all, nothing was written)\n")
    assert not (tmp_path / "o").exists()
    assert main(words) == 0
    assert capsys.readouterr().err.count("mpbench: warning: ") == 2


def test_vectors_that_are_linked_elsewhere_than_loaded_are_warned_of():
    """The reset vector names an address at which nothing is loaded."""
    elf = bytearray(firmware(table(trace(IPC + 0x1000))))
    struct.pack_into("<I", elf, layout.EHDR.size + 8, BOOT + 0x10000)  # p_vaddr of the first segment
    words = (DATA + 0x1000).to_bytes(4, "little") + (BOOT + 0x10009).to_bytes(4, "little")
    moved = bytes(elf).replace(WORDS, words)
    (line,) = warn(moved, BOOTADDR=BOOT)
    assert "reset vector 0x80110009 at BOOTADDR is in a segment linked at 0x80110000 and loaded" in line


def test_the_boards_refusal_is_said_by_the_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With code and console line; --strict writes nothing; of a good image nothing is said."""
    write_key(tmp_path / "key.pem", key())
    for name, more in (("good", ()), ("outside", (Segment(0x90000000, b"code", 4),))):
        (tmp_path / f"{name}.elf").write_bytes(firmware(table(trace(IPC + 0x1000)), IPC, *more))
        arguments = ["--key", tmp_path / "key.pem", "--profile", DK, "--core", "m33", "-o", tmp_path / name]
        command = ["sign", tmp_path / f"{name}.elf", *arguments, "--plat-tlv", f"BOOTADDR={BOOT:#x}"]
        assert main([str(word) for word in command]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert not any("good.elf" in line for line in lines)
    assert f"profile {DK} refuses this image: " in lines[-1]
    assert "TEE_ERROR_GENERIC (0xffff0000), `Can't map region 0x90000000" in lines[-1]
    (tmp_path / "outside").unlink()
    assert main([str(word) for word in (*command, "--strict")]) == 2
    assert not (tmp_path / "outside").exists()


def test_an_image_for_a_core_that_linux_manages_is_warned_of():
    """Linux' loader takes the ELF."""
    target = signing_target("st-linux-mp157f-dk2", "m4")
    (line,) = target.answer(b"image")
    assert "takes no signed image (`Image is corrupted (bad magic)`)" in line


def test_what_linux_refuses_of_a_table_is_said_by_the_twin():
    """A devmem entry, for which the core has no IOMMU: the TEE loads the image, Linux does not start it."""
    elf = firmware(table(devmem(0x48000000, 0x48000000, 0x1000)))
    made = sign([elf], key(), plat_tlvs={int(layout.Tlv.BOOTADDR): BOOT.to_bytes(4, "little")})
    (line,) = signing_target(DK, None).answer(made)
    assert f"profile {DK}: Linux refuses the resource table and does not start the core (EINVAL)" in line
    assert "`Failed to process resources: -22`; a devmem entry is refused" in line
