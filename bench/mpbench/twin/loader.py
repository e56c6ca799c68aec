# SPDX-License-Identifier: MIT
"""LOAD_FW on a core that is off: every check in the loader's order, every platform call, the reason.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c; functions are named after theirs.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from mpbench import layout
from mpbench.layout import SignType, Tlv, pad8
from mpbench.twin import elf, openstlinux
from mpbench.twin.heap import Heap
from mpbench.twin.image import Stop, View, tlv_index
from mpbench.twin.platform import Platform
from mpbench.twin.profile import Profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import NO_TABLE, HashEntry, Outcome, State, Written

_SIGNTYPE, _PKEYINFO = Tlv.SIGNTYPE, Tlv.PKEYINFO
_HEADER_SIZE = layout.HEADER.size
_NOTHING = memoryview(b"")
_LOADED, _OFF, _ACCEPTED = State.LOADED, State.OFF, REASONS["loaded"]
_ALGORITHMS = {  # rproc_ta_sign_algo
    int(SignType.RSASSA_PKCS1_V1_5_SHA256): layout.ALG_RSASSA_PKCS1_V1_5_SHA256,
    int(SignType.ECDSA_P256_SHA256): layout.ALG_ECDSA_P256,
}


def load(
    image: bytes | bytearray | memoryview, profile: Profile, core: str | int, *, contexts: int = 1
) -> Outcome:
    """Answer to LOAD_FW for a core that is off, on an idle board. Never raises on any bytes.

    `core`: name or processor id; contexts: cores loaded since the board booted, this one included: the TA
    keeps some heap for each. UsageError: a core name the profile doesn't have, a profile without a key.
    """
    number = core if isinstance(core, int) else profile.core(core).id
    return load_off(image, Platform(profile, number), contexts)


def load_off(
    image: bytes | bytearray | memoryview, platform: Platform, contexts: int, *, aligned: bool = True
) -> Outcome:
    """The same with a given platform state; contexts: cores that the TA knows, this one included.

    aligned: whether the shared buffer begins at a multiple of 4 bytes.
    """
    run = Load(View(image), platform, contexts, aligned)
    try:
        run.all()
    except Stop as stop:
        return run.refused(stop)
    return run.accepted()


class Load:
    """One run of remoteproc_load_fw; the steps raise Stop."""

    authenticated = False
    signed: Mapping[int, HashEntry] = MappingProxyType({})
    table = NO_TABLE
    table_offset: int | None = None

    def __init__(self, view: View, platform: Platform, contexts: int, aligned: bool) -> None:
        profile = platform.profile
        self.view, self.platform, self.profile, self.aligned = view, platform, profile, aligned
        self.heap = Heap(profile.word_bits, profile.heap_bytes, profile.sessions, contexts)
        self.kept: list[Written] = []

    def accepted(self) -> Outcome:
        """The run came to its end."""
        return Outcome(
            _ACCEPTED, 0, _ACCEPTED.text, tuple(self.platform.asked), _LOADED, self.table, (),
            tuple(self.platform.written), self.table_offset, tuple(self.kept), self.signed, self.view.data,
        )  # fmt: skip

    def refused(self, stop: Stop) -> Outcome:
        """What stopped the run, as a value."""
        reason, console = REASONS[stop.name], stop.console
        code = reason.code if stop.code is None else stop.code
        if code and not self.authenticated:
            console = (*console, f"Can't Authenticate the firmware (res = {code:#x})")
        text = f"{reason.text}: {stop.detail}" if stop.detail else reason.text
        return Outcome(
            reason, code, text, tuple(self.platform.asked), _OFF, NO_TABLE, console,
            tuple(self.platform.written), image=self.view.data,
        )  # fmt: skip

    def all(self) -> None:
        """remoteproc_load_fw."""
        if not self.view.size:
            self.authenticated = True  # refused before anything is printed
            raise Stop("empty-image")
        self.capabilities()
        self.save_header()
        self.verify_header()
        self.verify_signature()
        self.authenticated = True
        elf.load(self)

    # ------------------------------------------------------------- remoteproc_verify_firmware
    def capabilities(self) -> None:
        """get_rproc_pta_capabilities and the test of its answer."""
        formats, protection = self.platform.capabilities()
        known = (
            formats & layout.HWCAP_FMT_ELF
            if 2 in self.profile.image_types
            else formats == layout.HWCAP_FMT_ELF
        )
        if not known or not protection & layout.HWCAP_PROT_HASH_TABLE:
            raise Stop("capabilities", f"formats {formats:#x}, protection {protection:#x}")

    def save_header(self) -> None:
        """remoteproc_save_fw_header_and_tlvs."""
        size = self.view.size
        if not self.aligned:
            raise Stop("unaligned-buffer")
        if size < _HEADER_SIZE:  # the C code reads on, then refuses whatever it has read
            raise Stop("too-short", f"{size} bytes, the header alone has {layout.HEADER.size}")
        self.magic, self.version, tlv_len, sign_len, img_len = layout.HEADER.unpack_from(self.view.data)
        self.tlv_len, self.sign_len, self.img_len = tlv_len, sign_len, img_len
        if tlv_len | sign_len | img_len >= layout.LENGTH_LIMIT:
            raise Stop("length-limit", f"tlv_len {tlv_len:#x}, sign_len {sign_len:#x}, img_len {img_len:#x}")
        self.signature_at = _HEADER_SIZE + pad8(tlv_len)
        self.images_at = images_at = self.signature_at + pad8(sign_len)
        self.images_end = images_at + img_len
        if images_at >> 32:
            raise Stop("lengths-overflow", f"{tlv_len:#x} + {sign_len:#x}")
        if size <= images_at:
            raise Stop("too-short", f"{size:#x} bytes, images would begin at {images_at:#x}")
        if not sign_len or not tlv_len:
            raise Stop("zero-length", f"tlv_len {tlv_len}, sign_len {sign_len}")
        if not self.heap.take(images_at):
            raise Stop("heap", f"no room for {images_at} bytes of header, TLVs and signature")

    def verify_header(self) -> None:
        """remoteproc_verify_header."""
        if self.magic != layout.HEADER_MAGIC:
            raise Stop("bad-magic", f"{self.magic:#010x} instead of {layout.HEADER_MAGIC:#010x}")
        if self.version != layout.HEADER_VERSION:
            raise Stop("bad-version", f"{self.version} instead of {layout.HEADER_VERSION}")
        expected = self.images_at + pad8(self.img_len)
        if self.view.size != expected:
            raise Stop("wrong-size", f"{self.view.size} bytes instead of {expected}")

    def verify_signature(self) -> None:
        """remoteproc_verify_signature, remoteproc_pta_verify."""
        self.tlvs = tlv_index(self.view.data, _HEADER_SIZE, self.tlv_len, self.profile.word_bits)
        kind = self.value(_SIGNTYPE)
        if len(kind) != 1:
            raise Stop("no-signtype", f"{len(kind)} bytes")
        if kind[0] not in _ALGORITHMS:
            raise Stop("unknown-signtype", f"{kind[0]}", f"Unsupported signature type {kind[0]}")
        algorithm = _ALGORITHMS[kind[0]]
        info = self.value(_PKEYINFO)
        if not self.heap.can_verify(len(info)):
            raise Stop("heap", f"no room for {len(info)} bytes of key information and the digest")
        digest = hashlib.sha256(self.view.data[: self.signature_at]).digest()
        signature = bytes(self.view.data[self.signature_at : self.signature_at + self.sign_len])
        self.platform.verify(algorithm, bytes(info), digest, signature)
        openstlinux.after_signature(self)

    def value(self, kind: Tlv) -> memoryview:
        """Value of the TLV that the loader finds; empty when it finds none (or an empty one)."""
        return self.tlvs.get(kind, _NOTHING)
