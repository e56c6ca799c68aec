# SPDX-License-Identifier: MIT
"""A signing key in hardware, named by a PKCS#11 URI: it signs there, and its private half never comes here.

Ref: RFC 7512 (URI), PKCS #11 v2.40 (CKM_RSA_PKCS, CKM_ECDSA).
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mpbench.core.errors import UsageError
from mpbench.image.keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEME = "pkcs11:"
MODULE = "PKCS11_MODULE"
"""Variable with the path of the token's library, where the URI has no module-path."""
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 before the digest. Ref: RFC 8017, 9.2"""
P256 = bytes.fromhex("06082a8648ce3d030107")
"""DER of the curve's OID. Ref: RFC 5480"""
NAMED_BY = ("token", "serial", "object", "id", "type")


@frozen
class TokenUri:
    """token, serial: of the token; label, id: of the key, None for any; module: path of the token's library;
    pin_file: file that holds the PIN, None where the URI has none.
    """

    uri: str
    token: str | None
    serial: str | None
    label: str | None
    id: bytes | None
    module: str
    pin_file: str | None


def parse_uri(uri: str) -> TokenUri:
    """The URI's parts. UsageError: no key or module named, unknown attributes, a PIN in it."""
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    pairs = [part.partition("=") for part in path.split(";") if part]
    named, options = {k: v for k, _, v in pairs}, dict(parse_qsl(query, keep_blank_values=True))
    if unknown := [k for k in named if k not in NAMED_BY]:
        raise UsageError(f"{uri}: {unknown[0]!r} is none of {', '.join(NAMED_BY)}")
    if "pin-value" in options:
        raise UsageError(
            "a PIN in a URI can be read by others: give --passphrase-file, --passphrase-env or neither"
        )
    if not {"object", "id"} & set(named):
        raise UsageError(f"{uri}: which key? give object=LABEL or id=%01")
    if not (module := options.get("module-path") or os.environ.get(MODULE, "")):
        raise UsageError(f"{uri}: which token library? add ?module-path=FILE, or set {MODULE}")
    text = {k: unquote(v) for k, v in named.items()}
    source = options.get("pin-source")
    return TokenUri(
        uri,
        text.get("token"),
        text.get("serial"),
        text.get("object"),
        unquote_to_bytes(named["id"]) if "id" in named else None,
        module,
        source.removeprefix("file:") if source else None,
    )


@frozen
class TokenKey:
    """A key of a token; pin: asked for when a session opens."""

    uri: TokenUri
    pin: Callable[[], str] = field(repr=False)
    public: PublicKey

    @classmethod
    def open(cls, uri: TokenUri, pin: Callable[[], str]) -> "TokenKey":
        """Look the key up. UsageError: no such library, token or key, a wrong PIN, another kind of key."""
        with _session(uri, pin) as session:
            return cls(uri, pin, _public(_key(session, uri, "PUBLIC_KEY"), uri.uri))

    def public_key(self) -> PublicKey:
        """Its public half."""
        return self.public

    def signature(self, data: bytes) -> bytes:
        """Raw signature over the SHA-256 of data, made by the token."""
        from pkcs11 import Mechanism  # noqa: PLC0415 - only who has a token needs the library

        digest = hashlib.sha256(data).digest()
        with _session(self.uri, self.pin) as session:
            key = _key(session, self.uri, "PRIVATE_KEY")
            if isinstance(self.public, rsa.RSAPublicKey):
                return bytes(key.sign(SHA256_INFO + digest, mechanism=Mechanism.RSA_PKCS))
            return bytes(key.sign(digest, mechanism=Mechanism.ECDSA))


@contextmanager
def _session(uri: TokenUri, pin: Callable[[], str]) -> "Iterator[Any]":
    """A session with the token; whatever goes wrong with it is one line."""
    try:
        import pkcs11  # noqa: PLC0415 - see above
    except ImportError as error:
        raise UsageError(f"{uri.uri}: install python-pkcs11 for keys in hardware: mpbench[hsm]") from error
    try:
        with _token(pkcs11.lib(uri.module), uri).open(user_pin=pin()) as session:
            yield session
    except (pkcs11.PKCS11Error, RuntimeError, OSError, AttributeError) as error:
        what = str(error) or type(error).__name__
        raise UsageError(f"{uri.uri}: {what}") from error


def _token(library: Any, uri: TokenUri) -> Any:
    """The one initialized token that the URI names."""
    from pkcs11 import TokenFlag  # noqa: PLC0415 - see above

    serial = uri.serial.encode() if uri.serial is not None else None
    found = library.get_tokens(token_label=uri.token, token_serial=serial)
    tokens = [token for token in found if TokenFlag.TOKEN_INITIALIZED in token.flags]
    if len(tokens) == 1:
        return tokens[0]
    labels = ", ".join(sorted(token.label.strip() for token in tokens)) or "none"
    raise UsageError(f"{uri.uri}: {len(tokens)} tokens fit ({labels}); name one, token=LABEL")


def _key(session: Any, uri: TokenUri, kind: str) -> Any:
    from pkcs11 import MultipleObjectsReturned, NoSuchKey, ObjectClass  # noqa: PLC0415 - see above

    what = kind.lower().replace("_", " ")
    try:
        return session.get_key(object_class=ObjectClass[kind], label=uri.label, id=uri.id)
    except NoSuchKey as error:
        raise UsageError(f"{uri.uri}: the token has no {what} of this name") from error
    except MultipleObjectsReturned as error:
        raise UsageError(f"{uri.uri}: more than one {what} fits; give object and id") from error


def _public(key: Any, name: str) -> PublicKey:
    """cryptography's form of a token's public key. UsageError: neither RSA nor ECDSA P-256."""
    from pkcs11 import Attribute, KeyType  # noqa: PLC0415 - see above

    if key.key_type == KeyType.RSA:
        numbers = (int.from_bytes(key[a], "big") for a in (Attribute.PUBLIC_EXPONENT, Attribute.MODULUS))
        return rsa.RSAPublicNumbers(*numbers).public_key()
    if key.key_type == KeyType.EC and bytes(key[Attribute.EC_PARAMS]) == P256:
        return ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), bytes(key[Attribute.EC_POINT])[-65:]
        )
    raise UsageError(f"{name}: {key.key_type.name}; RSA or ECDSA P-256 is needed")
