# SPDX-License-Identifier: MIT
"""Images for the tests of signer and twin: a sound ELF, a key, a board."""

import functools
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mpbench.image.sign import sign
from mpbench.twin.profile import Profile, load_profile
from testcases.peer.elves import Elf, Segment, resource_table

OPEN_BOARD = Path(__file__).with_name("open-board.yaml")
"""A board whose memory has no firewall in front of it."""

BASE = 0x80100000
TABLE_DA = BASE + 0x100
CODE = struct.pack("<2I", BASE + 0x1000, BASE + 9) + b"code" * 18
"""Vectors, then what stands for code: 80 bytes."""


@functools.cache
def key() -> rsa.RSAPrivateKey:
    """The tests' RSA key."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """The tests' ECDSA key."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def board(name: str = str(OPEN_BOARD)) -> Profile:
    """A profile that trusts the tests' key."""
    return load_profile(name, key().public_key())


@functools.cache
def firmware() -> bytes:
    """Vectors, code, a resource table in a segment of its own, some memory to clear."""
    table = resource_table()
    segments = [Segment(BASE, CODE, 0x60), Segment(TABLE_DA, table, len(table))]
    return Elf(segments, table, TABLE_DA).build()


@functools.cache
def image() -> bytes:
    """The firmware, signed."""
    return sign([firmware()], key())


def write_key(
    path: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, phrase: bytes = b""
) -> Path:
    """A private key as a PEM file that only its owner can read."""
    how = BestAvailableEncryption(phrase) if phrase else NoEncryption()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    path.chmod(0o600)
    return path


def write_public(path: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    """Its public half."""
    path.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path
