# SPDX-License-Identifier: MIT
"""Cases for the peer with ST's TA and platform: boards, images with ST's records, sequences of commands."""

import hashlib
import random
from collections.abc import Sequence

from attrs import evolve
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench import layout
from mpbench.image.faults import resigned
from mpbench.layout import TEST_DECRYPTION_KEY, SignType, Tee, Tlv
from mpbench.twin.memory import Core, Region
from mpbench.twin.openstlinux_keys import (
    ECC_KEY_BYTES,
    ECC_POINT_AT,
    RSA_EXPONENT_HEAD,
    RSA_KEY_HEAD,
    RSA_MODULUS,
)
from testcases.peer.cases import SCRIPTS, UNKNOWN_CORE, Base, base_of, command_of
from testcases.peer.elves import encryption_table, random_draft
from testcases.peer.worker import Board, Command

M33 = Core(
    "m33",
    1,
    (
        Region("tfm_code", 0x80000000, 0x80000000, 0x200),
        Region("cm33_cube_fw", 0x80100000, 0x80100000, 0x400),
        Region("ipc_shmem", 0x81200000, 0x81200000, 0x100),
    ),
)
M4 = Core("m4", 0, (Region("mcuram", 0x10000000, 0x10000000, 0x400),))
M4_OF_R2 = evolve(M4, regions=(Region("retram", 0, 0x38000000, 0x200), *M4.regions))
"""Memories small enough to be compared whole; r1 and 3.19 get none that its bus shows elsewhere."""

M33_RANGES = (
    Region("low", 0x00000000, 0x80000000, 0x08000000),
    Region("sram", 0x08000000, 0x08000000, 0x08000000),
    Region("alias", 0x10000000, 0x80000000, 0x10000000),
    Region("same", 0x20000000, 0x20000000, 0xD0000000),
)
M4_RANGES = (
    Region("retram", 0x00000000, 0x38000000, 0x10000),
    Region("sram", 0x10000000, 0x10000000, 0x60000),
    Region("alias", 0x30000000, 0x10000000, 0x60000),
)
"""mlahb's dma-ranges of stm32mp251.dtsi and stm32mp151.dtsi in r2."""

PLACES = {
    1: [
        *((r.da, r.size) for r in M33.regions),
        (0x80100000, 0x400),
        (0x10100000, 0x400),
        (0x81300000, 0x400),
    ],
    0: [*((r.da, r.size) for r in M4_OF_R2.regions), (0x30000000, 0x400), (0x38000000, 0x200)],
}
"""Where images of a core's id are put: its memory, aliases of it, memory of others."""

MORE_SCRIPTS = ("LSLLPLS", "LSPLSP", "LSSPLSP", "LPLSP", "LLSPLS", "LSlsLSPLS", "LGSPLG", "LSPGLSG")


def board_of(loader: str, core: int = 1) -> Board:
    """A board with one core, as ST's are."""
    r2 = loader == "st-4.0-r2"
    cores = (M33,) if core else (M4_OF_R2,) if r2 else (M4,)
    ranges = (M33_RANGES if core else M4_RANGES) if r2 else ()
    formats = 1 if loader == "st-3.19" else 3
    return Board(cores, "shared", loader=loader, dma_ranges=ranges, formats=formats)


def ecc_key(seed: int) -> bytes:
    """PKEYINFO with something that has the form of a P-256 key; only its hash and its form count."""
    head = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
    return head + random.Random(seed).randbytes(ECC_KEY_BYTES - ECC_POINT_AT)


def rsa_key(seed: int) -> bytes:
    """The same with the form of an RSA key of 2048 bits."""
    return RSA_KEY_HEAD + b"\0" + random.Random(seed).randbytes(256) + b"\2\3\1\0\1"


def hash_of(info: bytes) -> str:
    """The hash that the fuses hold of a key."""
    point = info[ECC_POINT_AT:]
    rest = info[RSA_MODULUS] + info[RSA_EXPONENT_HEAD.stop :]
    return hashlib.sha256(point if len(info) == ECC_KEY_BYTES else rest).hexdigest()


def random_board(rng: random.Random, modulus: int, loader: str) -> Board:
    """Mostly a board whose signatures are good; keys, heaps and faults now and then."""
    plain = board_of(loader, rng.choice((1, 1, 1, 0)))
    keys = ("00" * 32, TEST_DECRYPTION_KEY.hex(), TEST_DECRYPTION_KEY.hex(), rng.randbytes(32).hex())
    if loader == "st-4.0-r2":
        plain = evolve(plain, decryption_key=rng.choice(keys))
    fault = rng.choice(range(1, 13)), int(rng.choice((Tee.GENERIC, Tee.BUSY, Tee.OUT_OF_MEMORY)))
    kinds = [
        (60, plain),
        (5, evolve(plain, verdict=False)),
        (12, evolve(plain, heap_bytes=rng.randrange(1100, 4097))),
        (6, evolve(plain, verdict=None, modulus=modulus)),
        (5, evolve(plain, fault=fault)),
    ]
    if loader == "st-4.0-r2":
        key_hash = hash_of(rng.choice((ecc_key, rsa_key))(1))
        kinds.append((12, evolve(plain, key_in_image=True, key_hash=key_hash, verdict=rng.random() < 0.9)))
    return rng.choices([board for _, board in kinds], [weight for weight, _ in kinds])[0]


def random_base(rng: random.Random, key: rsa.RSAPrivateKey | None, board: Board) -> Base:
    """An image with ST's records in most; signed when there is a key."""
    places = PLACES[board.cores[0].id]
    draft = random_draft(rng, places)
    extra: list[tuple[int, bytes]] = list(draft.extra)
    if rng.random() < 0.75:
        extra.append((Tlv.BOOTADDR, rng.choice((0, *(da for da, _ in places))).to_bytes(4, "little")))
    if rng.random() < 0.15:
        extra.append((Tlv.BOOTSEC, rng.choice((b"\0\0\0\0", b"\1\0\0\0"))))
    if rng.random() < (0.9 if board.key_in_image else 0.1):
        extra.append((Tlv.PKEYINFO, key_info(rng)))
    kind = layout.IMG_ELF
    if rng.random() < 0.2:
        kind = layout.IMG_ENCRYPTED_ELF
        table = b"".join(encryption_table(elf, rng.randbytes(16)) for elf in draft.elfs)
        extra += [(Tlv.ENCTYPE, bytes([rng.choice((1, 1, 1, 1, 2))])), (Tlv.ENCTABLE, table)]
    sign_type = SignType.ECDSA_P256_SHA256 if rng.random() < (0.4 if board.key_in_image else 0.03) else 1
    sign_len = draft.sign_len if sign_type == 1 else rng.choice((64, 64, 64, 256))
    image = evolve(draft, extra=extra, kind=kind, sign_type=sign_type, sign_len=sign_len).build()
    return base_of(image if key is None else resigned(image, key), rng)


def key_info(rng: random.Random) -> bytes:
    """A key, or one with a byte changed, one too short, one of other fuses."""
    info = bytearray(rng.choice((ecc_key, rsa_key))(rng.choice((1, 1, 1, 2))))
    if rng.random() < 0.3:
        info[rng.choice((0, 1, 30, rng.randrange(len(info))))] ^= 1 << rng.getrandbits(3)
    return bytes(info if rng.random() < 0.95 else info[:-1])


def random_commands(bases: Sequence[Base], rng: random.Random, core: int) -> list[Command]:
    """A script, or letters at random, on the core and one that does not exist; a base of its own per load."""
    script = rng.choice((*SCRIPTS, *MORE_SCRIPTS))
    if rng.random() < 0.4:
        script = "".join(rng.choices("LLLLSSPPGR", k=rng.randrange(3, 12)))
    return [
        command_of(letter.upper(), core if letter.isupper() else UNKNOWN_CORE, rng.choice(bases), rng)
        for letter in script
    ]
