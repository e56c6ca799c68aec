# SPDX-License-Identifier: MIT
"""Signing keys: read from PEM with care, named by fingerprint.

An image key is RSA of 2048 to 4096 bits, as `scripts/sign_rproc_fw.py` of OP-TEE expects, or ECDSA P-256.
"""

import hashlib
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.core.files import check_private, read_bounded

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Signer(Protocol):
    """A key whose private half is not in this process."""

    def public_key(self) -> PublicKey:
        """Its public half."""

    def signature(self, data: bytes) -> bytes:
        """Raw signature of data: RSA PKCS #1 v1.5, or r and s of ECDSA P-256, over its SHA-256."""


RSA_MIN_BITS = 2048
RSA_MAX_BITS = 4096


class PassphraseNeeded(UsageError):
    """The key is encrypted and no pass phrase was given."""


def load_private_key(path: Path | str, passphrase: bytes | None = None) -> PrivateKey:
    """Key of a PEM file. UsageError: unreadable, readable by others, wrong pass phrase, wrong kind of key."""
    path = Path(path)
    pem = read_bounded(path)
    if b"PRIVATE KEY" not in pem:
        raise UsageError(f"{path}: no private key in PEM form")
    check_private(path)
    return check_kind(parse_private_key(pem, passphrase, str(path)), str(path))


def parse_private_key(pem: bytes, passphrase: bytes | None, name: str) -> object:
    """Any private key out of PEM text; `name` is used in errors only."""
    try:
        return load_pem_private_key(pem, passphrase)
    except TypeError as error:
        if passphrase is None:
            raise PassphraseNeeded(f"{name}: the key is encrypted; give its pass phrase") from error
        raise UsageError(f"{name}: the key is not encrypted, but a pass phrase was given") from error
    except UnsupportedAlgorithm as error:
        raise UsageError(f"{name}: {error}") from error
    except ValueError as error:
        what = "wrong pass phrase or damaged key" if passphrase is not None else "no private key in PEM form"
        raise UsageError(f"{name}: {what}") from error


def check_kind(key: object, name: str) -> PrivateKey:
    """The key if it is RSA 2048 to 4096 or ECDSA P-256, else UsageError."""
    if isinstance(key, rsa.RSAPrivateKey):
        if not RSA_MIN_BITS <= key.key_size <= RSA_MAX_BITS or key.key_size % 8:
            raise UsageError(
                f"{name}: RSA key of {key.key_size} bits; {RSA_MIN_BITS} to {RSA_MAX_BITS} are allowed"
            )
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise UsageError(f"{name}: ECDSA key on {key.curve.name}; only P-256 (secp256r1) is allowed")
    else:
        raise UsageError(f"{name}: {type(key).__name__}; RSA or ECDSA P-256 is needed")
    return key


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the DER SubjectPublicKeyInfo, hex: the name of a key in reports."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def made_by(key: PublicKey, data: bytes, signature: bytes) -> bool:
    """Whether this raw signature of header and TLVs was made with the key."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def load_public_key(path: Path | str) -> PublicKey:
    """Public key of a PEM file, or the public half of an unencrypted private one. UsageError if none."""
    pem = read_bounded(path)
    try:
        if b"PRIVATE KEY" in pem:
            return check_kind(parse_private_key(pem, None, str(path)), str(path)).public_key()
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: no key in PEM form") from error
    if not isinstance(public, PublicKey):
        raise UsageError(f"{path}: {type(public).__name__}; RSA or ECDSA P-256 is needed")
    return public


def published_as(key: PublicKey) -> str:
    """Name of the key that this is, if anybody can download its private half, else ""."""
    return layout.PUBLISHED_KEYS.get(fingerprint(key), "")
