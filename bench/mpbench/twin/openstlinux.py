# SPDX-License-Identifier: MIT
"""ST's trusted application for the STM32MP2 (OpenSTLinux): HASHTYPE, platform TLVs, encrypted images.

No peer runs this code: ST's trusted application is not in upstream OP-TEE. Public copies of ST's fork show
the layout of ENCTYPE and ENCTABLE, and of the platform's half (core/pta/stm32mp/remoteproc_pta.c,
rproc_pta_load_segment, rproc_pta_decrypt_aes) that a segment is hashed as it was encrypted, then decrypted in
place by AES-CBC with a 256-bit key from the fuses (oem_rproc_enc_key), or with a public test key where
CFG_REMOTEPROC_ENC_TESTKEY is set. They show neither the order in which the trusted application reads these
TLVs nor its answers to bad ones. So the twin reads them to describe the image, and predicts no decryption.
"""

from collections.abc import Mapping

from mpbench import layout
from mpbench.layout import Tlv, pad8
from mpbench.twin.image import Stop
from mpbench.twin.profile import Profile
from mpbench.twin.upstream import UpstreamLoad


def deviates(profile: Profile) -> bool:
    """Whether a profile has anything that only ST's trusted application knows."""
    return profile.hash_type_required or profile.plat_tlvs is not None or profile.image_types != (1,)


class OpenStLinuxLoad(UpstreamLoad):
    """One run of ST's LOAD_FW."""

    def takes(self, formats: int) -> bool:
        """With encrypted images among its types, it accepts platforms with further formats."""
        if layout.IMG_ENCRYPTED_ELF not in self.profile.image_types:
            return super().takes(formats)
        return bool(formats & layout.HWCAP_FMT_ELF)

    def after_signature(self) -> None:
        """HASHTYPE, then the platform TLVs."""
        if self.profile.hash_type_required:
            self.hash_type()
        if self.profile.plat_tlvs is not None:
            self.plat_tlvs(self.profile.plat_tlvs)

    def hash_type(self) -> None:
        """HASHTYPE, which upstream never reads."""
        kind = self.value(Tlv.HASHTYPE)
        if not kind:
            raise Stop("no-hashtype")
        if len(kind) != 1:
            raise Stop("hashtype-length", f"{len(kind)} bytes")
        if kind[0] != layout.HASH_SHA256:
            raise Stop("hashtype-unknown", f"{kind[0]}")

    def plat_tlvs(self, lengths: Mapping[int, int]) -> None:
        """Platform TLVs, which the PTA checks; lengths: in bytes, by TLV number."""
        at, end = layout.HEADER.size, layout.HEADER.size + self.tlv_len
        while at + layout.TLV_HEAD.size <= end:
            kind, length = layout.TLV_HEAD.unpack_from(self.view.data, at)
            at += layout.TLV_HEAD.size
            if layout.PLAT_TLV_MIN <= kind <= layout.PLAT_TLV_MAX and at + length <= end:
                if kind not in lengths:
                    raise Stop("plat-tlv-unknown", f"{kind:#x}")
                if length != lengths[kind]:
                    raise Stop("plat-tlv-length", f"{kind:#x}: {length} bytes instead of {lengths[kind]}")
            at += pad8(length)

    def not_elf(self, index: int, kind: int) -> Stop:
        """An encrypted image is refused because the platform lacks the key; the detail describes it."""
        if kind not in self.profile.image_types:
            return super().not_elf(index, kind)
        encryption = f"{self.cipher()}, {self.encryption_table()}"
        return Stop("encrypted-without-key", f"image {index + 1}, {encryption}")

    def cipher(self) -> str:
        """ENCTYPE in words."""
        kind = bytes(self.value(Tlv.ENCTYPE))
        if not kind:
            return "without ENCTYPE"
        return "AES-CBC" if kind == bytes([layout.ENC_AES_CBC]) else f"unknown ENCTYPE {kind.hex()}"

    def encryption_table(self) -> str:
        """ENCTABLE in words."""
        size = len(self.value(Tlv.ENCTABLE))
        if not size:
            return "without ENCTABLE"
        count, rest = divmod(size, layout.ENC_ENTRY.size)
        return f"truncated ENCTABLE of {size} bytes" if rest else f"{count} encrypted segments"
