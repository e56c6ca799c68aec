# SPDX-License-Identifier: MIT
"""Keys that an image brings in PKEYINFO, as ST's platform takes them (CFG_REMOTEPROC_PUB_KEY_VERIFY).

Ref: OP-TEE 4.0.0-stm32mp-r2 core/pta/stm32mp/remoteproc_pta.c, rproc_pta_verify_ecc_signature and
     rproc_pta_verify_rsa_signature.
"""

import hashlib
from typing import Final

from mpbench import layout

ECC_KEY_BYTES: Final = 91  # PTA_ECC_DER_SIZE: SubjectPublicKeyInfo of a P-256 key
ECC_POINT_AT: Final = 27
RSA_KEY_BYTES: Final = 294  # PTA_RSA_DER_SIZE: of a 2048-bit key with an exponent of 3 bytes
RSA_KEY_HEAD: Final = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a02820101")
RSA_MODULUS: Final = slice(33, 289)
RSA_EXPONENT_HEAD: Final = slice(289, 291)


def key_refusal(algorithm: int, info: bytes, key_hash: bytes) -> tuple[str, ...]:
    """parse_der_ecc_public_key, parse_der_rsa_public_key, and the test of the key's hash.

    info: value of PKEYINFO; key_hash: what the fuses hold, empty: any. Name of the reason, "" for
    none, and lines on the secure console.
    """
    if algorithm == layout.ALG_ECDSA_P256:
        # consttime_memcmp(der, der_ecc_pkey_header, h_len != 0) compares one byte
        size, sound = ECC_KEY_BYTES, info[:1] == b"\x30"
        last: tuple[str, ...] = ("Invalid public key",)
        wrong_hash, hashed = "Invalid public key hash", info[ECC_POINT_AT:]
    else:
        sound = info.startswith(RSA_KEY_HEAD) and info[RSA_EXPONENT_HEAD] == b"\2\3"
        size, last = RSA_KEY_BYTES, ()
        wrong_hash, hashed = "Invalid public key", info[RSA_MODULUS] + info[RSA_EXPONENT_HEAD.stop :]
    if len(info) != size or not sound:
        what = "size" if len(info) != size else "format"
        return "key-info-format", f"Invalid public key {what}", *last
    if key_hash not in (b"", hashlib.sha256(hashed).digest()):
        return "key-not-fused", wrong_hash
    return ("",)
