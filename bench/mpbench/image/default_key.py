# SPDX-License-Identifier: MIT
"""The public half of OP-TEE's keys/default.pem. Its private half is in every copy of OP-TEE's sources.

Ref: OP-TEE 4.10 core/arch/arm/plat-stm32mp1/conf.mk (RPROC_SIGN_KEY).
layout.DEFAULT_KEY_SHA256 is its fingerprint.
"""

from cryptography.hazmat.primitives.asymmetric import rsa

EXPONENT = 65537
MODULUS = int(
    "e9ee82639f0bcdded5c5bfc1f64e3b5fc7eebe4604f0ed697a8d549e611a7ae008f75cbac0548b92883bb8f65c8b30f1"
    "caa037381b5b16a8bb9d1d1f4ecfa7af7ed6fb21521999636555f1b9d3288dc72c8073fda4c523966baeff52122f2bc0"
    "e50f11e802eb4e63695107cda9c76920181fc120d4ac1514d0f22aea2894771a16b6e0bbd4e80a878360f0d5dd2101e2"
    "255c31da2fc90789627560cf258fe74cb2a7983cdb2adc8a59e41fcf81498038c30138595c049ea1a1295a68d10ef7db"
    "1ba23bce2536d2388003947c4fa86df43770a09f8220aa2fb1cba475e74f67d6fcfc87ac062654459bfba70a803162d5"
    "6fddcf423d5adbc573c99396e0caffa1afbda98d3f775f40a41e58255ee17fa7d66399b03dd006b8ee05a578a77a60fe"
    "1cb5c65c0bbaf8f9737ed256f7b52dbc4e4333392b326f4362385ed5bd4010794360933b593a518bdcf80ae07299e739"
    "0ac2857d900909094a839aa33ca03bdc21f53c1b55cc02be37c92d6ec200228897d1a439c88b58f45cb1a9db92b7676d"
    "d2d3e3ae37e5bc7588d7edbbce0632d2c58e96c496cb3f4d3281fdc75206574fee7cebe7b3de72dd7477a6d1c8ac1d62"
    "65d7d27410954c702c71592c0fc156942d92fc415e76a61c0776634751696fd45e18ad82852554fc3c60f976b7033517"
    "a38173f2b35a277fc1bc1f0da610e18b7f75204a0fbbf6d14d59ba313fd81da1",
    16,
)


def default_key() -> rsa.RSAPublicKey:
    """The key itself."""
    return rsa.RSAPublicNumbers(EXPONENT, MODULUS).public_key()
