# SPDX-License-Identifier: MIT
"""The platform's check of a signature: RSA public keys and what they verify."""

from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.twin.profile import Verifier


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


def verifier_of(key: rsa.RSAPublicKey | Path | str) -> Verifier:
    """Verifier for a public key, or for the one in a PEM file (public, or an unencrypted private key).

    UsageError if the file holds no RSA key.
    """
    return rsa_verifier(key if isinstance(key, rsa.RSAPublicKey) else _read_key(key))


def _read_key(path: Path | str) -> rsa.RSAPublicKey:
    pem = read_bounded(path)
    try:
        private = b"PRIVATE KEY" in pem
        key = load_pem_private_key(pem, None).public_key() if private else load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: no public key in PEM form") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise UsageError(f"{path}: {type(key).__name__}; the platform verifies RSA only")
    return key
