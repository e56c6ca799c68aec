# SPDX-License-Identifier: MIT
"""Signatures that are made elsewhere: the digest goes out, the signature comes back."""

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.image.keys import PublicKey, made_by
from mpbench.image.sign import raw_ecdsa, signature_length


@frozen
class DetachedSignature:
    """A signature that somebody else made with the private half of a key; name: of its file, in errors."""

    key: PublicKey
    made: bytes = field(repr=False)
    name: str

    def public_key(self) -> PublicKey:
        """The key that made it."""
        return self.key

    def signature(self, data: bytes) -> bytes:
        """The signature as the image holds it. UsageError: of another length, or not of this data."""
        raw = self._raw()
        if len(raw) != (size := signature_length(self.key)):
            raise UsageError(f"{self.name}: a signature of {len(raw)} bytes; this key makes {size}")
        if not made_by(self.key, data, raw):
            raise UsageError(
                f"{self.name}: not this key's signature of these ELF files and TLVs; "
                "sign the digest that --digest-out writes with the same arguments"
            )
        return raw

    def _raw(self) -> bytes:
        """ECDSA signatures also come as DER, as OpenSSL writes them."""
        if isinstance(self.key, rsa.RSAPublicKey) or len(self.made) == layout.ECDSA_P256_SIGN_LEN:
            return self.made
        try:
            return raw_ecdsa(self.made)
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{self.name}: neither r and s of 32 bytes each nor a DER signature") from error
