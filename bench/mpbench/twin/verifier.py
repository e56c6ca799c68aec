# SPDX-License-Identifier: MIT
"""The platform's check of a signature: public keys and what they verify."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.twin.profile import Verifier

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def rsa_verifier(key: rsa.RSAPublicKey) -> Verifier:
    """RSASSA-PKCS1-v1_5 with SHA-256, as rproc_pta_verify_rsa_signature does it."""
    scheme, algorithm = padding.PKCS1v15(), Prehashed(hashes.SHA256())

    @lru_cache(maxsize=1024)  # a thousand spoiled payloads have one signature
    def verify(digest: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, digest, scheme, algorithm)
        except InvalidSignature:
            return False
        return True

    return verify


def ecdsa_verifier(key: ec.EllipticCurvePublicKey) -> Verifier:
    """ECDSA on P-256 with SHA-256; the signature is r and s, 32 bytes each, big endian."""
    scheme = ec.ECDSA(Prehashed(hashes.SHA256()))

    def verify(digest: bytes, signature: bytes) -> bool:
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))
        try:
            key.verify(encode_dss_signature(r, s), digest, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


def verifier_of(key: PublicKey) -> Verifier:
    """Verifier for a public key."""
    return rsa_verifier(key) if isinstance(key, rsa.RSAPublicKey) else ecdsa_verifier(key)


def key_hash(key: PublicKey) -> bytes:
    """SHA-256 that ST's fuses hold of a key: of modulus and exponent, or of the point's x and y.

    Ref: OP-TEE 4.0.0-stm32mp-r2 core/pta/stm32mp/remoteproc_pta.c, rproc_compute_hash and its callers.
    """
    if isinstance(key, rsa.RSAPublicKey):
        n = key.public_numbers()
        return hashlib.sha256(n.n.to_bytes(key.key_size // 8, "big") + n.e.to_bytes(3, "big")).digest()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return hashlib.sha256(point[1:]).digest()


def _public_half(pem: bytes) -> Any:
    """The public key of an unencrypted private key, whose other numbers are not needed: OpenSSL's check that
    they fit takes as long as a hundred signatures.
    """
    return load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True).public_key()


def read_key(key: PublicKey | Path | str, *, ecdsa: bool) -> PublicKey:
    """A public key, or the one in a PEM file (public, or an unencrypted private key).

    ecdsa: whether the platform verifies ECDSA as well. UsageError: the file holds no key that it verifies.
    """
    if not isinstance(key, Path | str):
        return key
    pem = read_bounded(key)
    try:
        found = _public_half(pem) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{key}: no public key in PEM form") from error
    if isinstance(found, rsa.RSAPublicKey):
        return found
    if not ecdsa or not isinstance(found, ec.EllipticCurvePublicKey):
        which = "RSA and ECDSA" if ecdsa else "RSA only"
        raise UsageError(f"{key}: {type(found).__name__}; the platform verifies {which}")
    return found
