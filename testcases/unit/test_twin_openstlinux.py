# SPDX-License-Identifier: MIT
"""The twin of ST's loader: every reason, sequences of commands, releases. Peer: test_peer_openstlinux.py."""

import hashlib
from typing import Any

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mpbench import layout
from mpbench.commands.main import main
from mpbench.deployment.predict import expect
from mpbench.image import faults
from mpbench.image.fields import fields
from mpbench.image.sign import sign
from mpbench.layout import TEST_DECRYPTION_KEY, PtaCommand, SignType, StPtaCommand, Tee, Tlv
from mpbench.twin.boot_address import vectors_pa
from mpbench.twin.flip_map import expectations
from mpbench.twin.loader import load
from mpbench.twin.openstlinux_machine import StLoader, loader_of
from mpbench.twin.profile import Profile, load_profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import Outcome, State
from testcases.peer.elves import Draft, Elf, Segment, encryption_table, resource_table
from testcases.peer.st_cases import ecc_key
from testcases.unit.image_rig import ec_key, key, write_key

R2 = load_profile("st-4.0-r2-mp257f-dk").with_verifier(lambda _digest, _signature: True)
R1 = load_profile("st-4.0-r1-mp257f-dk").with_verifier(lambda _digest, _signature: True)
OLD = load_profile("st-3.19-mp257f-dk").with_verifier(lambda _digest, _signature: True)
M4 = load_profile("st-4.0-r2-mp157f-dk2").with_verifier(lambda _digest, _signature: True)
BOOT, IPC, ALIAS, ELSEWHERE = 0x80100000, 0x81200000, 0x10100000, 0x90000000
BOOTADDR = (int(Tlv.BOOTADDR), BOOT.to_bytes(4, "little"))
VECTOR = bytes(range(16))


def elf(da: int = BOOT, data: bytes = b"code" * 16, table_da: int = IPC, memsz: int = 0x60) -> bytes:
    """A firmware with its resource table where Linux may read it."""
    table = resource_table()
    segments = [Segment(da, data, memsz), Segment(table_da, table, len(table))]
    return Elf(segments, table, table_da).build()


def image(*elfs: bytes, extra: Any = (BOOTADDR,), **kind: Any) -> bytes:
    """A signed image for boards that trust every signature."""
    return Draft(list(elfs) or [elf()], extra, **kind).build()


def changed(name: str, value: int, data: bytes | None = None) -> bytes:
    """A sound image (or another) with one field set."""
    image_ = bytearray(data or image())
    faults.put(image_, fields(bytes(image_))[name], value)
    return bytes(image_)


def encrypted(
    key_: bytes = TEST_DECRYPTION_KEY, size: int = 64, kind: int = 2, cipher: bytes = b"\1", cut: int = 0
) -> bytes:
    """One segment of zeros, as AES-256-CBC makes it of them; its table names the vector."""
    encryptor = Cipher(algorithms.AES(key_), modes.CBC(VECTOR)).encryptor()
    data = encryptor.update(bytes(layout.pad8(size) + 8)) if size % 16 else encryptor.update(bytes(size))
    one = Elf([Segment(BOOT, data[:size], size)]).build()
    table = encryption_table(one, VECTOR)
    return image(one, extra=(BOOTADDR, (6, cipher), (0x12, table[: len(table) - cut])), kind=kind)


def verdict(data: bytes, profile: Profile = R2) -> Outcome:
    """LOAD_FW on a core that is off."""
    return load(data, profile, profile.cores[0].id)


def started(data: bytes, profile: Profile = R2) -> Outcome:
    """START_FW after LOAD_FW."""
    loader = loader_of(profile)
    assert loader.load(profile.cores[0].id, data).accepted
    return loader.start(profile.cores[0].id)


def reloaded(data: bytes, before: bytes, profile: Profile = R2) -> Outcome:
    """LOAD_FW after another LOAD_FW."""
    loader = loader_of(profile)
    loader.load("m33", before)
    return loader.load("m33", data)


def keyed(**kind: Any) -> Profile:
    """A board whose key comes in PKEYINFO."""
    return evolve(R2, key_in_image=True, key_hash=hashlib.sha256(ecc_key(1)[27:]).digest(), **kind)


def ecdsa(info: bytes, sign_len: int = 64) -> bytes:
    """An image with SIGNTYPE ECDSA and a key."""
    extra = (BOOTADDR, (int(Tlv.PKEYINFO), info))
    return image(extra=extra, sign_type=SignType.ECDSA_P256_SHA256, sign_len=sign_len)


def two_images() -> bytes:
    """TF-M and an application in one file, with BOOTSEC."""
    second = Elf([Segment(0x80100000, b"data" * 16, 64)]).build()
    records = [(0x10001, (0x80000000).to_bytes(4, "little")), (0x10002, bytes(4))]
    return image(elf(da=0x80000000), second, extra=records)


def stopped_unstarted() -> Outcome:
    """STOP_FW on a core that is loaded."""
    loader = loader_of(R2)
    loader.load("m33", image())
    return loader.stop("m33")


IMAGES = {
    "plain": image,
    "no-boot-address": lambda: image(extra=()),
    "boot-address-outside": lambda: image(extra=[(0x10001, b"\0\0\0\xff")]),
    "boot-address-unmapped": lambda: image(extra=[(0x10001, b"\0\0\0\x90")]),
    "alias": lambda: image(elf(da=ALIAS), extra=[(0x10001, ALIAS.to_bytes(4, "little"))]),
    "segment-unmapped": lambda: image(elf(da=ELSEWHERE)),
    "table-outside": lambda: image(
        Elf([Segment(BOOT, b"code" * 16, 64)], resource_table(), ELSEWHERE).build()
    ),
    "two-images": two_images,
    "encrypted": encrypted,
    "encrypted-length": lambda: encrypted(size=60),
    "ecdsa": lambda: ecdsa(ecc_key(1)),
    "ecdsa-length": lambda: ecdsa(ecc_key(1), sign_len=72),
    "key-not-fused": lambda: ecdsa(ecc_key(2)),
    "key-info-format": lambda: ecdsa(b"1" + ecc_key(1)[1:]),
    "key-info-second-byte": lambda: ecdsa(ecc_key(1)[:1] + b"1" + ecc_key(1)[2:]),
}
"""Images that the peer tests send to ST's TA as well."""

CASES = {
    "memory-of-no-core": lambda: load(image(), R2, 9),
    "no-hashtype": lambda: verdict(changed("tlv.HASHTYPE.type", 0x7777)),
    "hashtype-length": lambda: verdict(changed("tlv.HASHTYPE.length", 2)),
    "hashtype-unknown": lambda: verdict(changed("tlv.HASHTYPE.value", 2)),
    "plat-tlv-unknown": lambda: verdict(image(extra=[(0x10005, b"1234")])),
    "plat-tlv-length": lambda: verdict(image(extra=[(0x10001, b"12")])),
    "boot-address-set": lambda: verdict(image(extra=[BOOTADDR, BOOTADDR])),
    "secure-boot-set": lambda: verdict(image(extra=[(0x10002, bytes(4)), (0x10002, bytes(4))])),
    "key-info-format": lambda: verdict(ecdsa(b"1" + ecc_key(1)[1:]), keyed()),
    "key-not-fused": lambda: verdict(ecdsa(ecc_key(2)), keyed()),
    "ecdsa-length": lambda: verdict(ecdsa(ecc_key(1), sign_len=72), keyed()),
    "enctype-length": lambda: verdict(encrypted(cipher=b"\1\1")),
    "enctype-unknown": lambda: verdict(encrypted(cipher=b"\7")),
    "no-enctable": lambda: verdict(image(extra=[(6, b"\1")], kind=2)),
    "enctable-length": lambda: verdict(encrypted(cut=1)),
    "imgtype-encryption": lambda: verdict(encrypted(kind=1)),
    "decryption-unsupported": lambda: verdict(encrypted(), R1),
    "decryption-key-blank": lambda: verdict(encrypted()),
    "encrypted-length": lambda: verdict(encrypted(size=60), with_test_key()),
    "segment-unmapped": lambda: verdict(image(elf(da=ELSEWHERE))),
    "clear-unmapped": lambda: verdict(image(elf(memsz=0x900000))),
    "heap-outside": lambda: verdict(changed("tlv.HASHTABLE.length", 0x800)),
    "address-wraps": lambda: verdict(changed("elf0.ph0.p_filesz", 0xFFFFFFF0), evolve(R2, word_bits=32)),
    "ta-panics": lambda: verdict(changed("tlv.NUM_IMG.value", 0), faulty(StPtaCommand.CLEAN)),
    "still-loaded": lambda: reloaded(image(), image()),
    "stopped-unstarted": stopped_unstarted,
    "no-boot-address": lambda: started(IMAGES["no-boot-address"]()),
    "boot-address-outside": lambda: started(IMAGES["boot-address-outside"]()),
    "boot-address-unmapped": lambda: started(IMAGES["boot-address-unmapped"]()),
}


def with_test_key() -> Profile:
    """A board with ST's public test key."""
    return evolve(R2, decryption_key=TEST_DECRYPTION_KEY)


def faulty(command: int, code: int = int(Tee.BUSY)) -> Profile:
    """A board whose platform fails a command."""
    return evolve(R2, faults={command: code})


LOADED = {"still-loaded", "no-boot-address", "boot-address-outside", "boot-address-unmapped"}


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_reason_of_sts_own_is_reached(name):
    """With its code and its check."""
    outcome = CASES[name]()
    assert outcome.reason.name == name, outcome.detail
    assert outcome.code == REASONS[name].code
    assert outcome.state is (State.LOADED if name in LOADED else State.OFF)


# ------------------------------------------------------------------------------------- order and effects


def test_platform_calls_come_in_sts_order():
    """GET_MEM first, TLVs after the signature, RELEASE_MEM last; facts: remoteproc_load_fw of r1 and r2."""
    names = [c.command.name for c in verdict(image()).calls]
    assert names == [
        *("GET_MEM", "HW_CAPABILITIES", "VERIFY_DIGEST", "TLV_PARAM", "LOAD_SEGMENT_SHA256", "SET_MEMORY"),
        *("LOAD_SEGMENT_SHA256", "FIRMWARE_DA_TO_PA", "RELEASE_MEM"),
    ]
    refused = [c.command.name for c in verdict(changed("tlv.NUM_IMG.value", 0)).calls]
    assert refused[-2:] == ["CLEAN", "RELEASE_MEM"]


def test_a_refusal_cleans_all_memory_of_the_core():
    """CLEAN zeroes every region, whatever was loaded before."""
    outcome = verdict(changed("elf0.data0", 0))
    assert outcome.reason.name == "segment-hash"
    assert {(r.pa, r.size) for r in outcome.memory if r.zeros} >= {
        (r.pa, r.size) for r in R2.cores[0].regions
    }
    assert all(r.zeros for r in outcome.memory)


def test_3_19_has_no_hash_type_and_no_encryption():
    """3.19 looks at neither HASHTYPE nor ENCTYPE, and answers GENERIC for a core that it does not have."""
    assert verdict(changed("tlv.HASHTYPE.type", 0x7777), OLD).accepted
    assert verdict(encrypted(), OLD).reason.name == "imgtype-not-elf"
    assert load(image(), OLD, 9).code == Tee.GENERIC
    refused = verdict(ecdsa(ecc_key(1)), OLD)
    assert (refused.reason.name, refused.calls[2].algorithm) == ("algorithm-unsupported", 0x70003041)


def test_access_that_is_not_given_back_fails_a_load_since_4_0():
    """RELEASE_MEM's result is the answer then, and the core stays off; 3.19 does not look at it."""
    fault = {int(StPtaCommand.RELEASE_MEM): int(Tee.BUSY)}
    outcome = verdict(image(), evolve(R2, faults=fault))
    assert (outcome.code, outcome.state) == (Tee.BUSY, State.OFF)
    assert verdict(image(), evolve(OLD, faults=fault)).accepted
    assert verdict(image(), faulty(StPtaCommand.GET_MEM)).console == ("Can't get access right to memories",)


@pytest.mark.parametrize(("profile", "sticky"), [(R2, 6), (R1, 44), (OLD, 44)], ids=["r2", "r1", "3.19"])
def test_how_many_named_faults_leave_a_boot_address(profile, sticky):
    """r2 forgets it with CLEAN: 6 of 86 faults fail after the TLVs and before the first CLEAN."""
    sound = sign([elf()], key(), plat_tlvs=dict([BOOTADDR]))
    left = 0
    for name in faults.FAULTS:
        loader = StLoader(profile.with_key(key().public_key()))
        outcome = loader.load("m33", faults.apply(name, sound, key()))
        left += bool(outcome.code) and bool(loader.boots[1].address)
    assert (left, len(faults.FAULTS)) == (sticky, 86)


def test_a_boot_address_that_stays_and_its_cure():
    """The next good image is refused; one without BOOTADDR runs, from the old address, and clears it."""
    loader = loader_of(R2)
    assert loader.load("m33", changed("elf0.e_phnum", 0)).reason.name == "elf-no-segments"
    again = loader.load("m33", image())
    assert (again.reason.name, again.code) == ("boot-address-set", 0xFFFF0000)
    assert again.console[0] == "Firmware boot address already set"
    without = loader.load("m33", image(extra=()))
    assert without.accepted
    assert without.vectors == BOOT
    assert loader.start("m33").accepted
    assert loader.stop("m33").accepted
    assert loader.load("m33", image()).accepted


def test_a_failed_start_leaves_the_core_loaded_until_stop():
    """Every LOAD gets 0xffff0007 then; STOP is an error and the cure. ST's Linux 6.6 never sends it."""
    loader = loader_of(R2)
    loader.load("m33", image(extra=()))
    refused = loader.start("m33")
    assert (refused.code, refused.state) == (0xFFFF0000, State.LOADED)
    assert [c.command for c in refused.calls] == [PtaCommand.FIRMWARE_START, StPtaCommand.CLEAN]
    assert [loader.load("m33", image()).code for _ in range(2)] == [0xFFFF0007, 0xFFFF0007]
    assert loader.release("m33").reason.name == loader.call(6, 1).reason.name == "unknown-command"
    assert loader.stop("m33").code == 0xFFFF0007
    assert loader.load("m33", image()).accepted
    assert loader.start("m33").accepted
    assert loader.load("m33", image()).reason.name == "core-is-running"


def test_commands_that_the_platform_fails():
    """START leaves the core loaded, STOP leaves it running, and a failing CLEAN ends the TA."""
    loader = loader_of(faulty(PtaCommand.FIRMWARE_START))
    loader.load("m33", image())
    assert (loader.start("m33").code, loader.state("m33")) == (Tee.BUSY, State.LOADED)
    loader = loader_of(faulty(PtaCommand.FIRMWARE_STOP))
    loader.load("m33", image())
    loader.start("m33")
    assert (loader.stop("m33").code, loader.state("m33")) == (Tee.BUSY, State.STARTED)
    loader = loader_of(faulty(StPtaCommand.CLEAN))
    loader.load("m33", image())
    loader.start("m33")
    assert loader.stop("m33").reason.name == "ta-panics"
    assert loader.get_rsc_table("m33").reason.name == "nothing-loaded"
    assert loader.start(9).reason.name == loader.stop(9).reason.name == "never-loaded"


# ------------------------------------------------------------------------------------------ translation


def test_r2_accepts_an_alias_and_r1_does_not():
    """dma-ranges of the STM32MP25 show DDR at 0x10000000 as well; r1 and 3.19 compare regions."""
    data = image(elf(da=ALIAS), extra=[(0x10001, ALIAS.to_bytes(4, "little"))])
    outcome = verdict(data)
    assert outcome.memory[0].pa == BOOT
    assert vectors_pa(outcome, R2.core("m33")) == BOOT
    assert outcome.start_refusal is None
    assert verdict(data, R1).reason.name == "segment-outside-memory"


def test_a_table_outside_is_accepted_by_r2_alone():
    """DA_TO_PA does not look at the regions; a segment there cannot be mapped."""
    table = resource_table()
    data = image(Elf([Segment(BOOT, b"code" * 16, 64)], table, ELSEWHERE).build())
    assert verdict(data).table.pa == ELSEWHERE
    assert verdict(data, R1).reason.name == "table-outside-memory"
    unmapped = verdict(image(elf(da=ELSEWHERE)))
    assert unmapped.code == 0xFFFF0000
    assert unmapped.console[0] == "Can't map region 0x90000000 size 64"


def test_without_dma_ranges_an_address_is_its_own_translation():
    """No dma-ranges in the device tree: the regions decide alone, and an address of 0 ends the TA."""
    bare = evolve(R2, dma_ranges=())
    assert verdict(image(), bare).accepted
    assert verdict(image(elf(da=0)), bare).reason.name == "segment-unmapped"
    table = resource_table()
    data = image(Elf([Segment(BOOT, b"code" * 16, 64)], table, 0).build())
    assert verdict(data, bare).reason.name == "ta-panics"


def test_an_stm32mp15_starts_without_a_boot_address():
    """Its M4 takes its vectors at 0, RETRAM; 0x30000000 is an alias of its SRAM."""
    data = image(elf(da=0, table_da=0x10040000), extra=())
    assert started(data, M4).accepted
    assert verdict(image(elf(da=0x30000000, table_da=0x10040000), extra=()), M4).memory[0].pa == 0x10000000


# --------------------------------------------------------------------------- keys, encryption, parser


def test_an_encrypted_image_is_decrypted_in_memory():
    """The public test key of ST's test builds; the memory then has the zeros that were encrypted."""
    outcome = verdict(encrypted(), with_test_key())
    assert outcome.accepted
    (there,) = outcome.memory
    assert (there.pa, there.sha256) == (BOOT, hashlib.sha256(bytes(64)).hexdigest())
    assert outcome.calls[4].data == outcome.signed[BOOT][8] + VECTOR
    other = evolve(R2, decryption_key=bytes(range(32)))
    assert verdict(encrypted(), other).memory[0].sha256 != there.sha256


@pytest.mark.parametrize("name", ["decryption-unsupported", "decryption-key-blank"])
def test_a_segment_that_is_not_decrypted_becomes_zeros(name):
    """The line of the PTA comes before that of the TA."""
    outcome = CASES[name]()
    assert len(outcome.console) == 2
    assert outcome.console[1].startswith("Fails to load segment, res = 0x0xffff00")
    assert all(r.zeros for r in outcome.memory)


def der(private: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as PKEYINFO has it."""
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_ecdsa_with_the_key_in_the_image(tmp_path):
    """Signed by our signer; another key has another hash, a changed byte no good signature."""
    profile = evolve(R2, key_in_image=True).with_key(write_key(tmp_path / "ec.pem", ec_key()))
    data = sign([elf()], ec_key(), key_info=der(ec_key()), plat_tlvs=dict([BOOTADDR]))
    assert verdict(data, profile).accepted
    assert verdict(changed("tlv.HASHTYPE.value", 2, data), profile).reason.name == "signature-invalid"
    other = ec.generate_private_key(ec.SECP256R1())
    foreign = sign([elf()], other, key_info=der(other), plat_tlvs=dict([BOOTADDR]))
    outcome = verdict(foreign, profile)
    assert (outcome.code, outcome.console[0]) == (Tee.SECURITY, "Invalid public key hash")
    assert verdict(data, R2).reason.name == "algorithm-unsupported"


def test_rsa_with_the_key_in_the_image():
    """The fuses hold the hash of modulus and exponent; without PKEYINFO the size is wrong."""
    profile = evolve(R2, key_in_image=True).with_key(key().public_key())
    info = key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert verdict(sign([elf()], key(), key_info=info, plat_tlvs=dict([BOOTADDR])), profile).accepted
    bare = verdict(sign([elf()], key(), plat_tlvs=dict([BOOTADDR])), profile)
    assert (bare.reason.name, bare.console[0]) == ("key-info-format", "Invalid public key size")


def test_two_images_with_secure_boot():
    """TF-M and an application in one file, BOOTSEC of any value; one of them may have a table."""
    loader = StLoader(R2)
    assert loader.load("m33", two_images()).accepted
    assert loader.boots[1].secure
    assert verdict(image(elf(), elf(da=0x80200000))).reason.name == "second-table"


@pytest.mark.parametrize("segments", [24, 25, 26, 27, 28])
def test_the_heap_holds_fewer_segments_than_upstreams(segments):
    """struct remoteproc_context has 136 bytes instead of the 112 of 3.19 and upstream."""
    many = Elf([Segment(BOOT + 16 * i, b"data", 4) for i in range(segments)], b"").build()
    assert verdict(image(many)).accepted is (segments < 27)


@pytest.mark.parametrize(("profile", "room"), [(R2, 1512), (R1, 1512), (OLD, 1528)], ids=["r2", "r1", "3.19"])
def test_the_heap_holds_this_much_key_information(profile, room):
    """Beside two entries of HASHTABLE and BOOTADDR, in steps of 8 bytes."""
    info = [image(extra=[BOOTADDR, (int(Tlv.PKEYINFO), bytes(n))]) for n in (room, room + 8)]
    assert [verdict(data, profile).reason.name for data in info] == ["loaded", "heap"]


def test_sts_parser_lacks_upstreams_checks():
    """Many sections are accepted, a segment that ends with its image is not, and wild reads are undefined."""
    assert verdict(changed("elf0.e_shnum", 0xFFFF)).accepted
    assert verdict(changed("elf0.e_shstrndx", 0xFFFF)).reason.name == "reads-outside"
    assert verdict(changed("elf0.sh1.sh_name", 0x7FFFFFFF)).code is None
    plain = Elf([Segment(BOOT, b"\xff" * 64, 64)]).build()
    assert verdict(changed("elf0.e_phnum", 0xFFFF, image(plain))).reason.name == "reads-outside"
    tail = Elf([Segment(BOOT)], tail=bytes(8)).build()
    assert verdict(image(tail)).reason.name == "segment-outside-image"


def test_a_platform_record_has_16_bits_of_length():
    """0x10004 counts as 4 for BOOTADDR; a type of ST's range that is unknown is refused whatever it holds."""
    long = changed("tlv.BOOTADDR.length", 0x10004)
    assert verdict(long).reason.name != "plat-tlv-length"
    assert verdict(changed("tlv.BOOTADDR.length", 0x10003)).reason.name == "plat-tlv-length"


@pytest.mark.parametrize(
    ("profile", "bits"), [(OLD, 64), (OLD, 32), (R1, 32)], ids=["3.19", "3.19-32", "r1-32"]
)
def test_the_size_of_a_key_wraps(profile, bits):
    """3.19's TEE_Malloc takes 32 bits in a 64-bit TA as well; a size_t of 64 bits is refused by the heap."""
    data = image(extra=[BOOTADDR, (int(Tlv.PKEYINFO), bytes(8))])
    at = data.index(int(Tlv.PKEYINFO).to_bytes(4, "little") + b"\x08\0\0\0") + 4
    wrapped = data[:at] + b"\xfc\xff\xff\xff" + data[at + 4 :]
    assert verdict(wrapped, evolve(profile, word_bits=bits)).code is None
    assert verdict(wrapped, evolve(R1, word_bits=64)).reason.name == "heap"


def test_in_32_bits_a_record_of_2_gib_sends_the_walk_anywhere():
    """What was found before it is found; what comes after it is undefined."""
    data = image(before=[(0x77, b"1234")])
    at = data.index(b"\x77\0\0\0\4\0\0\0") + 4
    wild = data[:at] + b"\xf8\xff\xff\xff" + data[at + 4 :]
    assert verdict(wild, evolve(R2, word_bits=32)).reason.name == "heap-outside"
    assert verdict(wild).reason.name == "no-signtype"


# ------------------------------------------------------------------------------- what is made of it


def test_a_start_that_will_be_refused_is_part_of_the_prediction():
    """The write to sysfs fails although the image was loaded."""
    outcome = verdict(image(extra=()))
    assert outcome.accepted
    facts = expect(outcome, profile=R2)
    assert (facts.errno, facts.state, facts.tee_code) == ("EIO", "offline", 0xFFFF0000)


def test_a_map_of_flips_knows_sts_records():
    """A flip in BOOTADDR's length is refused; the spans cover the file."""
    data = image()
    spans = expectations(data, R2, 1)
    at = fields(data)["tlv.BOOTADDR.length"].at
    answers = next(s.answers for s in spans if s.start <= at < s.end)
    assert answers[0][0] == "plat-tlv-length"
    assert (spans[0].start, spans[-1].end) == (0, len(data))


def test_predict_shows_the_releases_apart(tmp_path, capsys):
    """One image, three releases: an alias, and an image without BOOTADDR."""
    path = tmp_path / "fw.bin"
    path.write_bytes(image(elf(da=ALIAS), extra=()))
    words = ["predict", str(path), "--trust-signature"]
    for name in ("st-4.0-r2-mp257f-dk", "st-4.0-r1-mp257f-dk"):
        words += ["--profile", name]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "then START_FW: no-boot-address, TEE_ERROR_GENERIC (0xffff0000)" in output
    assert "write to state: EIO, then sysfs state offline" in output
    assert "refused: segment-outside-memory, TEE_ERROR_ACCESS_DENIED (0xffff0001)" in output
