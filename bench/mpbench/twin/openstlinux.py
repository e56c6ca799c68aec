# SPDX-License-Identifier: MIT
"""ST's trusted application (OpenSTLinux): LOAD_FW with HASHTYPE, platform TLVs, encrypted images.

Ref: OP-TEE 3.19.0-stm32mp, 4.0.0-stm32mp-r1 and -r2 (public vendor copies),
     ta/remoteproc/src/remoteproc_core.c; methods name their C functions. The TA and the platform are compiled
     and compared with this code by `make peer OPTEE_SRC=DIR`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mpbench import layout
from mpbench.layout import Tlv, pad8
from mpbench.twin.elf_parser import ADDRESS_SIGN, parse_header
from mpbench.twin.heap import KEY_INFO_HEAD
from mpbench.twin.image import Overlong, Stop, Value, View
from mpbench.twin.openstlinux_elf import find_table, segments
from mpbench.twin.openstlinux_platform import StPlatform
from mpbench.twin.reasons import REASONS
from mpbench.twin.upstream import P_PADDR, UpstreamLoad
from mpbench.twin.values import NO_TABLE, Entry, ResourceTable


def defined(stop: Stop) -> bool:
    """Whether the loader's behaviour is defined where it stops."""
    return stop.code is not None or REASONS[stop.name].code is not None


class StLoad(UpstreamLoad):
    """One run of ST's remoteproc_load_fw."""

    def __init__(self, view: View, platform: StPlatform, contexts: int, aligned: bool) -> None:
        super().__init__(view, platform, contexts, aligned)
        self.st, self.release = platform, platform.release
        self.encrypted = False

    def all(self) -> None:
        """remoteproc_load_fw."""
        if not self.view.size:
            self.authenticated = True  # refused before anything is printed
            raise Stop("empty-image")
        self.authenticated = True
        self.st.get_mem()
        self.authenticated = False
        try:
            self.verify_firmware()
            self.load_elf()
        except Stop as stop:
            if defined(stop):
                self.st.release_mem()
            raise
        code = self.st.release_mem()
        if code and self.release.release_checked:
            self.st.clean()
            raise Stop("platform-fault", "access to the memories was not given back", code=code)

    def takes(self, formats: int) -> bool:
        """ELF or encrypted ELF; 3.19 as upstream."""
        if not self.release.encryption:
            return super().takes(formats)
        return bool(formats & (layout.HWCAP_FMT_ELF | layout.HWCAP_FMT_ENC_ELF))

    def verify_firmware(self) -> None:
        """remoteproc_verify_firmware: after the signature come HASHTYPE and the platform TLVs."""
        self.capabilities()
        self.save_header()
        self.verify_header()
        self.verify_signature()
        if self.release.hash_type:
            self.hash_type()
        self.platform_tlvs()
        self.authenticated = True

    # --------------------------------------------------------------------------------------- TLVs
    def index_tlvs(self, _signed: memoryview) -> None:
        """remoteproc_get_tlv: the first record of a type, whatever its length claims."""
        copy, start, end = (
            self.view.part(0, self.images_at),
            layout.HEADER.size,
            layout.HEADER.size + self.tlv_len,
        )
        found: dict[int, Value] = {}
        self.lost, at = False, start
        while at < end and not self.lost:
            kind, length = layout.TLV_HEAD.unpack_from(copy, at)
            value = at + layout.TLV_HEAD.size
            whole = value + length <= len(copy)
            found.setdefault(kind, copy[value : value + length] if whole else Overlong(length))
            self.lost = self.profile.word_bits == 32 and length >= ADDRESS_SIGN
            at = value + pad8(length)
        self.tlvs = found

    def value(self, kind: Tlv) -> Value:
        """Value of the TLV that the loader finds.

        In 32 bits a length of 2 GiB sends its walk anywhere; PKEYINFO's wraps TEE_Malloc's size.
        """
        if self.lost and kind not in self.tlvs:
            raise Stop("heap-outside", "a TLV's length wraps the address of the next one")
        found = super().value(kind)
        size_bits = self.release.malloc_bits or self.profile.word_bits
        if kind == Tlv.PKEYINFO and (len(found) + KEY_INFO_HEAD) >> size_bits:
            raise Overlong(len(found)).outside()
        return found

    def hash_type(self) -> None:
        """get_tlv_hash_type, which upstream does not have."""
        kind = self.value(Tlv.HASHTYPE)
        if not kind:
            raise Stop("no-hashtype")
        if len(kind) != 1:
            raise Stop("hashtype-length", f"{len(kind)} bytes")
        if kind[0] != layout.HASH_SHA256:
            raise Stop("hashtype-unknown", f"{kind[0]}")

    def platform_tlvs(self) -> None:
        """remoteproc_set_platform_tlv: every record of a platform type; its lengths have 16 bits."""
        at, end = layout.HEADER.size, layout.HEADER.size + self.tlv_len
        copy = self.view.part(0, self.images_at)
        while at < end:
            kind, length = layout.TLV_HEAD.unpack_from(copy, at)
            length &= 0xFFFF
            value = at + layout.TLV_HEAD.size
            if layout.PLAT_TLV_MIN <= kind <= layout.PLAT_TLV_MAX:
                if value + length > len(copy):
                    raise Overlong(length).outside()
                self.st.tlv_param(kind, bytes(copy[value : value + 4]), length)
            at = value + pad8(length)

    # -------------------------------------------------------------------------------------- images
    def load_elf(self) -> None:
        """remoteproc_load_elf: what fails before NUM_IMG cleans nothing, so that a boot address stays."""
        parse_header(self.view, self.images_at, self.img_len, self.profile.word_bits)
        if self.release.encryption:
            self.encryption()
        entries = self.signed = self.enc_table() if self.encrypted else self.hash_table()
        with self.cleaned():
            count, offset = self.image_count(), 0
            for index in range(count):
                self.image_type(count, index)
                size = self.image_size(count, index)
                at = self.images_at + offset
                for start, row in segments(self.view, at, size, self.profile.word_bits):
                    self.load_segment(start, row, entries.get(row[P_PADDR]))
                self.parse_table(at, size)
                offset = (offset + size + ADDRESS_SIGN) % (1 << 32) - ADDRESS_SIGN  # int32_t offset

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """remoteproc_clean_resources after a refusal."""
        try:
            yield
        except Stop as stop:
            if defined(stop):
                self.st.clean()
            raise

    def encryption(self) -> None:
        """ENCTYPE: whether all images are encrypted."""
        kind = self.value(Tlv.ENCTYPE)
        if not kind:
            return
        if len(kind) != 1:
            raise Stop("enctype-length", f"{len(kind)} bytes")
        if kind[0] != layout.ENC_AES_CBC:
            raise Stop("enctype-unknown", f"{kind[0]}", f"Unsupported encryption type {kind[0]}")
        self.encrypted = True

    def enc_table(self) -> dict[int, Entry]:
        """get_enc_table: the first entry for each p_paddr."""
        table = self.value(Tlv.ENCTABLE)
        if not table:
            raise Stop("no-enctable")
        return self.entries(table, layout.ENC_ENTRY, "enctable-length")

    def image_type(self, count: int, index: int) -> None:
        """get_tlv_images_type and the tests of its answer."""
        if not self.release.encryption:
            super().image_type(count, index)
            return
        kind = self.image_types(count)[index]
        if kind not in (layout.IMG_ELF, layout.IMG_ENCRYPTED_ELF):
            raise Stop("imgtype-not-elf", f"image {index + 1} is of type {kind}")
        if (kind == layout.IMG_ENCRYPTED_ELF) != self.encrypted:
            raise Stop("imgtype-encryption", f"image {index + 1} is of type {kind}")

    def parse_table(self, at: int, size: int) -> None:
        """remoteproc_parse_rsc_table, and that only one image has a table."""
        found = find_table(self.view, at, size, self.profile.word_bits, checked=not self.encrypted)
        if found is None:
            return
        da, length, offset = found
        pa = self.st.translate(da, length)
        if self.table is not NO_TABLE:
            raise Stop("second-table", f"at {da:#x}", "More than one resource table found")
        self.table, self.table_offset = ResourceTable(pa, length), offset
