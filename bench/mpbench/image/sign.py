# SPDX-License-Identifier: MIT
"""Signed images, byte for byte those of OP-TEE's scripts/sign_rproc_fw.py for equal RSA input.

Ref: OP-TEE 4.10 scripts/sign_rproc_fw.py, `main`, `TLV`, `SegmentHash`. Unlike it, machine `ARM` is the only
one we take, big-endian ELF files are refused, and errors name file and offset.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.image.bounds import refuse_overlaps
from mpbench.image.keys import PrivateKey, PublicKey, Signer
from mpbench.layout import SignType, Tlv


def sign(
    elfs: Sequence[bytes],
    key: PrivateKey | Signer,
    *,
    key_info: bytes | None = None,
    plat_tlvs: Mapping[int, bytes] | None = None,
    names: Sequence[str] | None = None,
) -> bytes:
    """Signed image of one or several ELF files.

    key_info: content of the PKEYINFO TLV; plat_tlvs: value by number, in this order, from 0x10000 on;
    names: of the ELF files in errors. UsageError: not a 32-bit little-endian ARM ELF, bad TLV.
    """
    head, images = unsigned(elfs, key.public_key(), key_info=key_info, plat_tlvs=plat_tlvs, names=names)
    return head + padded(signature(key, head)) + images


def unsigned(
    elfs: Sequence[bytes],
    public: PublicKey,
    *,
    key_info: bytes | None = None,
    plat_tlvs: Mapping[int, bytes] | None = None,
    names: Sequence[str] | None = None,
) -> tuple[bytes, bytes]:
    """(header and padded TLVs, which a signature by this key covers; the images after the signature)."""
    names = names or [f"image {i + 1}" for i in range(len(elfs))]
    if not 1 <= len(elfs) <= 255:
        raise UsageError(f"{len(elfs)} ELF files; a signed image holds 1 to 255 (NUM_IMG is one byte)")
    tables = [hash_table(elf, name) for elf, name in zip(elfs, names, strict=True)]
    images = b"".join(padded(elf) for elf in elfs)
    tlvs = tlv_area(elfs, tables, sign_type(public), key_info, plat_tlvs or {})
    header = layout.HEADER.pack(
        layout.HEADER_MAGIC, layout.HEADER_VERSION, len(tlvs), signature_length(public), len(images)
    )
    return header + padded(tlvs), images


def padded(chunk: bytes) -> bytes:
    """The chunk with zeros up to a multiple of 8."""
    return chunk + bytes(layout.pad8(len(chunk)) - len(chunk))


def tlv(kind: int, value: bytes) -> bytes:
    """One record of the TLV area."""
    return layout.TLV_HEAD.pack(kind, len(value)) + padded(value)


def tlv_area(
    elfs: Sequence[bytes],
    tables: Sequence[bytes],
    algorithm: SignType,
    key_info: bytes | None,
    plat_tlvs: Mapping[int, bytes],
) -> bytes:
    """All records in the order of OP-TEE's script."""
    sizes = b"".join(layout.pad8(len(elf)).to_bytes(4, "little") for elf in elfs)
    area = tlv(Tlv.SIGNTYPE, bytes([algorithm]))
    area += tlv(Tlv.NUM_IMG, bytes([len(elfs)]))
    area += tlv(Tlv.IMGTYPE, bytes([layout.IMG_ELF] * len(elfs)))
    area += tlv(Tlv.IMGSIZE, sizes)
    area += tlv(Tlv.HASHTYPE, bytes([layout.HASH_SHA256]))
    area += tlv(Tlv.HASHTABLE, b"".join(tables))
    area += tlv(Tlv.PKEYINFO, key_info) if key_info is not None else b""
    return area + b"".join(tlv(plat_type(kind), value) for kind, value in plat_tlvs.items())


def plat_type(kind: int) -> int:
    """The number of a platform TLV, or UsageError."""
    if not layout.PLAT_TLV_MIN <= kind <= layout.PLAT_TLV_MAX:
        bounds = f"{layout.PLAT_TLV_MIN:#x} to {layout.PLAT_TLV_MAX:#x}"
        raise UsageError(f"platform TLV {kind:#x} is outside {bounds}; BOOTADDR is 0x10001, BOOTSEC 0x10002")
    return kind


def hash_table(elf: bytes, name: str) -> bytes:
    """One entry per program header of every type: the header itself and the SHA-256 of its file data."""
    entries, heads = [], program_headers(elf, name)
    refuse_overlaps(sum(head[4] for head in heads if head[1] + head[4] <= len(elf)), len(elf), name)
    for index, head in enumerate(heads):
        offset, filesz = head[1], head[4]
        if offset + filesz > len(elf):
            raise UsageError(
                f"{name}: program header {index} takes {filesz} bytes at offset {offset:#x}, "
                f"the file ends at {len(elf):#x}"
            )
        digest = hashlib.sha256(memoryview(elf)[offset : offset + filesz]).digest()
        entries.append(layout.HASH_ENTRY.pack(*head, digest))
    return b"".join(entries)


def program_headers(elf: bytes, name: str) -> list[tuple[int, ...]]:
    """Program headers as numbers, in the order of layout.PHDR_FIELDS. UsageError: unsupported ELF."""
    if not elf.startswith(layout.ELF_MAGIC):
        signed = elf.startswith(layout.SIGNED_MAGIC)
        what = "a signed image already; sign the ELF in it" if signed else "no ELF"
        raise UsageError(f"{name}: offset 0: {what}")
    try:
        file = ELFFile(io.BytesIO(elf))
        if file.elfclass != 32 or not file.little_endian:
            raise UsageError(
                f"{name}: offset 0x4: {file.elfclass}-bit ELF; a 32-bit little-endian one is needed"
            )
        if file["e_machine"] != "EM_ARM":
            raise UsageError(f"{name}: offset 0x12: machine {file['e_machine']}; EM_ARM is needed")
        at, size, count = file["e_phoff"], file["e_phentsize"], file["e_phnum"]
    except ELFError as error:
        raise UsageError(f"{name}: offset 0: {error}") from error
    if count == 0:
        raise UsageError(
            f"{name}: offset 0x2c: no program headers (e_phnum is 0); link it, do not sign an object file"
        )
    if size != layout.PHDR.size or at + count * size > len(elf):
        raise UsageError(
            f"{name}: offset {at:#x}: {count} program headers of {size} bytes do not fit the file"
        )
    return [layout.PHDR.unpack_from(elf, at + i * size) for i in range(count)]


def sign_type(key: PrivateKey | PublicKey) -> SignType:
    """Value of SIGNTYPE for a key."""
    rsa_key = isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
    return SignType.RSASSA_PKCS1_V1_5_SHA256 if rsa_key else SignType.ECDSA_P256_SHA256


def signature_length(key: PublicKey) -> int:
    """Bytes of the raw signature: the RSA modulus, or r and s of P-256."""
    return key.key_size // 8 if isinstance(key, rsa.RSAPublicKey) else layout.ECDSA_P256_SIGN_LEN


def signature(key: PrivateKey | Signer, data: bytes) -> bytes:
    """Raw signature of header and TLVs."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return raw_ecdsa(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return key.signature(data)


def raw_ecdsa(der: bytes) -> bytes:
    """r and s, 32 bytes each, of a DER signature. ValueError: it is none."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
