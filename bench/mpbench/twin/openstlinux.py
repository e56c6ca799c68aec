# SPDX-License-Identifier: MIT
"""What ST's loader for the STM32MP2 (OpenSTLinux) does beyond upstream: HASHTYPE, platform TLVs, encryption.

No peer runs this code: ST's trusted application isn't in upstream OP-TEE. Public copies of ST's fork tell the
layout of ENCTYPE and ENCTABLE, and of the platform's half (core/pta/stm32mp/remoteproc_pta.c,
rproc_pta_load_segment, rproc_pta_decrypt_aes) that a segment is hashed as it was encrypted, then decrypted in
place by AES-CBC with a 256-bit key from the fuses (oem_rproc_enc_key), or with a public test key where
CFG_REMOTEPROC_ENC_TESTKEY is set. They do not tell in which order the trusted application reads these TLVs,
nor what it answers to bad ones. So the twin reads them to say what is there, and predicts no decryption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mpbench import layout
from mpbench.layout import Tlv, pad8
from mpbench.twin.image import Stop

if TYPE_CHECKING:
    from mpbench.twin.loader import Load


def after_signature(run: Load) -> None:
    """What is checked between the signature and the ELF files."""
    if run.profile.hash_type_required:
        hash_type(run)
    if run.profile.plat_tlvs is not None:
        plat_tlvs(run, run.profile.plat_tlvs)


def hash_type(run: Load) -> None:
    """HASHTYPE, which upstream never reads."""
    kind = run.value(Tlv.HASHTYPE)
    if not kind:
        raise Stop("no-hashtype")
    if len(kind) != 1:
        raise Stop("hashtype-length", f"{len(kind)} bytes")
    if kind[0] != layout.HASH_SHA256:
        raise Stop("hashtype-unknown", f"{kind[0]}")


def plat_tlvs(run: Load, lengths: Mapping[int, int]) -> None:
    """Platform TLVs go to the PTA, which knows their lengths by number."""
    at, end = layout.HEADER.size, layout.HEADER.size + run.tlv_len
    while at + layout.TLV_HEAD.size <= end:
        kind, length = layout.TLV_HEAD.unpack_from(run.view.data, at)
        at += layout.TLV_HEAD.size
        if layout.PLAT_TLV_MIN <= kind <= layout.PLAT_TLV_MAX and at + length <= end:
            if kind not in lengths:
                raise Stop("plat-tlv-unknown", f"{kind:#x}")
            if length != lengths[kind]:
                raise Stop("plat-tlv-length", f"{kind:#x}: {length} bytes instead of {lengths[kind]}")
        at += pad8(length)


def encrypted(run: Load, index: int) -> Stop:
    """The end for an encrypted image, in words that say what the image holds."""
    return Stop("encrypted-without-key", f"image {index + 1}, {cipher(run)}, {encryption_table(run)}")


def cipher(run: Load) -> str:
    """ENCTYPE in words."""
    kind = bytes(run.value(Tlv.ENCTYPE))
    if not kind:
        return "without ENCTYPE"
    return "AES-CBC" if kind == bytes([layout.ENC_AES_CBC]) else f"ENCTYPE {kind.hex()} that nobody knows"


def encryption_table(run: Load) -> str:
    """ENCTABLE in words."""
    size = len(run.value(Tlv.ENCTABLE))
    if not size:
        return "without ENCTABLE"
    count, rest = divmod(size, layout.ENC_ENTRY.size)
    return f"ENCTABLE of {size} bytes, which isn't whole" if rest else f"{count} encrypted segments"
