# SPDX-License-Identifier: MIT
"""Upstream's trusted application: LOAD_FW on a core that is off, every check in its order, with the reason.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c and elf_parser.c; methods name their C functions. A
position is absolute in the file. C compares addresses; the buffer itself is aligned, so the alignment of an
address is that of its position. Comments name what wraps in a 32-bit build.
"""

import hashlib
from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final

from mpbench import layout
from mpbench.layout import SignType, Tlv, pad8
from mpbench.twin.elf_parser import ADDRESS_SIGN, E_PHNUM, E_PHOFF, HEAD, find_table, parse_header
from mpbench.twin.heap import Heap, sizes_of
from mpbench.twin.image import Members, Stop, Value, View, tlv_index
from mpbench.twin.platform import Platform
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import NO_TABLE, Entry, Outcome, ResourceTable, State, Written

# Index of a number in the row of its table.
P_TYPE: Final = 0
P_OFFSET: Final = 1
P_PADDR: Final = 3
P_FILESZ: Final = 4
P_MEMSZ: Final = 5
P_FLAGS: Final = 6

# Looked up once: these are needed for every segment.
_HASHTABLE, _NUM_IMG, _IMGTYPE, _IMGSIZE = Tlv.HASHTABLE, Tlv.NUM_IMG, Tlv.IMGTYPE, Tlv.IMGSIZE
_PHDR, _PHDR_SIZE, _PT_LOAD, _PF_W = layout.PHDR, layout.PHDR.size, layout.PT_LOAD, layout.PF_W
_SIGNTYPE, _PKEYINFO = Tlv.SIGNTYPE, Tlv.PKEYINFO
_HEADER_SIZE = layout.HEADER.size
_NOTHING = memoryview(b"")
_LOADED, _OFF, _ACCEPTED = State.LOADED, State.OFF, REASONS["loaded"]
_ALGORITHMS = {  # rproc_ta_sign_algo
    int(SignType.RSASSA_PKCS1_V1_5_SHA256): layout.ALG_RSASSA_PKCS1_V1_5_SHA256,
    int(SignType.ECDSA_P256_SHA256): layout.ALG_ECDSA_P256,
}


class UpstreamLoad:
    """One run of remoteproc_load_fw; the steps raise Stop.

    ST's trusted application differs in steps of its own: see openstlinux.py.
    """

    authenticated = False
    signed: Mapping[int, Entry] = MappingProxyType({})
    table = NO_TABLE
    table_offset: int | None = None

    def __init__(self, view: View, platform: Platform, contexts: int, aligned: bool) -> None:
        profile = platform.profile
        self.view, self.platform, self.profile, self.aligned = view, platform, profile, aligned
        self.heap = Heap(sizes_of(profile), profile.heap_bytes, profile.sessions, contexts)
        self.kept: list[Written] = []

    def accepted(self) -> Outcome:
        """The outcome when every check has passed."""
        return Outcome(
            _ACCEPTED, 0, _ACCEPTED.text, tuple(self.platform.asked), _LOADED, self.table, (),
            tuple(self.platform.written), self.table_offset, tuple(self.kept), self.signed,
            self.platform.data(self.view), *self.platform.start_of(),
        )  # fmt: skip

    def refused(self, stop: Stop) -> Outcome:
        """The outcome when a check has failed."""
        reason, console = REASONS[stop.name], stop.console
        code = reason.code if stop.code is None else stop.code
        if code and not self.authenticated:
            console = (*console, f"Can't Authenticate the firmware (res = {code:#x})")
        text = f"{reason.text}: {stop.detail}" if stop.detail else reason.text
        return Outcome(
            reason, code, text, tuple(self.platform.asked), _OFF, NO_TABLE, console,
            tuple(self.platform.written), image=self.platform.data(self.view),
        )  # fmt: skip

    def all(self) -> None:
        """remoteproc_load_fw."""
        if not self.view.size:
            self.authenticated = True  # refused before anything is printed
            raise Stop("empty-image")
        self.verify_firmware()
        self.load_elf()

    def verify_firmware(self) -> None:
        """remoteproc_verify_firmware."""
        self.capabilities()
        self.save_header()
        self.verify_header()
        self.verify_signature()
        self.authenticated = True

    # ------------------------------------------------------------- remoteproc_verify_firmware
    def capabilities(self) -> None:
        """get_rproc_pta_capabilities and the test of its answer."""
        formats, protection = self.platform.capabilities()
        if not self.takes(formats) or not protection & layout.HWCAP_PROT_HASH_TABLE:
            raise Stop("capabilities", f"formats {formats:#x}, protection {protection:#x}")

    def save_header(self) -> None:
        """remoteproc_save_fw_header_and_tlvs."""
        size = self.view.size
        if not self.aligned:
            raise Stop("unaligned-buffer")
        if size < _HEADER_SIZE:  # the C code reads on, then refuses whatever it has read
            raise Stop("too-short", f"{size} bytes, the header alone has {layout.HEADER.size}")
        self.magic, self.version, tlv_len, sign_len, img_len = layout.HEADER.unpack(
            self.view.part(0, _HEADER_SIZE)
        )
        self.tlv_len, self.sign_len, self.img_len = tlv_len, sign_len, img_len
        if tlv_len | sign_len | img_len >= layout.LENGTH_LIMIT:
            raise Stop("length-limit", f"tlv_len {tlv_len:#x}, sign_len {sign_len:#x}, img_len {img_len:#x}")
        self.signature_at = _HEADER_SIZE + pad8(tlv_len)
        self.images_at = images_at = self.signature_at + pad8(sign_len)
        self.images_end = images_at + img_len
        if images_at >> 32:
            raise Stop("lengths-overflow", f"{tlv_len:#x} + {sign_len:#x}")
        if size <= images_at:
            raise Stop("too-short", f"{size:#x} bytes, images would start at {images_at:#x}")
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
        signed = self.view.part(0, self.signature_at)
        self.index_tlvs(signed)
        kind = self.value(_SIGNTYPE)
        if len(kind) != 1:
            raise Stop("no-signtype", f"{len(kind)} bytes")
        if kind[0] not in _ALGORITHMS:
            raise Stop("unknown-signtype", f"{kind[0]}", f"Unsupported signature type {kind[0]}")
        algorithm = _ALGORITHMS[kind[0]]
        info = self.value(_PKEYINFO)
        if not self.heap.can_verify(len(info)):
            raise Stop("heap", f"no room for {len(info)} bytes of key information and the digest")
        digest = hashlib.sha256(signed).digest()
        signature = bytes(self.view.part(self.signature_at, self.signature_at + self.sign_len))
        self.platform.verify(algorithm, bytes(info), digest, signature)

    def index_tlvs(self, _signed: memoryview) -> None:
        """What remoteproc_get_tlv will find in header and TLVs."""
        self.tlvs: Mapping[int, Value] = tlv_index(
            _signed, _HEADER_SIZE, self.tlv_len, self.profile.word_bits
        )

    def takes(self, formats: int) -> bool:
        """Whether the platform's image formats are those that this application knows."""
        return formats == layout.HWCAP_FMT_ELF

    def value(self, kind: Tlv) -> Value:
        """Value of the TLV that the loader finds; empty when it finds none (or an empty one)."""
        return self.tlvs.get(kind, _NOTHING)

    # ------------------------------------------------------------- remoteproc_load_elf
    def load_elf(self) -> None:
        """remoteproc_load_elf."""
        parse_header(self.view, self.images_at, self.img_len, self.profile.word_bits)
        entries = self.signed = self.hash_table()
        count = self.image_count()
        offset = 0
        for index in range(count):
            self.image_type(count, index)
            size = self.image_size(count, index)
            at = self.images_at + offset
            head = self.view.row(HEAD, at)
            self.load_segments((at, size), head, entries)
            self.resource_table((at, size), head)
            offset = (offset + size + ADDRESS_SIGN) % (1 << 32) - ADDRESS_SIGN  # int32_t offset

    def hash_table(self) -> dict[int, Entry]:
        """get_hash_table."""
        table = self.value(_HASHTABLE)
        if not table:
            raise Stop("no-hashtable")
        return self.entries(table, layout.HASH_ENTRY, "hashtable-length")

    def entries(self, table: Value, form: Struct, wrong_length: str) -> dict[int, Entry]:
        """A copy of a table: the first entry for each p_paddr."""
        if len(table) % form.size:
            raise Stop(wrong_length, f"{len(table)} bytes")
        if not self.heap.take(len(table)):
            raise Stop("heap", f"no room for a copy of the table, {len(table)} bytes")
        entries: dict[int, Entry] = {}
        for entry in form.iter_unpack(bytes(table)):
            entries.setdefault(entry[P_PADDR], entry)
        return entries

    def image_count(self) -> int:
        """NUM_IMG."""
        value = self.value(_NUM_IMG)
        if not value:
            raise Stop("no-num-img")
        if len(value) != 1:
            raise Stop("num-img-length", f"{len(value)} bytes")
        if not value[0]:
            raise Stop("num-img-zero")
        return value[0]

    def image_type(self, count: int, index: int) -> None:
        """The test of get_tlv_images_type's answer."""
        kind = self.image_types(count)[index]
        if kind != layout.IMG_ELF:
            raise Stop("imgtype-not-elf", f"image {index + 1} is of type {kind}")

    def image_types(self, count: int) -> Value:
        """get_tlv_images_type, for all images."""
        value = self.value(_IMGTYPE)
        if not value:
            raise Stop("no-imgtype")
        if len(value) != count:
            raise Stop("imgtype-length", f"{len(value)} bytes for {count} images")
        return value

    def image_size(self, count: int, index: int) -> int:
        """get_tlv_images_size."""
        value = self.value(_IMGSIZE)
        if not value:
            raise Stop("no-imgsize")
        if len(value) != 4 * count:
            raise Stop("imgsize-length", f"{len(value)} bytes for {count} images")
        return int.from_bytes(value[4 * index : 4 * index + 4], "little")

    def load_segments(self, image: tuple[int, int], head: Members, entries: dict[int, Entry]) -> None:
        """e32_parser_load_elf_image; image: position and size, head: of its ELF header."""
        view, (at, size) = self.view, image
        headers = at + head[E_PHOFF]
        if size == 0 or (self.profile.word_bits == 32 and size >= ADDRESS_SIGN):
            raise Stop("imgsize-zero", f"{size:#x}")
        if headers % 4:
            raise Stop("phdr-unaligned", f"offset {headers - at:#x}")
        end = at + size
        view.spend(max(0, min(headers + head[E_PHNUM] * _PHDR_SIZE, end, view.size) - headers))
        for here in range(headers, headers + head[E_PHNUM] * _PHDR_SIZE, _PHDR_SIZE):
            if here + _PHDR_SIZE > end:
                self.read_too_early(here)
                raise Stop("phdr-outside", f"header at {here - at:#x} of {size:#x}")
            row = view.row(_PHDR, here)
            da = row[P_PADDR]
            if row[P_TYPE] == _PT_LOAD:
                start, filesz = at + row[P_OFFSET], row[P_FILESZ]
                if start + filesz > end:
                    raise Stop("segment-outside-image", f"{filesz:#x} bytes at {start - at:#x} of {size:#x}")
                self.load_segment(start, row, entries.get(da))

    def read_too_early(self, header: int) -> None:
        """`uint32_t dst = phdr->p_paddr` precedes the check of phdr, and compilers leave it there.

        Where a header lies outside its image but this word inside the file, nothing happens; else the TA dies
        or continues, depending on what is mapped there. In 32 bits a large e_phoff is a small negative one.
        """
        wraps = self.profile.word_bits == 32 and header - self.images_at >= ADDRESS_SIGN
        self.view.inside(header - ((1 << 32) if wraps else 0) + 12, 4)

    def load_segment(self, at: int, row: Members, entry: Entry | None) -> None:
        """remoteproc_load_segment with get_segment_hash; row: program header, at: of its data."""
        da, size, mem_size = row[P_PADDR], row[P_FILESZ], row[P_MEMSZ]
        if entry is None:
            raise Stop("segment-not-signed", f"p_paddr {da:#x}")
        if entry[P_TYPE] != _PT_LOAD:
            raise Stop("hash-entry-not-load", f"p_paddr {da:#x}, p_type {entry[P_TYPE]:#x}")
        if entry[P_FILESZ] != size or entry[P_MEMSZ] != mem_size:
            signed = f"{entry[P_FILESZ]:#x}/{entry[P_MEMSZ]:#x}"
            raise Stop("segment-sizes-differ", f"{size:#x}/{mem_size:#x}, signed {signed} at {da:#x}")
        if at < self.images_at or at + size > self.images_end:
            what = f"{size:#x} bytes at {at:#x}, images end at {self.images_end:#x}"
            raise Stop("segment-outside-images", what)
        if size:
            write = self.platform.load_segment(self.view, at, da, size, entry)
            if not entry[P_FLAGS] & _PF_W:
                self.kept.append(write)
        if size < mem_size:
            self.platform.set_memory((da + size) % (1 << 32), mem_size - size)

    def resource_table(self, image: tuple[int, int], head: Members) -> None:
        """remoteproc_parse_rsc_table, and that only one image has a table."""
        found = find_table(self.view, image, head, self.profile.word_bits)
        if found is None:
            return
        da, length, offset = found
        pa = self.platform.translate(da, length)
        if self.table is not NO_TABLE:
            raise Stop("second-table", f"at {da:#x}", "More than one resource table found")
        self.table, self.table_offset = ResourceTable(pa, length), offset
